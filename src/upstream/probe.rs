//! One question to an endpoint about its health, and what its answer means.
//!
//! Over TCP it is well when it takes a connection, which is ended without a word. Over HTTP it is well when the status line of
//! its answer carries the status that is expected; what is behind that line does not matter.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::dial::reason;
use super::{Address, Dialer, HeaderVersion, HttpCheck, proxy_header};

/// No status line is longer than this.
const LONGEST_LINE: usize = 1024;

/// Asks once. The error is for people; with the answer comes the connection that is still to be ended.
pub(super) async fn probe(
    dialer: &Dialer,
    address: &Address,
    http: Option<&HttpCheck>,
    header: Option<HeaderVersion>,
    until: Instant,
) -> (Result<(), String>, Option<TcpStream>) {
    let mut stream = match dialer.connect(address, until).await {
        Ok(stream) => stream,
        Err(error) => return (Err(error.to_string()), None),
    };
    let Some(check) = http else { return (Ok(()), Some(stream)) };
    match timeout_at(until, ask(&mut stream, address, check, header)).await {
        Ok(Ok(line)) => (judge(&line, check.status), Some(stream)),
        Ok(Err(error)) => (Err(reason(&error)), None),
        Err(_) => (Err("no answer in time".to_owned()), None),
    }
}

/// Asks over HTTP. Gives what came up to the end of the first line, or as much as a line may be.
async fn ask(
    stream: &mut TcpStream,
    address: &Address,
    check: &HttpCheck,
    header: Option<HeaderVersion>,
) -> io::Result<Vec<u8>> {
    let mut request = header.map(proxy_header::own).unwrap_or_default();
    request.extend_from_slice(&question(address, check));
    stream.write_all(&request).await?;
    let mut line = Vec::new();
    let mut rest = stream.take(LONGEST_LINE as u64);
    loop {
        let begun = line.len();
        let ended = rest.read_buf(&mut line).await? == 0;
        let new = line.get(begun..).unwrap_or_default();
        if ended || new.contains(&b'\n') {
            return Ok(line);
        }
    }
}

fn question(address: &Address, check: &HttpCheck) -> Vec<u8> {
    let HttpCheck { path, host, .. } = check;
    let host = host.clone().unwrap_or_else(|| address.to_string());
    let agent = concat!("chaos-proxy/", env!("CARGO_PKG_VERSION"));
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {agent}\r\nConnection: close\r\n\r\n").into()
}

/// Whether an answer that begins so is the good one.
fn judge(answer: &[u8], expected: u16) -> Result<(), String> {
    if answer.is_empty() {
        return Err("closed without an answer".to_owned());
    }
    match status(answer) {
        Some(status) if status == expected => Ok(()),
        Some(status) => Err(format!("answered {status}, not {expected}")),
        None => Err("not HTTP".to_owned()),
    }
}

/// The status of a whole status line: `HTTP/1.1 200 OK`.
fn status(answer: &[u8]) -> Option<u16> {
    let end = answer.iter().position(|byte| *byte == b'\n')?;
    let line = answer.get(..end)?;
    let mut words = line.strip_suffix(b"\r").unwrap_or(line).splitn(3, |byte| *byte == b' ');
    let minor = words.next()?.strip_prefix(b"HTTP/1.")?;
    match (minor, words.next()?) {
        ([b'0'..=b'9'], digits @ [b'1'..=b'9', b'0'..=b'9', b'0'..=b'9']) => {
            std::str::from_utf8(digits).ok()?.parse().ok()
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::net::TcpListener;

    use super::super::{Host, Resolver};
    use super::*;

    #[test]
    fn the_status_line_decides() {
        let not_http = Err("not HTTP".to_owned());
        for (answer, expected) in [
            ("HTTP/1.1 200 OK\r\n", Ok(())),
            ("HTTP/1.0 200\r\nX: y\r\n\r\nbody", Ok(())),
            ("HTTP/1.1 200 \n", Ok(())),
            ("HTTP/1.1 503 Service Unavailable\r\n", Err("answered 503, not 200".to_owned())),
            ("HTTP/1.1 2000 OK\r\n", not_http.clone()),
            ("HTTP/1.1 +20 OK\r\n", not_http.clone()),
            ("HTTP/2 200\r\n", not_http.clone()),
            ("HTTP/1.1 200 OK", not_http.clone()),
            ("SSH-2.0-OpenSSH_9.6\r\n", not_http.clone()),
            ("\r\n", not_http),
            ("", Err("closed without an answer".to_owned())),
        ] {
            assert_eq!(judge(answer.as_bytes(), 200), expected, "{answer:?}");
        }
    }

    /// What one who asks at `/up` sends, and what the answer means.
    async fn asked(answer: Vec<u8>, host: Option<&str>, header: Option<HeaderVersion>) -> (Vec<u8>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = tokio::spawn(async move {
            let (mut client, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                assert!(client.read_buf(&mut request).await.unwrap() > 0);
            }
            // It may have heard enough before all is said.
            let _ = client.write_all(&answer).await;
            let _ = client.read_to_end(&mut Vec::new()).await;
            request
        });
        let address = Address { host: Host::Ip([127, 0, 0, 1].into()), port };
        let check = HttpCheck { path: "/up".to_owned(), status: 204, host: host.map(str::to_owned) };
        let until = Instant::now() + Duration::from_millis(500);
        let dialer = Dialer::new(Resolver::system());
        let (answer, _) = probe(&dialer, &address, Some(&check), header, until).await;
        (server.await.unwrap(), answer.err().unwrap_or_default())
    }

    #[tokio::test]
    async fn a_question_is_a_request_that_ends_the_connection() {
        let (request, error) = asked(b"HTTP/1.1 204 Fine\r\n\r\n".to_vec(), Some("it.test"), None).await;
        let agent = concat!("chaos-proxy/", env!("CARGO_PKG_VERSION"));
        let expected =
            format!("GET /up HTTP/1.1\r\nHost: it.test\r\nUser-Agent: {agent}\r\nConnection: close\r\n\r\n");
        assert_eq!((String::from_utf8(request).unwrap(), error.as_str()), (expected, ""));
        let (request, _) = asked(b"HTTP/1.1 204 Fine\r\n\r\n".to_vec(), None, None).await;
        assert!(String::from_utf8(request).unwrap().contains("\r\nHost: 127.0.0.1:"));
    }

    #[tokio::test]
    async fn one_that_wants_to_know_for_whom_hears_that_it_is_for_nobody() {
        for version in [HeaderVersion::V1, HeaderVersion::V2] {
            let (request, error) = asked(b"HTTP/1.1 204\r\n".to_vec(), None, Some(version)).await;
            let header = proxy_header::own(version);
            assert!(request.starts_with(&header) && request[header.len()..].starts_with(b"GET /up"));
            assert_eq!(error, "");
        }
    }

    #[tokio::test]
    async fn an_answer_without_an_end_is_cut_off() {
        assert_eq!(asked(vec![b'x'; 1 << 20], None, None).await.1, "not HTTP");
        assert_eq!(asked(b"HTTP/1.1 204 never".to_vec(), None, None).await.1, "no answer in time");
        assert_eq!(asked(Vec::new(), None, None).await.1, "no answer in time");
    }
}
