//! How much and how long: every bound of the server in one place.

use std::time::Duration;

/// The longest address.
pub(super) const URI: usize = 8 << 10;
/// The largest head.
pub(super) const HEAD: usize = 16 << 10;
/// The most headers.
pub(super) const HEADERS: usize = 100;
/// The largest body.
pub(super) const BODY: usize = 1 << 20;

/// How many connections there may be, and how long things may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// So many connections are held.
    pub(super) connections: usize,
    /// A head, from its first byte to its last.
    pub(super) head: Duration,
    /// A body, from the end of the head.
    pub(super) body: Duration,
    /// Silence between two requests.
    pub(super) idle: Duration,
    /// A client that takes nothing of a reply.
    pub(super) stuck: Duration,
    /// Replies under way when the server is to stop.
    pub(super) stop: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections: crate::route::CONTROL_CONNECTIONS,
            head: Duration::from_secs(5),
            body: Duration::from_secs(10),
            idle: Duration::from_secs(60),
            stuck: Duration::from_secs(30),
            stop: Duration::from_secs(1),
        }
    }
}
