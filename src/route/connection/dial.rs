//! The dialling of the upstream, and what goes wrong with it.

use std::pin::pin;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::Connection;
use super::ending::End;
use crate::fault::Effect;
use crate::observe::{Fact, Side};
use crate::relay::{self, Transport};
use crate::route::ProxyProtocol;
use crate::route::entry::Taken;
use crate::upstream::{DialError, Endpoint, Mishap, Reached, Unreached, Witness, proxy_header};

/// A handshake that is finished within this time after the client broke was finished, for all we know, before.
const SAME_MOMENT: Duration = Duration::from_millis(50);

impl Connection<'_> {
    /// Dials, unless the client breaks meanwhile. An upstream that is reached in the same moment hears of it from the
    /// relay: first what the client had sent, then the reset.
    pub(super) async fn dial(&self, client: &TcpStream) -> Result<Result<Reached, Unreached>, End> {
        // It goes where the route leads now, not where it led when the client came and had to wait.
        let terms = self.route.now().terms.clone();
        let until = Instant::now() + terms.timeouts.connect;
        let header = self.header(client, &terms.proxy_protocol);
        let mut dialling = pin!(terms.upstream.reach(&self.life.dice, until, &header, self));
        tokio::select! {
            biased;
            done = &mut dialling => Ok(done),
            // Not `broken`, which would take the error away from the relay.
            _ = client.ready(Interest::ERROR) => match tokio::time::timeout(SAME_MOMENT, dialling).await {
                Ok(done) => Ok(done),
                Err(_) => Err(End::new(relay::ending_of(&client.broken().await), Side::Client)),
            },
        }
    }

    /// What the upstream is told first.
    fn header(&self, client: &TcpStream, proxy_protocol: &ProxyProtocol) -> Vec<u8> {
        let Some(version) = proxy_protocol.send else { return Vec::new() };
        match self.life.destination().map_or_else(|| client.local_addr(), Ok) {
            Ok(destination) => proxy_header::write(version, self.life.client(), destination),
            // The client is gone, and the relay will see it.
            Err(_) => proxy_header::own(version),
        }
    }

    /// Tells that a fault took effect on a dial, once; that it made another dial take longer is counted all the same.
    fn tell_fired_on_dial(&self, fault: &Taken, delay: Option<Duration>, at: &Endpoint) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if !told.iter().any(|told| Arc::ptr_eq(told, &fault.fault)) {
            told.push(fault.fault.clone());
            self.tell_fired(fault, delay, Some(&at.to_string().into()));
        } else if let Some(delay) = delay {
            fault.stats.count_delay(delay);
        }
    }
}

impl Witness for Connection<'_> {
    fn dialling(&self, endpoint: &Endpoint) -> Vec<Mishap> {
        let aimed = self.route.now().faults.dialling(self.life.number, endpoint, Instant::now());
        let mut taken: Vec<&Taken> = self.on_dial.iter().chain(&aimed).collect();
        taken.sort_by_key(|taken| taken.place);
        let mut mishaps = Vec::new();
        for fault in taken {
            let (mishap, delay) = match fault.effect() {
                Effect::ConnectDelay(slow) => {
                    let delay = slow.sample(&fault.dice);
                    (Mishap::Wait(delay), Some(delay))
                }
                _ => (Mishap::Refuse, None),
            };
            self.tell_fired_on_dial(fault, delay, endpoint);
            mishaps.push(mishap);
            if mishap == Mishap::Refuse {
                // Nothing comes after that.
                break;
            }
        }
        mishaps
    }

    fn failed(&self, endpoint: &Arc<str>, after: Duration, error: &DialError) {
        self.route.tell(Fact::UpstreamFailed {
            of: self.life.reference(),
            upstream: endpoint.clone(),
            duration: after,
            error: error.to_string().into(),
            result: error.result(),
        });
    }
}
