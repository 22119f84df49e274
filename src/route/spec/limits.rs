//! The limits of a route as a configuration writes them.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::route::config::{Excess, HELD, Limits};
use crate::spec::again::OrEmpty;
use crate::spec::{Complaint, Count, Field, Frequency, Positive, Size};

/// How much there may be of things on a route.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, expecting = "a mapping of limits such as {connections: 1000}")]
#[schemars(deny_unknown_fields)]
pub struct LimitsSpec {
    /// Connections at once. Left out: as many as come.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub connections: Field<Count<1, 1_000_000>>,
    /// New connections, such as 100/s. Left out: as often as they come.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub rate: Field<Frequency>,
    /// With a rate: how many may come together. Left out: as many as the rate gives in a second.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub burst: Field<Count<1, 1_000_000>>,
    /// What becomes of connections beyond `connections` and `rate`. Left out: refuse.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub excess: Field<ExcessSpec>,
    /// With `excess: queue`: how many wait, and how long. Left out: 100, for 5s.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub queue: Field<OrEmpty<QueueSpec>>,
    /// How many bytes the faults of one direction may hold; then the sender waits. Left out: 1MiB.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub held: Field<Size>,
}

/// What becomes of connections beyond a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ExcessSpec {
    /// They are ended at once.
    Refuse,
    /// They wait for their turn.
    Queue,
}

/// Who waits for a turn.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, expecting = "a mapping such as {size: 100, timeout: 5s}")]
#[schemars(deny_unknown_fields)]
pub struct QueueSpec {
    /// So many connections at most. Left out: 100.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub size: Field<Count<1, 1_000_000>>,
    /// Each for so long at most. Left out: 5s.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub timeout: Field<Positive>,
}

impl QueueSpec {
    fn meant(&self) -> Excess {
        Excess::Queue {
            size: self.size.get().map_or(100, |size| size.get()),
            timeout: self.timeout.get().map_or(Duration::from_secs(5), |timeout| timeout.get()),
        }
    }
}

impl LimitsSpec {
    /// The defaults, with what is written in their place.
    pub fn meant(&self) -> Limits {
        // At least one byte, or nothing would ever move.
        let held =
            self.held.get().map_or(HELD, |size| usize::try_from(size.bytes()).unwrap_or(usize::MAX)).max(1);
        let excess = match self.excess.get() {
            Some(ExcessSpec::Queue) => self.queue.get().cloned().unwrap_or_default().0.meant(),
            Some(ExcessSpec::Refuse) | None => Excess::Refuse,
        };
        Limits {
            connections: self.connections.get().map(|connections| connections.get()),
            rate: self.rate.get().copied(),
            burst: self.burst.get().map(|burst| burst.get()),
            excess,
            held,
        }
    }

    /// What cannot be beside each other.
    pub fn complaints(&self) -> Vec<Complaint> {
        let mut found = Vec::new();
        let mut add = |at, title, label| found.push(Complaint::new(at, title, label));
        if self.rate.is_absent() && !self.burst.is_absent() {
            let title = "`burst` has no meaning without `rate`";
            add(self.burst.node(), title, "add rate: 100/s, or take it away");
        }
        let queue = match &self.excess {
            Field::Absent => Some(false),
            Field::Bad => None,
            Field::Good { value, .. } => Some(*value == ExcessSpec::Queue),
        };
        if queue == Some(false) && !self.queue.is_absent() {
            let title = "`queue` has no meaning without `excess: queue`";
            add(self.queue.node(), title, "add excess: queue, or take it away");
        }
        if queue == Some(true) && self.connections.is_absent() && self.rate.is_absent() {
            let title = "`excess: queue` has no meaning without `connections` or `rate`";
            add(self.excess.node(), title, "add connections: 1000 or rate: 100/s, or take it away");
        }
        found
    }
}

impl From<&Limits> for LimitsSpec {
    /// The full form: what is held always, the others where they are set.
    fn from(limits: &Limits) -> LimitsSpec {
        let count = |count: Option<u32>| count.map_or(Field::Absent, |count| Count(count).into());
        let (excess, queue) = match limits.excess {
            Excess::Refuse => (Field::Absent, Field::Absent),
            Excess::Queue { size, timeout } => {
                let queue = QueueSpec { size: Count(size).into(), timeout: Positive::new(timeout).into() };
                (ExcessSpec::Queue.into(), OrEmpty(queue).into())
            }
        };
        LimitsSpec {
            connections: count(limits.connections),
            rate: limits.rate.map_or(Field::Absent, Field::from),
            burst: count(limits.burst),
            excess,
            queue,
            held: Size::new(u64::try_from(limits.held).unwrap_or(u64::MAX)).into(),
        }
    }
}
