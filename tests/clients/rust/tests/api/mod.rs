//! What the crate has no words for is asked for by hand.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};

use serde_json::Value;

use crate::tcp::LONGEST_WAIT;

/// Where the daemon listens.
pub fn daemon() -> SocketAddr {
    let place = std::env::var("TOXIPROXY").unwrap_or_else(|_| "127.0.0.1:8474".into());
    place.to_socket_addrs().unwrap().find(SocketAddr::is_ipv4).unwrap()
}

/// What the daemon says.
pub struct Answer {
    pub status: u16,
    pub body: Value,
}

pub fn post(path: &str, body: &Value) -> Answer {
    ask("POST", path, &body.to_string())
}

pub fn delete(path: &str) -> Answer {
    ask("DELETE", path, "")
}

fn ask(method: &str, path: &str, body: &str) -> Answer {
    let mut connection = TcpStream::connect(daemon()).unwrap();
    connection.set_read_timeout(Some(LONGEST_WAIT)).unwrap();
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}"
    );
    write!(connection, "{head}\r\n\r\n{body}").unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, body: serde_json::from_str(body).unwrap_or_default() }
}
