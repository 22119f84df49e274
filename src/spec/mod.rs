//! What every specification is read with: values with units, names, places, diagnostics.
//!
//! Nothing here knows what a route or a fault is, nor where a document came from. A value type says in words what is
//! wrong with a text; it never repeats the text itself, because the text may hold a secret. Who reads the document
//! knows the place and what stood there, and puts the two together.

pub mod after;
pub mod again;
pub mod allowed;
pub mod cidr;
pub mod complaint;
pub mod count;
pub mod diagnostic;
pub mod endpoint;
pub mod field;
pub mod frequency;
pub mod limit;
pub mod millis;
pub mod name;
pub(crate) mod pattern;
pub(crate) mod percent;
pub mod period;
pub mod place;
pub mod positive;
pub mod probability;
pub mod proxy_address;
pub mod rate;
pub mod report;
pub mod size;
pub mod source;
pub mod suggest;
pub mod text;

pub use after::After;
pub use allowed::Allowed;
pub use cidr::Cidr;
pub use complaint::Complaint;
pub use count::Count;
pub use diagnostic::{Diagnostic, Problems};
pub use field::Field;
pub use frequency::Frequency;
pub use limit::Limit;
pub use millis::Millis;
pub use name::Name;
pub use period::Period;
pub use place::{NodeId, Place, Span};
pub use positive::Positive;
pub use probability::Probability;
pub use proxy_address::{ProxyHost, ProxyListen, ProxyListenError, proxy_upstream};
pub use rate::Rate;
pub use size::Size;
