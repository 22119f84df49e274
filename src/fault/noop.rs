//! `noop`: changes nothing, and says that it was here.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::chain::Next;
use super::stream::{Build, StreamFault};

/// Changes nothing and fires.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Noop {}

impl Noop {
    /// What becomes of a connection, as words that follow "is".
    pub fn says(&self) -> String {
        "left as it is".to_owned()
    }

    /// The same for a cell of a table.
    pub fn brief(&self) -> String {
        "noop".to_owned()
    }

    pub(super) fn build(&self, _: &Build<'_>) -> Box<dyn StreamFault> {
        Box::new(Behaviour)
    }
}

pub(super) struct Behaviour;

impl StreamFault for Behaviour {
    fn on_start(&mut self, next: &mut Next<'_>) {
        next.fire();
    }
}
