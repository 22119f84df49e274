//! A small HTTP client for the control API: one request a connection, or many.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

use serde_json::Value;

use super::client::{small_window, tame};
use super::secs;

/// Speaks to a control API.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Api(pub(crate) SocketAddr);

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Its status.
    pub(crate) status: u16,
    /// Its headers, names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    /// Its body.
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The value of a header, or nothing.
    pub(crate) fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value)
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|why| panic!("{why}: {}", self.text()))
    }

    /// The JSON body of an answer that must have this status.
    pub(crate) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        if self.body.is_empty() { Value::Null } else { self.json() }
    }
}

impl Api {
    /// Sends a request as it stands, and reads the answer.
    pub(crate) fn raw(&self, request: &[u8]) -> Answer {
        let mut stream = tame(TcpStream::connect_timeout(&self.0, secs(20)).expect("the control API"));
        // An answer may come before the whole request is sent.
        let _ = stream.write_all(request);
        read_answer(&mut BufReader::new(stream))
    }

    /// One request with these further header lines.
    pub(crate) fn ask(&self, method: &str, path: &str, headers: &[&str], body: &str) -> Answer {
        let mut request = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", self.0);
        for header in headers {
            request.push_str(header);
            request.push_str("\r\n");
        }
        if !body.is_empty() {
            request
                .push_str(&format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len()));
        }
        request.push_str("\r\n");
        request.push_str(body);
        self.raw(request.as_bytes())
    }

    /// Whether a question is answered well; its connection may be let go for somebody else's.
    pub(crate) fn ask_if_held(&self, path: &str) -> bool {
        let mut stream = tame(TcpStream::connect_timeout(&self.0, secs(20)).expect("the control API"));
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.0);
        let mut answer = Vec::new();
        stream.write_all(request.as_bytes()).is_ok()
            && stream.read_to_end(&mut answer).is_ok()
            && answer.starts_with(b"HTTP/1.1 200")
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], "")
    }

    pub(crate) fn post(&self, path: &str, body: &str) -> Answer {
        self.ask("POST", path, &[], body)
    }

    pub(crate) fn put(&self, path: &str, body: &str) -> Answer {
        self.ask("PUT", path, &[], body)
    }

    pub(crate) fn patch(&self, path: &str, body: &str) -> Answer {
        self.ask("PATCH", path, &[], body)
    }

    pub(crate) fn delete(&self, path: &str) -> Answer {
        self.ask("DELETE", path, &[], "")
    }
}

/// Reads one answer to its end, as its length, its chunks or the end of the stream say.
pub(crate) fn read_answer(stream: &mut impl BufRead) -> Answer {
    let mut status = line(stream);
    while status.starts_with("HTTP/1.1 100") {
        while !line(stream).is_empty() {}
        status = line(stream);
    }
    let code = status.split(' ').nth(1).and_then(|code| code.parse().ok());
    let code = code.unwrap_or_else(|| panic!("no answer: {status:?}"));
    let mut headers = Vec::new();
    loop {
        let line = line(stream);
        let Some((name, value)) = line.split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut answer = Answer { status: code, headers, body: Vec::new() };
    if let Ok(length) = answer.header("content-length").parse::<u64>() {
        stream.take(length).read_to_end(&mut answer.body).expect("a body");
    } else if answer.header("transfer-encoding") == "chunked" {
        loop {
            let size = u64::from_str_radix(&line(stream), 16).expect("a chunk's size");
            stream.take(size).read_to_end(&mut answer.body).expect("a chunk");
            line(stream);
            if size == 0 {
                break;
            }
        }
    } else if code != 204 && code != 304 {
        stream.read_to_end(&mut answer.body).expect("a body");
    }
    answer
}

fn line(stream: &mut impl BufRead) -> String {
    let mut line = String::new();
    stream.read_line(&mut line).expect("a line");
    line.trim_end_matches(['\r', '\n']).to_owned()
}

/// A stream of server-sent events.
pub(crate) struct EventStream(BufReader<Chunks>);

impl EventStream {
    /// Opens it.
    pub(crate) fn open(api: Api, path: &str, headers: &[&str]) -> Self {
        let stream = TcpStream::connect_timeout(&api.0, secs(20)).expect("the control API");
        Self::over(tame(stream), api, path, headers)
    }

    /// The same for a reader whose system takes next to nothing ahead of it.
    pub(crate) fn open_with_small_window(api: Api, path: &str) -> Self {
        Self::over(small_window(api.0, 4096), api, path, &[])
    }

    fn over(mut stream: TcpStream, api: Api, path: &str, headers: &[&str]) -> Self {
        let mut request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n", api.0);
        for header in headers {
            request.push_str(header);
            request.push_str("\r\n");
        }
        request.push_str("\r\n");
        stream.write_all(request.as_bytes()).expect("a request");
        let mut stream = BufReader::new(stream);
        let status = line(&mut stream);
        assert!(status.starts_with("HTTP/1.1 200"), "{status}");
        while !line(&mut stream).is_empty() {}
        EventStream(BufReader::new(Chunks { stream, left: 0 }))
    }

    /// The next event: its id, its name and its data.
    pub(crate) fn next(&mut self) -> (String, String, Value) {
        let (mut id, mut name, mut data) = (String::new(), String::new(), Value::Null);
        loop {
            let line = line(&mut self.0);
            match line.split_once(": ") {
                Some(("id", value)) => id = value.to_owned(),
                Some(("event", value)) => name = value.to_owned(),
                Some(("data", value)) => data = serde_json::from_str(value).expect("JSON"),
                _ if line.is_empty() && !id.is_empty() => return (id, name, data),
                _ => {}
            }
        }
    }
}

/// A body in chunks, as the bytes it stands for.
struct Chunks {
    stream: BufReader<TcpStream>,
    left: u64,
}

impl Read for Chunks {
    fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
        if self.left == 0 {
            let mut size = line(&mut self.stream);
            if size.is_empty() {
                size = line(&mut self.stream);
            }
            self.left = u64::from_str_radix(&size, 16).unwrap_or(0);
        }
        let n = (&mut self.stream).take(self.left).read(to)?;
        self.left -= n as u64;
        Ok(n)
    }
}
