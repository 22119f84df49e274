//! Where a route's connections go: an address to dial, or a responder inside this program.

mod builtin;
mod dial;

pub use dial::{DialError, Link, dial};

pub use crate::spec::endpoint::{Address, Builtin, Endpoint, EndpointError, Host};
