//! `noop`: changes nothing, and says that it was here.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::link::Next;
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::lab::{Lab, Out, active, bytes_from, ms};

    #[test]
    fn it_changes_nothing_and_says_once_that_it_was_here() {
        let mut lab = Lab::new([json!({"noop": {}})]);
        lab.send_in(5000, 5000).finish();
        assert_eq!(lab.events(), [(ms(0), Out::Bytes(bytes_from(0, 5000))), (ms(0), Out::Fin)]);
        assert_eq!((lab.deed().done.amount, lab.deed().done.delay), (0, ms(0)));
        assert_eq!(lab.told, ["noop"]);
    }

    /// Two changes may come before anyone asks.
    #[test]
    fn it_is_told_even_when_it_is_gone_at_once() {
        let mut lab = Lab::new([]);
        lab.adopt(&[active(json!({"noop": {}}), 1)]);
        lab.adopt(&[]);
        assert!(!lab.chain.is_empty(), "there is something to tell");
        lab.run();
        assert_eq!((lab.told.as_slice(), lab.chain.is_empty()), (["noop".to_owned()].as_slice(), true));
        assert_eq!(lab.chain.deeds().len(), 1);
    }
}
