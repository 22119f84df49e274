//! Where a route's connections go: an address to dial, or a responder inside this program.

mod builtin;
mod dial;
mod endpoint;

pub use dial::{DialError, Link, dial};
pub use endpoint::{Address, Builtin, Endpoint, EndpointError, Host};
