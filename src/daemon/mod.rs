//! The daemon: all routes together, from the first bind to the last connection.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use chaos_proxy::config::Config;
//! use chaos_proxy::daemon::Daemon;
//!
//! let config = Config::from_text("routes: [{name: web, localPort: auto, upstream: 'builtin:http', latencyMs: 200}]")?;
//! let daemon = Daemon::start(config).await?;
//! let address = daemon.addr("web").expect("the route is open");
//! // … speak to `address` …
//! daemon.drain().await;
//! # Ok(())
//! # }
//! ```

mod apply;
mod bind;
mod change;
mod control;
mod handle;
mod listening;
mod outcome;
mod permit;
mod shared;
mod start;
pub mod stats;

pub use control::Control;
pub use handle::{Drained, Handle};
pub use outcome::{Applied, ControlError, Live, Status};
pub(crate) use permit::as_it_may_be;
pub use start::{BindFailure, StartError};
pub use stats::{OfRoute, Stats};

/// The way in: [`Daemon::start`].
#[derive(Debug)]
pub struct Daemon;
