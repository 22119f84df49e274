//! The server's limits, over sockets, with endpoints of the tests' own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hyper::body::Bytes;
use hyper::{Method, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::api::Api;
use super::endpoint::{Endpoint, Takes};
use super::limits::Limits;
use super::reply::Reply;
use super::{schemas, server};

/// What the endpoints of these tests work on.
#[derive(Default)]
struct Counts {
    asked: AtomicU64,
    refused: AtomicU64,
}

const PLAIN: Endpoint<Counts> = Endpoint {
    method: Method::GET,
    path: "/",
    id: "",
    summary: "",
    query: &[],
    headers: &[],
    takes: Takes::Nothing,
    gives: &[],
    refuses: &[],
    handler: |_| Box::pin(async { Ok(Reply::text(StatusCode::OK, "text/plain", "hello")) }),
};

static ENDPOINTS: &[Endpoint<Counts>] = &[
    PLAIN,
    Endpoint {
        method: Method::POST,
        path: "/echo",
        takes: Takes::Body(schemas::anything),
        handler: |call| {
            Box::pin(async move {
                call.state.asked.fetch_add(1, Ordering::Relaxed);
                Ok(Reply::text(StatusCode::OK, "application/json", call.body))
            })
        },
        ..PLAIN
    },
    Endpoint {
        path: "/large",
        handler: |_| {
            Box::pin(async {
                Ok(Reply::text(StatusCode::OK, "text/plain", Bytes::from(vec![b'x'; 64 << 20])))
            })
        },
        ..PLAIN
    },
    Endpoint { path: "/never", handler: |_| Box::pin(std::future::pending()), ..PLAIN },
    Endpoint { path: "/panic", handler: |_| Box::pin(async { panic!("as the test wants") }), ..PLAIN },
    Endpoint {
        path: "/stream",
        handler: |_| {
            Box::pin(async {
                let (pieces, stream) = tokio::sync::mpsc::channel(1);
                tokio::spawn(async move {
                    while pieces.send(Bytes::from_static(b"tick\n")).await.is_ok() {
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                });
                Ok(Reply::stream("text/event-stream", stream))
            })
        },
        ..PLAIN
    },
];

struct Running {
    address: SocketAddr,
    counts: Arc<Counts>,
    stop: CancellationToken,
    _ends: DropGuard,
    over: JoinHandle<()>,
}

/// So short that a test need not wait for it long.
const SHORT: Duration = Duration::from_millis(400);

async fn start(change: impl FnOnce(&mut Limits)) -> Running {
    let mut limits = Limits::default();
    change(&mut limits);
    let listener = server::listen("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    let counts = Arc::<Counts>::default();
    let api = Api {
        policy: Arc::default(),
        endpoints: ENDPOINTS,
        state: counts.clone(),
        count: |counts, status| {
            counts.refused.fetch_add(u64::from(!status.is_success()), Ordering::Relaxed);
        },
        panicked: |_| {},
    };
    let stop = CancellationToken::new();
    let over = tokio::spawn(server::serve(listener, limits, api.into_answer(), stop.clone()));
    Running { address, counts, _ends: stop.clone().drop_guard(), stop, over }
}

impl Running {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends these bytes on a connection of their own, and reads to its end.
    async fn send(&self, bytes: impl AsRef<[u8]>) -> String {
        let mut stream = self.connect().await;
        // The server may refuse before it has taken all.
        let _ = stream.write_all(bytes.as_ref()).await;
        rest(&mut stream).await
    }
}

async fn rest(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    let _ = timeout(Duration::from_secs(20), stream.read_to_end(&mut text)).await.expect("it ends");
    String::from_utf8_lossy(&text).into_owned()
}

/// One reply of a known length.
async fn reply(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    loop {
        let byte = timeout(Duration::from_secs(20), stream.read_u8()).await.expect("it comes").unwrap();
        text.push(byte);
        if text.ends_with(b"\r\n\r\n") {
            break;
        }
    }
    let head = String::from_utf8(text).unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap_or("0");
    let mut body = vec![0; length.parse().unwrap()];
    stream.read_exact(&mut body).await.unwrap();
    head + std::str::from_utf8(&body).unwrap()
}

fn status(reply: &str) -> u16 {
    reply
        .split(' ')
        .nth(1)
        .and_then(|code| code.parse().ok())
        .unwrap_or_else(|| panic!("no reply: {reply:?}"))
}

const GET: &str = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
const LAST: &str = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

#[tokio::test]
async fn every_reply_says_what_every_reply_says() {
    let server = start(|_| {}).await;
    for request in [
        LAST,
        "GET /no HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        "GET / HTTP/1.1\r\nConnection: close\r\n\r\n",
    ] {
        let reply = server.send(request).await;
        assert!(reply.contains("x-content-type-options: nosniff\r\n"), "{reply}");
        assert!(reply.contains("cache-control: no-store\r\n"), "{reply}");
        assert!(!reply.to_ascii_lowercase().contains("access-control"), "{reply}");
    }
    assert_eq!(server.counts.refused.load(Ordering::Relaxed), 2, "each reply is counted");
}

#[tokio::test]
async fn requests_follow_each_other_on_one_connection() {
    let server = start(|_| {}).await;
    let mut stream = server.connect().await;
    for _ in 0..200 {
        stream.write_all(GET.as_bytes()).await.unwrap();
        assert!(reply(&mut stream).await.ends_with("\r\n\r\nhello"));
    }
    // Also when they come all at once.
    stream.write_all((GET.repeat(50) + LAST).as_bytes()).await.unwrap();
    let replies = rest(&mut stream).await;
    assert_eq!(replies.matches("HTTP/1.1 200 OK\r\n").count(), 51);
    assert_eq!(replies.matches("hello").count(), 51);
}

#[tokio::test]
async fn old_and_odd_forms_of_requests_are_answered() {
    let server = start(|_| {}).await;
    for (request, code, end) in [
        ("GET / HTTP/1.0\r\nHost: localhost\r\n\r\n", 200, "hello"),
        ("GET http://localhost/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 200, "hello"),
        ("GET http://evil/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 403, ""),
        ("HEAD / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 200, "\r\n\r\n"),
        ("OPTIONS / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 405, ""),
        ("OPTIONS * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 404, ""),
        ("CONNECT localhost:1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 404, ""),
        ("GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\nConnection: close\r\n\r\n", 400, ""),
        ("GET / HTTP/1.1\r\nConnection: close\r\n\r\n", 400, ""),
        ("GET /%zz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 400, ""),
        ("GET /?x=1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 400, ""),
        (
            "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}",
            200,
            "hello",
        ),
        ("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 2\r\n\r\n[]", 400, ""),
        ("nonsense\r\n\r\n", 400, ""),
        ("GET / HTTP/1.1\r\nHost : localhost\r\n\r\n", 400, ""),
        ("GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5,5\r\n\r\n", 400, ""),
    ] {
        let reply = server.send(request).await;
        assert_eq!(status(&reply), code, "{request}: {reply}");
        assert!(reply.ends_with(end), "{request}: {reply}");
    }
    let head = server.send("HEAD / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await;
    assert!(head.contains("content-length: 5\r\n"), "{head}");
}

#[tokio::test]
async fn a_client_that_has_ended_its_side_still_gets_its_reply() {
    let server = start(|_| {}).await;
    let mut stream = server.connect().await;
    stream.write_all(GET.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    assert!(rest(&mut stream).await.ends_with("hello"));
}

fn post(headers: &str, body: &str) -> String {
    format!("POST /echo HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n{body}")
}

#[tokio::test]
async fn only_json_is_taken_where_a_body_belongs() {
    let server = start(|_| {}).await;
    for (kind, code) in [
        ("Content-Type: application/json\r\n", 200),
        ("content-type: Application/JSON; charset=utf-8\r\n", 200),
        ("Content-Type: application/json ;x=y\r\n", 200),
        ("Content-Type: text/plain\r\n", 415),
        ("Content-Type: application/jsonp\r\n", 415),
        ("Content-Type: application/x-www-form-urlencoded\r\n", 415),
        ("Content-Type: application/json\r\nContent-Type: application/json\r\n", 415),
        ("Content-Type: \r\n", 415),
        ("", 415),
    ] {
        let reply = server.send(post(&format!("{kind}Content-Length: 2\r\n"), "[]")).await;
        assert_eq!(status(&reply), code, "{kind}: {reply}");
    }
}

#[tokio::test]
async fn a_body_that_waits_to_be_asked_for_is_asked_for() {
    let server = start(|_| {}).await;
    let expect = "Content-Type: application/json\r\nExpect: 100-continue\r\n";
    let mut stream = server.connect().await;
    stream.write_all(post(&format!("{expect}Content-Length: 4\r\n"), "").as_bytes()).await.unwrap();
    assert!(reply(&mut stream).await.starts_with("HTTP/1.1 100 Continue\r\n"));
    stream.write_all(b"true").await.unwrap();
    assert!(rest(&mut stream).await.ends_with("true"));

    // One that will not be taken is not.
    let mut stream = server.connect().await;
    stream.write_all(post(&format!("{expect}Content-Length: 10000000000\r\n"), "").as_bytes()).await.unwrap();
    assert_eq!(status(&reply(&mut stream).await), 413);
    let mut stream = server.connect().await;
    let foreign = "Content-Type: text/plain\r\nExpect: 100-continue\r\nContent-Length: 4\r\n";
    stream.write_all(post(foreign, "").as_bytes()).await.unwrap();
    assert_eq!(status(&reply(&mut stream).await), 415);
}

#[tokio::test]
async fn a_body_has_at_most_a_mebibyte() {
    let server = start(|_| {}).await;
    let json = "Content-Type: application/json\r\n";
    for (length, code) in [(1 << 20, 200), ((1 << 20) + 1, 413)] {
        let body = "x".repeat(length);
        let reply = server.send(post(&format!("{json}Content-Length: {length}\r\n"), &body)).await;
        assert_eq!(status(&reply), code);
        let chunked = format!("{length:x}\r\n{body}\r\n0\r\n\r\n");
        let reply = server.send(post(&format!("{json}Transfer-Encoding: chunked\r\n"), &chunked)).await;
        assert_eq!(status(&reply), code, "chunked");
    }
    // Chunks without end are refused once they are too many, and not read on.
    let mut stream = server.connect().await;
    stream.write_all(post(&format!("{json}Transfer-Encoding: chunked\r\n"), "").as_bytes()).await.unwrap();
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    let mut sent = 0;
    while sent < 256 && stream.write_all(chunk.as_bytes()).await.is_ok() {
        sent += 1;
    }
    assert!(sent < 256, "{sent}");
}

#[tokio::test]
async fn a_head_has_its_bounds() {
    let server = start(|_| {}).await;
    let request = |path: &str, headers: &str| {
        format!("GET /{path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n")
    };
    let headers = |count: usize| (0..count).map(|n| format!("x-{n}: y\r\n")).collect::<String>();
    for (request, code) in [
        (request(&"a".repeat(8000), ""), 404),
        (request(&"a".repeat(8200), ""), 414),
        (request(&"a".repeat(12_000), ""), 414),
        (request(&"a".repeat(65_536), ""), 414),
        (request("", &headers(98)), 200),
        (request("", &headers(99)), 431),
        (request("", &headers(1000)), 431),
        (request("", &format!("x: {}\r\n", "y".repeat(15_000))), 200),
        (request("", &format!("x: {}\r\n", "y".repeat(17_000))), 431),
        (request("", &format!("x: {}\r\n", "y".repeat(1 << 20))), 431),
    ] {
        let reply = server.send(&request).await;
        assert_eq!(status(&reply), code, "{} bytes: {reply}", request.len());
    }
}

#[tokio::test]
async fn slow_heads_and_slow_bodies_are_ended() {
    let server = start(|limits| (limits.head, limits.body, limits.idle) = (SHORT, SHORT, SHORT)).await;
    let began = Instant::now();
    let mut head = server.connect().await;
    head.write_all(b"GET / HTTP/1.1\r\nHo").await.unwrap();
    let mut body = server.connect().await;
    let announced = "Content-Type: application/json\r\nContent-Length: 9\r\n";
    body.write_all(post(announced, "123").as_bytes()).await.unwrap();
    let mut silent = server.connect().await;
    let (head, body, silent) = tokio::join!(rest(&mut head), rest(&mut body), rest(&mut silent));
    assert_eq!(status(&head), 408, "{head}");
    assert_eq!(status(&body), 408, "{body}");
    assert_eq!(silent, "", "who asked nothing is told nothing");
    assert!(began.elapsed() >= SHORT);
    assert_eq!(server.counts.asked.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_reply_that_is_not_taken_ends_its_connection() {
    let server = start(|limits| limits.stuck = SHORT).await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    // It takes the beginning, and then nothing for longer than allowed.
    assert_eq!(stream.read_u8().await.unwrap(), b'H');
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let mut taken = Vec::new();
    let ended = timeout(Duration::from_secs(10), stream.read_to_end(&mut taken)).await.expect("it ends");
    assert!(ended.is_err() || taken.len() < 64 << 20, "{}", taken.len());
}

#[tokio::test]
async fn a_panic_is_answered_and_disturbs_nobody() {
    let server = start(|_| {}).await;
    let mut other = server.connect().await;
    other.write_all(GET.as_bytes()).await.unwrap();
    reply(&mut other).await;
    let answer = server.send("GET /panic HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await;
    assert_eq!(status(&answer), 500);
    other.write_all(LAST.as_bytes()).await.unwrap();
    assert!(rest(&mut other).await.ends_with("hello"));
}

#[tokio::test]
async fn when_it_is_full_those_who_ask_nothing_make_room() {
    let server = start(|limits| {
        limits.connections = 16;
        limits.head = Duration::from_secs(60);
        limits.idle = Duration::from_secs(60);
    })
    .await;
    // One follows a stream: it is being answered all the time.
    let mut follower = server.connect().await;
    follower.write_all(b"GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut tick = [0; 512];
    assert!(follower.read(&mut tick).await.unwrap() > 0);

    let mut slow = Vec::new();
    for _ in 0..500 {
        let mut stream = server.connect().await;
        stream.write_all(b"GET / HTTP/1.1\r\nX: ").await.unwrap();
        slow.push(stream);
        if slow.len() % 50 == 0 {
            let began = Instant::now();
            assert!(server.send(LAST).await.ends_with("hello"));
            assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
        }
    }
    // The oldest had to go, the follower did not.
    let mut first = slow.swap_remove(0);
    assert_eq!(rest(&mut first).await, "");
    let mut seen = String::new();
    while seen.matches("tick").count() < 3 {
        let read = timeout(Duration::from_secs(5), follower.read(&mut tick)).await.unwrap().unwrap();
        assert!(read > 0, "the stream goes on");
        seen += &String::from_utf8_lossy(&tick[..read]);
    }
}

#[tokio::test]
async fn at_the_end_replies_under_way_are_finished_and_nobody_is_waited_for() {
    let server = start(|limits| limits.stop = SHORT).await;
    let mut idle = server.connect().await;
    idle.write_all(GET.as_bytes()).await.unwrap();
    reply(&mut idle).await;
    let mut stuck = server.connect().await;
    stuck.write_all(b"GET /never HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut body = server.connect().await;
    let announced = "Content-Type: application/json\r\nContent-Length: 4\r\n";
    body.write_all(post(announced, "").as_bytes()).await.unwrap();
    // Both are known to be under way once another has been answered after them.
    server.send(LAST).await;
    let began = Instant::now();
    server.stop.cancel();
    body.write_all(b"true").await.unwrap();
    assert!(rest(&mut body).await.ends_with("true"));
    assert_eq!(rest(&mut idle).await, "");
    assert_eq!(rest(&mut stuck).await, "");
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    assert!(TcpStream::connect(server.address).await.is_err());
}

#[tokio::test]
async fn at_the_end_nobody_who_has_asked_nothing_is_waited_for() {
    let server = start(|limits| limits.stop = Duration::from_secs(20)).await;
    let _silent = server.connect().await;
    let mut half = server.connect().await;
    half.write_all(b"GET / HTTP/1.1\r\nHo").await.unwrap();
    let mut idle = server.connect().await;
    idle.write_all(GET.as_bytes()).await.unwrap();
    reply(&mut idle).await;
    server.send(LAST).await;
    server.stop.cancel();
    // None of them ends its side.
    timeout(Duration::from_secs(5), server.over).await.expect("it has ended").unwrap();
}
