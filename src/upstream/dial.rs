//! Reaching one endpoint at any of its addresses, within one time limit.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use thiserror::Error;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::builtin::BuiltinStream;
use super::race::{interleaved, race};
use super::{Address, Denied, Descriptors, Host, Leave, Permits, ResolveError, Resolver};
use crate::observe::ConnectResult;

/// A reached upstream.
pub enum Link {
    /// Over TCP.
    Tcp(TcpStream),
    /// Inside this program.
    Builtin(BuiltinStream),
}

/// Why an endpoint was not reached.
#[derive(Debug, Error)]
pub enum DialError {
    /// The name could not be resolved.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// No address took the connection; the last to fail said this.
    #[error("{}", reason(.0))]
    Connect(#[source] io::Error),
    /// Nothing answered in time.
    #[error("no answer in time")]
    Timeout,
    /// It leads to where the control API may not point.
    #[error("the address {0}")]
    Denied(#[from] Denied),
}

impl DialError {
    /// As if it had refused.
    pub(super) fn refused() -> Self {
        DialError::Connect(io::ErrorKind::ConnectionRefused.into())
    }

    /// What it counts as.
    pub fn result(&self) -> ConnectResult {
        match self {
            DialError::Resolve(_) | DialError::Denied(_) => ConnectResult::Error,
            DialError::Timeout => ConnectResult::Timeout,
            DialError::Connect(error) => match error.kind() {
                io::ErrorKind::ConnectionRefused => ConnectResult::Refused,
                io::ErrorKind::TimedOut => ConnectResult::Timeout,
                _ => ConnectResult::Error,
            },
        }
    }
}

/// Opens connections. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Dialer {
    resolver: Arc<Resolver>,
    permits: Arc<Permits>,
    /// Who gives leave for a second descriptor and more while addresses are raced; none: there are enough.
    descriptors: Option<Arc<dyn Descriptors>>,
}

impl Dialer {
    /// That asks this resolver for names.
    pub fn new(resolver: Arc<Resolver>) -> Self {
        Dialer { resolver, permits: Arc::default(), descriptors: None }
    }

    /// The same, drawing on these descriptors for every attempt beside another one.
    pub fn drawing_on(self, descriptors: Arc<dyn Descriptors>) -> Self {
        Dialer { descriptors: Some(descriptors), ..self }
    }

    /// Who knows the addresses of names.
    pub fn resolver(&self) -> &Arc<Resolver> {
        &self.resolver
    }

    /// What it may dial.
    pub fn permits(&self) -> &Permits {
        &self.permits
    }

    /// Connects to an address before `until`: to the first of its addresses that takes the connection.
    pub async fn connect(&self, address: &Address, until: Instant) -> Result<TcpStream, DialError> {
        let stream = match &address.host {
            Host::Ip(ip) => {
                self.permits.dialled(address, &[*ip])?;
                let connected = timeout_at(until, TcpStream::connect((*ip, address.port))).await;
                connected.map_err(|_| DialError::Timeout)?.map_err(DialError::Connect)?
            }
            Host::Name(name) => {
                let found = timeout_at(until, self.resolver.addresses(name)).await;
                let found = found.map_err(|_| DialError::Timeout)??;
                let found = self.permits.dialled(address, &found)?;
                let with_port = |ip| SocketAddr::new(ip, address.port);
                let addresses: Vec<_> = interleaved(&found).into_iter().map(with_port).collect();
                let beside = || match &self.descriptors {
                    Some(descriptors) => descriptors.take(),
                    None => Some(Box::new(()) as Leave),
                };
                race(&addresses, until, TcpStream::connect::<SocketAddr>, beside).await?
            }
        };
        // Small messages must not wait for each other. Where it cannot be set the stream is dead, and says so.
        let _ = stream.set_nodelay(true);
        // The urgent byte stays in its place in the stream.
        let _ = socket2::SockRef::from(&stream).set_out_of_band_inline(true);
        Ok(stream)
    }
}

/// What the system said, in the words people search for.
pub(super) fn reason(error: &io::Error) -> String {
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
    use std::future::{Future, ready};
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener};
    use std::pin::Pin;
    use std::time::Duration;

    use super::*;
    use crate::upstream::Resolve;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    /// Gives these addresses to every name; none: it fails.
    #[derive(Debug)]
    struct Names(Option<Vec<IpAddr>>);

    impl Resolve for Names {
        fn lookup<'a>(
            &'a self,
            _name: &'a str,
        ) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + 'a>> {
            Box::pin(ready(self.0.clone().ok_or_else(|| io::Error::other("SERVFAIL"))))
        }
    }

    async fn dial(addresses: Option<Vec<IpAddr>>, port: u16) -> Result<TcpStream, DialError> {
        let dialer = Dialer::new(Resolver::new(Arc::new(Names(addresses))));
        let address = Address { host: Host::Name("db.internal".into()), port };
        dialer.connect(&address, Instant::now() + Duration::from_secs(5)).await
    }

    fn listening() -> (TcpListener, u16) {
        let listener = TcpListener::bind((HERE, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        (listener, port)
    }

    fn nobody() -> u16 {
        listening().1
    }

    #[tokio::test]
    async fn a_port_where_nobody_listens_refuses_at_once() {
        let address = Address { host: Host::Ip(HERE), port: nobody() };
        let started = Instant::now();
        let until = started + Duration::from_secs(5);
        let error =
            Dialer::new(Resolver::system()).connect(&address, until).await.expect_err("nobody listens");
        assert_eq!((error.to_string().as_str(), error.result().word()), ("connection refused", "refused"));
        assert!(started.elapsed() < Duration::from_secs(1));
    }

    #[tokio::test]
    async fn a_name_whose_first_address_does_not_listen_is_reached_at_the_next() {
        let (_listener, port) = listening();
        let stream = dial(Some(vec![Ipv6Addr::LOCALHOST.into(), HERE]), port).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), SocketAddr::new(HERE, port));
        assert!(stream.nodelay().unwrap());
    }

    #[tokio::test]
    async fn the_last_of_sixty_four_addresses_is_reached() {
        let (_listener, port) = listening();
        let mut addresses: Vec<IpAddr> = (2..65).map(|i| Ipv4Addr::new(127, 0, 0, i).into()).collect();
        addresses.push(HERE);
        let stream = dial(Some(addresses), port).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), SocketAddr::new(HERE, port));
    }

    #[tokio::test]
    async fn a_name_that_no_address_takes_is_told_as_the_last_one_said() {
        let error = dial(Some(vec![Ipv4Addr::new(127, 0, 0, 2).into(), HERE]), nobody()).await.unwrap_err();
        assert_eq!((error.to_string().as_str(), error.result().word()), ("connection refused", "refused"));
    }

    #[tokio::test]
    async fn a_name_that_is_not_resolved_is_told_as_such() {
        let error = dial(None, 1).await.unwrap_err();
        assert_eq!(error.to_string(), "name not resolved: SERVFAIL");
        let error = dial(Some(Vec::new()), 1).await.unwrap_err();
        assert_eq!((error.to_string().as_str(), error.result().word()), ("name not found", "error"));
    }

    #[tokio::test]
    async fn localhost_is_a_name_like_others() {
        // On most machines it is ::1 and 127.0.0.1; only the latter listens here.
        let (_listener, port) = listening();
        let name = Address { host: Host::Name("localhost".into()), port };
        let until = Instant::now() + Duration::from_secs(5);
        assert!(Dialer::new(Resolver::system()).connect(&name, until).await.is_ok());
    }
}
