//! Telling: events, counters, the log.
//!
//! A fact is written once, as an [`Event`]; what hears of it is decided here and nowhere else.

mod bug;
pub mod build;
mod clock;
mod emitter;
mod event;
mod histogram;
pub mod journal;
pub(crate) mod json;
pub mod log;
mod log_config;
mod process;
mod stats;
pub mod text;
mod words;
mod writer;

pub(crate) use clock::rfc3339;
pub use emitter::Emitter;
pub(crate) use event::unmapped;
pub use event::{By, Bytes, ConnectionRef, DeedDone, Event, Fact, Firing, Level};
pub use histogram::{Histogram, Snapshot};
pub use journal::Journal;
pub(crate) use json::escape_beyond_json;
pub use log_config::{Filter, FilterError, Format, LogConfig, LogSpec};
pub use process::ProcessStats;
pub use stats::{FaultStats, Meter, RouteStats};
pub use words::{AcceptError, BreakerState, ConnectResult, Direction, Ending, Health, Side};
pub use writer::Writer;
