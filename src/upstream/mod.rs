//! Where a route's connections go: endpoints to dial, each with its health, breaker and pool, or responders inside this
//! program.

mod balance;
mod breaker;
mod builtin;
mod circuit;
mod config;
mod dial;
mod group;
mod health;
#[cfg(test)]
mod lab;
mod member;
pub mod permits;
mod pool;
mod probe;
pub mod proxy_header;
mod race;
mod resolve;
mod spec;
mod verdict;
mod waiting;

pub use config::{
    Balance, BreakerConfig, HealthConfig, HttpCheck, MAX_ENDPOINTS, PoolConfig, Target, Trip, UpstreamConfig,
    WhenAllDown,
};
pub use dial::{DialError, Dialer, Link};
pub use group::{Mishap, Reached, Unreached, Upstream, Witness};
pub use member::{Descriptors, EndpointView, Leave, Seat, Surroundings};
pub use permits::{Denied, Permits};
pub use proxy_header::HeaderVersion;
pub use resolve::{Resolve, ResolveError, Resolver};
pub use spec::{
    BreakerSpec, HealthSpec, HostHeader, HttpPath, PoolSpec, TargetFull, TargetSpec, UpstreamFull,
    UpstreamSpec,
};

pub use crate::spec::endpoint::{Address, Builtin, Endpoint, EndpointError, Host};
