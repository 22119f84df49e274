//! What the tests of this module share: surroundings, and endpoints on the loopback.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::{Address, Descriptors, Dialer, Host, Leave, Resolver, Surroundings};

/// So many descriptors.
#[derive(Debug)]
pub(super) struct Leaves(pub(super) Arc<Semaphore>);

impl Leaves {
    /// None of them taken.
    pub(super) fn new(n: usize) -> Arc<Self> {
        Arc::new(Leaves(Arc::new(Semaphore::new(n))))
    }

    /// How many are not taken.
    pub(super) fn left(&self) -> usize {
        self.0.available_permits()
    }
}

impl Descriptors for Leaves {
    fn take(&self) -> Option<Leave> {
        self.0.clone().try_acquire_owned().ok().map(|permit| Box::new(permit) as Leave)
    }
}

/// Surroundings with nobody else in them.
pub(super) fn around(descriptors: Arc<Leaves>) -> Surroundings {
    Surroundings {
        route: "it".into(),
        emitter: Default::default(),
        stats: Default::default(),
        dialer: Dialer::new(Resolver::system()),
        descriptors,
        header: None,
        keepalive: None,
        stopping: Default::default(),
    }
}

/// A listener, and its address.
pub(super) fn listener() -> (tokio::net::TcpListener, Address) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = address(listener.local_addr().unwrap());
    (tokio::net::TcpListener::from_std(listener).unwrap(), address)
}

/// The address of an endpoint.
pub(super) fn address(at: SocketAddr) -> Address {
    Address { host: Host::Ip(at.ip()), port: at.port() }
}

/// Waits until `fact` holds; not for ever.
pub(super) async fn eventually(what: &str, mut fact: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !fact() {
        assert!(begun.elapsed() < Duration::from_secs(20), "never: {what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
