//! What is known of a connection while it lives: its task writes it, and whoever asks reads it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::fault::dice::Dice;
use crate::observe::{Bytes, ConnectionRef, Direction, Meter, unmapped};
use crate::upstream::proxy_header::Header;

/// A connection's own facts.
#[derive(Debug)]
pub(super) struct Life {
    pub(super) route: Arc<str>,
    pub(super) number: u64,
    pub(super) id: u64,
    /// The socket's peer.
    pub(super) client: SocketAddr,
    /// What the client's PROXY header says, where it had to have one.
    header: OnceLock<Box<Header>>,
    pub(super) accepted: Instant,
    opened: SystemTime,
    pub(super) meter: Meter,
    /// The connection's own.
    pub(super) dice: Dice,
    /// Where it goes, once it is there.
    pub(super) upstream: OnceLock<Arc<str>>,
    fired: Mutex<Vec<Arc<str>>>,
}

/// A live connection as it is seen from outside.
#[derive(Clone, Debug)]
pub struct ConnectionView {
    /// Its number in the process.
    pub id: u64,
    /// Its number on the route.
    pub number: u64,
    /// Its route.
    pub route: Arc<str>,
    /// The client, or the one that it speaks for.
    pub client: SocketAddr,
    /// Where it goes; none until the upstream is reached.
    pub upstream: Option<Arc<str>>,
    /// When it was accepted.
    pub opened: SystemTime,
    /// How long ago that was.
    pub age: Duration,
    /// Bytes sent on so far, each way.
    pub bytes: Bytes,
    /// The faults that fired on it, in the order in which they first did.
    pub fired: Vec<Arc<str>>,
}

impl Life {
    pub(super) fn new(
        route: Arc<str>,
        (number, id): (u64, u64),
        client: SocketAddr,
        accepted: Instant,
        meter: Meter,
        dice: Dice,
    ) -> Self {
        let (upstream, header, fired) = (OnceLock::new(), OnceLock::new(), Mutex::default());
        let opened = SystemTime::now();
        Life { route, number, id, client, header, accepted, opened, meter, dice, upstream, fired }
    }

    /// How events name it.
    pub(super) fn reference(&self) -> ConnectionRef {
        ConnectionRef { route: self.route.clone(), number: self.number, id: self.id, client: self.client() }
    }

    /// Its header has come.
    pub(super) fn speaks_for(&self, header: Header) {
        // Nobody else sets it.
        let _ = self.header.set(Box::new(header));
    }

    /// The client that is shown and told of: whom the header names, else the socket's peer.
    pub(super) fn client(&self) -> SocketAddr {
        self.header.get().and_then(|header| header.source).unwrap_or(self.client)
    }

    /// Where the client wanted to go, where a header says so.
    pub(super) fn destination(&self) -> Option<SocketAddr> {
        self.header.get().and_then(|header| header.destination)
    }

    /// Bytes sent on so far.
    pub(super) fn bytes(&self) -> Bytes {
        Bytes {
            upstream: self.meter.sent(Direction::Upstream),
            downstream: self.meter.sent(Direction::Downstream),
        }
    }

    /// A fault took effect on it.
    pub(super) fn note_fired(&self, fault: &Arc<str>) {
        let mut fired = self.fired.lock().unwrap_or_else(PoisonError::into_inner);
        if !fired.contains(fault) && fired.len() < MOST_NAMES {
            fired.push(fault.clone());
        }
    }

    /// What is known now.
    pub(super) fn view(&self) -> ConnectionView {
        ConnectionView {
            id: self.id,
            number: self.number,
            route: self.route.clone(),
            client: unmapped(self.client()),
            upstream: self.upstream.get().cloned(),
            opened: self.opened,
            age: self.accepted.elapsed(),
            bytes: self.bytes(),
            fired: self.fired.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }
}

/// A connection that outlives more faults than this tells of the first ones.
const MOST_NAMES: usize = 64;
