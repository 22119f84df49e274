//! Conversations with `builtin:http`, each held twice: whole, and one byte at a time.

use proptest::prelude::*;
use serde_json::Value;

use super::*;

/// All that comes back for these bytes, and whether the end came too.
fn talk(text: &[u8], step: usize, finish: bool) -> (Vec<u8>, bool) {
    let mut http = Http::default();
    let mut answers = Vec::new();
    let mut ended = false;
    let mut fetch = |http: &mut Http| {
        let mut buf = [0; 4000];
        loop {
            match http.answer(&mut buf) {
                Answer::Bytes(n) => answers.extend_from_slice(&buf[..n]),
                Answer::Nothing => break,
                Answer::End => {
                    ended = true;
                    break;
                }
            }
        }
    };
    for chunk in text.chunks(step) {
        let mut rest = chunk;
        while !rest.is_empty() {
            let taken = http.take(rest);
            fetch(&mut http);
            rest = &rest[taken..];
        }
    }
    if finish {
        http.finish();
        fetch(&mut http);
    }
    (answers, ended)
}

/// The same, and it must not matter how the bytes are cut.
fn answers(text: &str) -> (String, bool) {
    let whole = talk(text.as_bytes(), usize::MAX, false);
    for step in [1, 2, 7, 100] {
        assert_eq!(talk(text.as_bytes(), step, false), whole, "cut every {step} bytes");
    }
    (String::from_utf8(whole.0).expect("answers are UTF-8"), whole.1)
}

/// Splits one answer off: its status line and headers, its document, what follows it.
fn split(text: &str) -> (&str, Value, &str) {
    let (head, rest) = text.split_once("\r\n\r\n").expect("a head");
    let length = head.split("Content-Length: ").nth(1).expect("a length");
    let length: usize = length.lines().next().expect("a line").parse().expect("a number");
    let (body, rest) = rest.split_at(length);
    (head, serde_json::from_str(body).expect("a document"), rest)
}

#[test]
fn says_what_it_saw_and_keeps_the_connection() {
    let (text, ended) = answers("POST /a?b=c HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello");
    let (head, document, rest) = split(&text);
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.contains("Content-Type: application/json"));
    let expected = serde_json::json!({"builtin": "chaos-proxy", "method": "POST", "path": "/a?b=c",
        "headers": {"host": "x", "content-length": "5"}, "bodyBytes": 5});
    assert_eq!(document, expected);
    assert!(rest.is_empty() && !ended);
}

#[test]
fn requests_in_a_row_are_answered_in_order() {
    let chunked = "PUT /2 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nwxyz\r\n0\r\n\r\n";
    let (text, ended) = answers(&format!("GET /1 HTTP/1.1\r\n\r\n{chunked}GET /3 HTTP/1.1\r\n\r\n"));
    let (_, first, rest) = split(&text);
    let (_, second, rest) = split(rest);
    let (_, third, rest) = split(rest);
    assert_eq!((&first["path"], &second["path"], &third["path"]), (&"/1".into(), &"/2".into(), &"/3".into()));
    assert_eq!(second["bodyBytes"], 4);
    assert!(rest.is_empty() && !ended);
}

#[test]
fn close_and_http_1_0_end_the_connection() {
    for request in
        ["GET / HTTP/1.1\r\nConnection: close\r\n\r\nignored", "GET / HTTP/1.0\r\n\r\nGET / HTTP/1.0\r\n\r\n"]
    {
        let (text, ended) = answers(request);
        let (head, _, rest) = split(&text);
        assert!(head.contains("200 OK") && head.contains("Connection: close"));
        assert!(rest.is_empty() && ended);
    }
    let (text, ended) = answers("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert!(text.contains("Connection: keep-alive") && !ended);
}

#[test]
fn head_is_answered_without_a_body() {
    let (text, ended) = answers("HEAD /h HTTP/1.1\r\n\r\n");
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("200 OK") && !head.contains("Content-Length: 0") && body.is_empty() && !ended);
}

#[test]
fn who_waits_to_send_a_body_is_told_to() {
    let request = "POST / HTTP/1.1\r\nExpect: 100-Continue\r\nContent-Length: 2\r\n\r\n";
    assert_eq!(answers(request).0, "HTTP/1.1 100 Continue\r\n\r\n");
    let (text, _) = answers(&format!("{request}ab"));
    let (_, document, _) = split(text.strip_prefix("HTTP/1.1 100 Continue\r\n\r\n").unwrap());
    assert_eq!(document["bodyBytes"], 2);
    assert!(!answers("GET / HTTP/1.1\r\nExpect: 100-continue\r\n\r\n").0.contains("100 Continue"));
}

