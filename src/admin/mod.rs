//! The control API.

mod exposition;
pub mod metrics;
pub mod stats;

pub use exposition::{Family, Format, Kind};
