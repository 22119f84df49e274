//! `slowClose`: the ending of a direction is held back.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::link::Next;
use super::stream::{Build, StreamFault};
use crate::spec::Period;

/// The ending of that direction is held back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SlowClose {
    /// For so long.
    pub delay: Period,
}

impl SlowClose {
    /// What becomes of a connection, as words that follow "is".
    pub fn says(&self) -> String {
        format!("ended {} later than its sender ended it", self.delay)
    }

    /// The same for a cell of a table.
    pub fn brief(&self) -> String {
        format!("slowClose {}", self.delay)
    }

    pub(super) fn build(&self, _: &Build<'_>) -> Box<dyn StreamFault> {
        Box::new(Behaviour { delay: self.delay })
    }
}

pub(super) struct Behaviour {
    delay: Period,
}

impl StreamFault for Behaviour {
    fn on_fin(&mut self, at: Instant, next: &mut Next<'_>) {
        next.delayed(self.delay.get());
        next.fin(at + self.delay.get());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::lab::{Lab, Out, ms};

    #[test]
    fn the_fin_comes_later_and_the_bytes_do_not() {
        let mut lab = Lab::new([json!({"slowClose": {"delay": "3s"}})]);
        lab.run_to(ms(100)).send([1]).run_to(ms(200));
        assert!(lab.told.is_empty(), "it acts on the ending only");
        lab.finish();
        assert_eq!(lab.events(), [(ms(100), Out::Bytes(vec![1])), (ms(3200), Out::Fin)]);
        assert_eq!((lab.deed().done.delay, lab.told), (ms(3000), vec!["slowClose".to_owned()]));
    }

    #[test]
    fn taken_away_it_lets_the_ending_go() {
        let mut lab = Lab::new([json!({"slowClose": {"delay": "3s"}})]);
        lab.finish().run_to(ms(100)).adopt(&[]);
        assert_eq!(lab.events(), [(ms(100), Out::Fin)]);
    }
}
