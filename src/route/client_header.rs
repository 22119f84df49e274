//! The PROXY header at the beginning of a client's stream: taken out of it, and not a byte more.

use std::io;
use std::time::Duration;

use thiserror::Error;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::upstream::proxy_header::{Header, MOST, Parsed};

/// The longest header, whatever its version.
const LONGEST: usize = 16 + MOST;

/// Why a client's header was not read.
#[derive(Debug, Error)]
pub(super) enum Unread {
    /// It did not send one.
    #[error("no PROXY header")]
    Missing,
    /// It sent something wrong.
    #[error("bad PROXY header: {0}")]
    Bad(&'static str),
    /// Its connection broke.
    #[error(transparent)]
    Broken(#[from] io::Error),
}

/// Takes the header from the beginning of the stream, within `limit`.
pub(super) async fn take(client: &TcpStream, limit: Duration) -> Result<Header, Unread> {
    let mut bytes = Vec::new();
    match timeout(limit, take_into(client, &mut bytes)).await {
        Ok(taken) => taken,
        Err(_) if bytes.is_empty() => Err(Unread::Missing),
        Err(_) => Err(Unread::Bad("not whole in time")),
    }
}

/// Looks before it takes: as long as the header is not whole, all that has come belongs to it.
async fn take_into(client: &TcpStream, bytes: &mut Vec<u8>) -> Result<Header, Unread> {
    let mut window = vec![0; LONGEST];
    loop {
        let known = bytes.len();
        let seen = client.peek(window.get_mut(known..).unwrap_or_default()).await?;
        if seen == 0 {
            return Err(if known == 0 { Unread::Missing } else { Unread::Bad("it ends in the middle") });
        }
        bytes.extend_from_slice(window.get(known..known + seen).unwrap_or_default());
        let header = match Header::parse(bytes) {
            Parsed::Incomplete => None,
            Parsed::Missing => return Err(Unread::Missing),
            Parsed::Bad(why) => return Err(Unread::Bad(why)),
            Parsed::Done(header) => Some(header),
        };
        // The system has these: it has just shown them.
        let end = header.map_or(bytes.len(), |header| header.length);
        let mut left = window.get_mut(known..end).unwrap_or_default();
        while !left.is_empty() {
            match client.try_read(left) {
                Ok(0) => return Err(Unread::Bad("it ends in the middle")),
                Ok(n) => left = left.get_mut(n..).unwrap_or_default(),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => client.readable().await?,
                Err(e) => return Err(e.into()),
            }
        }
        if let Some(header) = header {
            return Ok(header);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::upstream::HeaderVersion;
    use crate::upstream::proxy_header::write;

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (client, listener.accept().await.unwrap().0)
    }

    #[tokio::test]
    async fn the_header_is_taken_and_nothing_else() {
        let (source, destination) = ("203.0.113.7:1".parse().unwrap(), "192.0.2.1:2".parse().unwrap());
        for version in [HeaderVersion::V1, HeaderVersion::V2] {
            let (mut client, mut server) = pair().await;
            let header = write(version, source, destination);
            client.write_all(&[&header[..], b"PROXY data\r\n"].concat()).await.unwrap();
            assert_eq!(take(&server, Duration::from_secs(5)).await.unwrap().source, Some(source));
            drop(client);
            let mut rest = String::new();
            server.read_to_string(&mut rest).await.unwrap();
            assert_eq!(rest, "PROXY data\r\n");
        }
    }

    /// The clock is paused when all that was sent has come, so that only the time limit is left to wait for.
    #[tokio::test]
    async fn a_silent_client_has_no_header_and_a_slow_one_no_whole_one() {
        for (sent, error) in [("", "no PROXY header"), ("PROX", "bad PROXY header: not whole in time")] {
            let (mut client, server) = pair().await;
            client.write_all(sent.as_bytes()).await.unwrap();
            if !sent.is_empty() {
                server.readable().await.unwrap();
            }
            tokio::time::pause();
            assert_eq!(take(&server, Duration::from_secs(5)).await.unwrap_err().to_string(), error);
            tokio::time::resume();
        }
    }

    #[tokio::test]
    async fn an_end_is_no_header_and_an_early_one_is_no_whole_one() {
        for (sent, error) in [
            ("", "no PROXY header"),
            ("GET / HTTP/1.1\r\n", "no PROXY header"),
            ("PROXY TCP4 1.", "bad PROXY header: it ends in the middle"),
        ] {
            let (mut client, server) = pair().await;
            client.write_all(sent.as_bytes()).await.unwrap();
            client.shutdown().await.unwrap();
            assert_eq!(take(&server, Duration::from_secs(5)).await.unwrap_err().to_string(), error);
        }
    }
}
