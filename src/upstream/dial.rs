//! Reaching an upstream: in the connection's own task, all its addresses, within one time limit.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use thiserror::Error;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::builtin::BuiltinStream;
use super::{Address, Endpoint, Host};
use crate::observe::ConnectResult;

/// A reached upstream.
pub enum Link {
    /// Over TCP.
    Tcp(TcpStream),
    /// Inside this program.
    Builtin(BuiltinStream),
}

/// Why an upstream was not reached.
#[derive(Debug, Error)]
pub enum DialError {
    /// The name has no address.
    #[error("name not found")]
    NoAddress,
    /// The name could not be resolved.
    #[error("name not resolved: {0}")]
    Resolve(#[source] io::Error),
    /// No address took the connection; the last one said this.
    #[error("{}", reason(.0))]
    Connect(#[source] io::Error),
    /// Nothing answered in time.
    #[error("no answer in time")]
    Timeout,
}

impl DialError {
    /// What it counts as.
    pub fn result(&self) -> ConnectResult {
        match self {
            DialError::NoAddress | DialError::Resolve(_) => ConnectResult::Error,
            DialError::Timeout => ConnectResult::Timeout,
            DialError::Connect(error) => match error.kind() {
                io::ErrorKind::ConnectionRefused => ConnectResult::Refused,
                io::ErrorKind::TimedOut => ConnectResult::Timeout,
                _ => ConnectResult::Error,
            },
        }
    }
}

/// Connects to an endpoint within `limit`.
pub async fn dial(endpoint: &Endpoint, limit: Duration) -> Result<Link, DialError> {
    match endpoint {
        Endpoint::Builtin(builtin) => Ok(Link::Builtin(BuiltinStream::new(*builtin))),
        Endpoint::Address(address) => dial_address(address, Instant::now() + limit).await.map(Link::Tcp),
    }
}

async fn dial_address(address: &Address, until: Instant) -> Result<TcpStream, DialError> {
    let addresses = match timeout_at(until, resolve(address)).await {
        Ok(resolved) => resolved.map_err(DialError::Resolve)?,
        Err(_) => return Err(DialError::Timeout),
    };
    let mut failure = DialError::NoAddress;
    for (i, address) in addresses.iter().enumerate() {
        // An address that does not answer may not use up the time of those behind it.
        let now = Instant::now();
        let share = until.saturating_duration_since(now) / (addresses.len() - i) as u32;
        match timeout_at(now + share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // Small messages must not wait for each other. Where it cannot be set the stream is dead, and says so.
                let _ = stream.set_nodelay(true);
                // The urgent byte stays in its place in the stream.
                let _ = socket2::SockRef::from(&stream).set_out_of_band_inline(true);
                return Ok(stream);
            }
            Ok(Err(e)) => failure = DialError::Connect(e),
            Err(_) => failure = DialError::Timeout,
        }
    }
    Err(failure)
}

async fn resolve(address: &Address) -> io::Result<Vec<SocketAddr>> {
    match &address.host {
        Host::Ip(ip) => Ok(vec![SocketAddr::new(*ip, address.port)]),
        Host::Name(name) => Ok(tokio::net::lookup_host((&**name, address.port)).await?.collect()),
    }
}

/// What the system said, in the words people search for.
fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        io::ErrorKind::ConnectionReset => "connection reset".to_owned(),
        io::ErrorKind::HostUnreachable => "host unreachable".to_owned(),
        io::ErrorKind::NetworkUnreachable => "network unreachable".to_owned(),
        io::ErrorKind::TimedOut => "no answer in time".to_owned(),
        io::ErrorKind::PermissionDenied => "not permitted".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn local(port: u16) -> Endpoint {
        Endpoint::Address(Address { host: Host::Ip(Ipv4Addr::LOCALHOST.into()), port })
    }

    #[tokio::test]
    async fn a_port_where_nobody_listens_refuses_at_once() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let started = Instant::now();
        let error = dial(&local(free), Duration::from_secs(5)).await.err().expect("nobody listens");
        assert_eq!((error.to_string().as_str(), error.result().word()), ("connection refused", "refused"));
        assert!(started.elapsed() < Duration::from_secs(1));
    }

    #[tokio::test]
    async fn a_name_tries_all_its_addresses() {
        // On most machines `localhost` is ::1 and 127.0.0.1; only the latter listens here.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let name = Endpoint::Address(Address { host: Host::Name("localhost".into()), port });
        assert!(matches!(dial(&name, Duration::from_secs(5)).await, Ok(Link::Tcp(_))));
    }
}