#[test]
fn what_is_malformed_gets_400_and_the_end() {
    let large = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(17 << 10));
    for bad in [
        "nonsense\r\n\r\n",
        "GET / HTTP/1.1\n",
        "\x16\x03\x01\x02\n",
        "POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nGET / HTTP/1.1\r\n\r\n",
        &large,
    ] {
        let (text, ended) = answers(bad);
        let (head, document, rest) = split(&text);
        assert!(head.starts_with("HTTP/1.1 400 Bad Request"), "{bad:.40}");
        assert!(document["error"].is_string() && rest.is_empty() && ended);
    }
}

#[test]
fn the_clients_fin_ends_it() {
    assert_eq!(talk(b"", 1, true), (Vec::new(), true));
    let (text, ended) = talk(b"GET / HTTP/1.1\r\n\r\n", 99, true);
    assert!(text.starts_with(b"HTTP/1.1 200") && ended);
    for half in ["GET / HT", "POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc"] {
        let (text, ended) = talk(half.as_bytes(), 99, true);
        assert!(text.starts_with(b"HTTP/1.1 400") && ended);
    }
}

#[test]
fn hostile_bytes_come_back_escaped() {
    let (text, _) = talk(b"GET /\xff\"\\ HTTP/1.1\r\nX: \x80\xe2\x80\xae\"\r\n\r\n", 99, false);
    let (_, document, _) = split(std::str::from_utf8(&text).unwrap());
    assert_eq!(document["path"], "/\u{fffd}\"\\");
    assert_eq!(document["headers"]["x"], "\u{fffd}\u{202e}\"");
}

#[test]
fn memory_is_bounded_when_nobody_reads_the_answers() {
    let mut http = Http::default();
    let requests = "GET / HTTP/1.1\r\n\r\n".repeat(10_000);
    let taken = http.take(requests.as_bytes());
    assert!(taken > 0 && taken < requests.len() && !http.accepts());
    assert!(http.pending.owned() <= CAPACITY);
    let worst = [b"GET / HTTP/1.1\r\nX: ".as_slice(), &vec![0xff; 16_300], b"\r\n\r\n"].concat();
    let (text, ended) = talk(&worst, 100_000, false);
    assert!(text.len() > 48_000 && text.starts_with(b"HTTP/1.1 200") && !ended);
}

#[test]
fn a_body_of_any_size_is_counted_without_being_stored() {
    let mut http = Http::default();
    let head = format!("POST / HTTP/1.1\r\nContent-Length: {}\r\n\r\n", 64 << 20);
    assert_eq!(http.take(head.as_bytes()), head.len());
    let block = vec![b'x'; 1 << 20];
    for _ in 0..64 {
        assert_eq!(http.take(&block), block.len());
    }
    let mut buf = [0; 4000];
    let Answer::Bytes(n) = http.answer(&mut buf) else { panic!("no answer") };
    assert_eq!(split(std::str::from_utf8(&buf[..n]).unwrap()).1["bodyBytes"], 64 << 20);
}

/// Pieces of requests, good and bad, so that random choice gets far into the machine.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let words = prop::sample::select(vec![
        "GET ",
        "/ ",
        "HTTP/1.1",
        "\r\n",
        "\r",
        "\n",
        "\r\n\r\n",
        "Content-Length: ",
        "Transfer-Encoding: chunked\r\n",
        "3\r\nabc\r\n",
        "0\r\n\r\n",
        "7",
        "X: y\r\n",
        "Expect: 100-continue\r\n",
        "HEAD / HTTP/1.0\r\n\r\n",
        ";",
        ":",
        "POST / HTTP/1.1\r\n",
        "GET / HTTP/1.1\r\n\r\n",
    ]);
    let piece = prop_oneof![
        4 => words.prop_map(|word| word.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..40),
    ];
    prop::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic_and_no_cut_changes_its_answers(text in pieces(), step in 1..50usize) {
        let whole = talk(&text, usize::MAX, true);
        prop_assert_eq!(&talk(&text, step, true), &whole);
        prop_assert!(whole.1, "the client's FIN always ends it");
    }
}
