//! The head of an HTTP/1 request: found byte by byte, then read strictly.
//!
//! Whatever could be read in two ways (a bare line feed, a space before a colon, a folded line, two lengths) is refused:
//! two programs that read one request differently are how requests are smuggled.

use serde_json::{Map, Value};

/// The largest head, blank line included.
pub(super) const LARGEST_HEAD: usize = 16 << 10;
/// The most header lines; each costs more memory than its bytes.
const MOST_HEADERS: usize = 100;

/// Why a request is refused, in words for whoever sent it.
pub(super) type Refusal = &'static str;

/// How a request's body is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// So many bytes, be it none.
    Length(u64),
    /// Chunks, each with its size.
    Chunked,
}

/// A request, but for its body.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) method: String,
    pub(super) target: String,
    /// Names in lower case; a name that came twice has its values joined by a comma, as HTTP has it.
    pub(super) headers: Map<String, Value>,
    pub(super) framing: Framing,
    /// HTTP/1.0 rather than 1.1.
    pub(super) old: bool,
    /// Whether the connection may serve another request.
    pub(super) keep_alive: bool,
    /// The client waits to be told that it may send the body.
    pub(super) expects_continue: bool,
}

/// Gathers a head until its blank line.
#[derive(Default)]
pub(super) struct HeadReader {
    bytes: Vec<u8>,
    /// Where the line in hand begins.
    line: usize,
}

impl HeadReader {
    /// Whether a request has begun.
    pub(super) fn is_begun(&self) -> bool {
        !self.bytes.is_empty()
    }

    /// Takes bytes up to the end of the head, and says how many and what came of them.
    pub(super) fn take(&mut self, bytes: &[u8]) -> (usize, Result<Option<Head>, Refusal>) {
        for (i, &byte) in bytes.iter().enumerate() {
            if self.bytes.len() == LARGEST_HEAD {
                return (i, Err("the head is larger than 16 KiB"));
            }
            self.bytes.push(byte);
            if byte != b'\n' {
                continue;
            }
            let Some(line) = self.bytes[self.line..].strip_suffix(b"\r\n") else {
                return (i + 1, Err("a line does not end with CR LF"));
            };
            let blank = line.is_empty();
            let first = self.line == 0;
            self.line = self.bytes.len();
            if blank && first {
                // Old clients send an empty line after a body; HTTP asks to pass over it.
                self.bytes.clear();
                self.line = 0;
            } else if blank {
                let head = std::mem::take(self);
                return (i + 1, parse(&head.bytes).map(Some));
            }
        }
        (bytes.len(), Ok(None))
    }
}

/// Reads a whole head. Every line in it ends with CR LF, the last one is blank.
fn parse(bytes: &[u8]) -> Result<Head, Refusal> {
    let mut lines = bytes.split(|&byte| byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let (method, target, old) = request_line(lines.next().unwrap_or_default())?;
    let mut headers = Map::new();
    let mut lengths = Vec::new();
    let mut codings = Vec::new();
    let mut count = 0;
    for line in lines.take_while(|line| !line.is_empty()) {
        count += 1;
        if count > MOST_HEADERS {
            return Err("there are more than 100 header lines");
        }
        let (name, value) = header(line)?;
        match name.as_str() {
            "content-length" => lengths.push(value.clone()),
            "transfer-encoding" => codings.push(value.clone()),
            _ => {}
        }
        match headers.entry(name).or_insert_with(|| Value::String(String::new())) {
            Value::String(known) if known.is_empty() => *known = value,
            Value::String(known) => known.extend([", ", &value]),
            _ => {}
        }
    }
    let framing = framing(&lengths, &codings, old)?;
    let asks = |word| has_word(&headers, "connection", word);
    let keep_alive = !asks("close") && (!old || asks("keep-alive"));
    let expects_continue =
        !old && framing != Framing::Length(0) && has_word(&headers, "expect", "100-continue");
    Ok(Head { method, target, headers, framing, old, keep_alive, expects_continue })
}

fn request_line(line: &[u8]) -> Result<(String, String, bool), Refusal> {
    let mut words = line.split(|&byte| byte == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err("the request line is not a method, a target and a version");
    };
    if !is_token(method) {
        return Err("the method is not a word");
    }
    if target.is_empty() || target.iter().any(u8::is_ascii_control) {
        return Err("the target is empty or has control characters");
    }
    let old = match version {
        b"HTTP/1.1" => false,
        b"HTTP/1.0" => true,
        _ => return Err("the version is not HTTP/1.1 or HTTP/1.0"),
    };
    Ok((lossy(method), lossy(target), old))
}

fn header(line: &[u8]) -> Result<(String, String), Refusal> {
    let colon = line.iter().position(|&byte| byte == b':').ok_or("a header line has no colon")?;
    let (name, value) = line.split_at(colon);
    let value = value[1..].trim_ascii();
    if !is_token(name) {
        return Err("a header name is not a word");
    }
    if value.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t') {
        return Err("a header value has control characters");
    }
    Ok((lossy(name).to_ascii_lowercase(), lossy(value)))
}

fn framing(lengths: &[String], codings: &[String], old: bool) -> Result<Framing, Refusal> {
    match (lengths, codings) {
        ([], []) => Ok(Framing::Length(0)),
        ([length], []) => {
            let digits = !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit());
            let length = digits.then(|| length.parse().ok()).flatten();
            length.map(Framing::Length).ok_or("Content-Length is not a number of bytes")
        }
        ([], [coding]) if !old && coding.eq_ignore_ascii_case("chunked") => Ok(Framing::Chunked),
        ([], [_]) => Err("Transfer-Encoding is not chunked"),
        _ => Err("the length of the body is given more than once"),
    }
}

/// Whether a header that is a list of words has this one.
fn has_word(headers: &Map<String, Value>, name: &str, word: &str) -> bool {
    let list = headers.get(name).and_then(Value::as_str).unwrap_or_default();
    list.split(',').any(|item| item.trim().eq_ignore_ascii_case(word))
}

fn is_token(bytes: &[u8]) -> bool {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !bytes.is_empty() && bytes.iter().all(allowed)
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Head, Refusal> {
        let (taken, head) = HeadReader::default().take(text.as_bytes());
        assert!(taken <= text.len());
        head.map(|head| head.expect("the head is complete"))
    }

    #[test]
    fn names_are_lower_case_and_values_joined() {
        let head =
            read("\r\nPUT /x?y=1 HTTP/1.1\r\nHost: a\r\nX-A: 1\r\nx-a:\t2 \r\nEmpty:\r\n\r\n").unwrap();
        assert_eq!((head.method.as_str(), head.target.as_str()), ("PUT", "/x?y=1"));
        assert_eq!(head.headers["x-a"], "1, 2");
        assert_eq!(head.headers["empty"], "");
        assert!(head.keep_alive && !head.old && !head.expects_continue);
        assert_eq!(head.framing, Framing::Length(0));
    }

    #[test]
    fn the_connection_header_and_the_version_decide_what_follows() {
        let keeps = |version: &str, connection: &str| {
            read(&format!("GET / {version}\r\nConnection: {connection}\r\n\r\n")).unwrap().keep_alive
        };
        assert!(keeps("HTTP/1.1", "Upgrade"));
        assert!(!keeps("HTTP/1.1", "x, Close"));
        assert!(!keeps("HTTP/1.0", "x"));
        assert!(keeps("HTTP/1.0", "Keep-Alive"));
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        let line = |text: &str| read(&format!("POST / HTTP/1.1\r\n{text}\r\n\r\n"));
        for bad in [
            "Content-Length: 1\r\nTransfer-Encoding: chunked",
            "Content-Length: 1\r\nContent-Length: 1",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: gzip, chunked",
            "Content-Length: +5",
            "Content-Length: 5,5",
            "Content-Length: -1",
            "Content-Length:",
            "Content-Length: 0x10",
            "Content-Length: 18446744073709551616",
            "Content-Length : 5",
            " folded: 1",
            "X: 1\r\n folded",
            "no colon",
            ": no name",
            "X: \0",
            "X: a\rb",
        ] {
            assert!(line(bad).is_err(), "{bad:?}");
        }
        assert_eq!(line("Content-Length: 007").unwrap().framing, Framing::Length(7));
        assert_eq!(line("Transfer-Encoding: Chunked").unwrap().framing, Framing::Chunked);
        for bad in [
            "GET /",
            "GET  / HTTP/1.1",
            "GET / HTTP/1.1 ",
            " GET / HTTP/1.1",
            "GET / HTTP/2.0",
            "G\0 / HTTP/1.1",
        ] {
            assert!(read(&format!("{bad}\r\n\r\n")).is_err(), "{bad:?}");
        }
        assert!(read("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n").is_err());
        assert!(read("GET / HTTP/1.1\n\n").is_err());
        assert!(read(&format!("GET / HTTP/1.1\r\n{}\r\n", "a:\r\n".repeat(101))).is_err());
        assert!(read(&"x".repeat(LARGEST_HEAD + 1)).is_err());
    }
}
