//! A pool as a configuration writes it.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::spec::{Complaint, Count, Field, Positive};
use crate::upstream::PoolConfig;

/// Connections opened ahead of need.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, expecting = "a mapping such as {size: 4}, or {} for the defaults")]
#[schemars(deny_unknown_fields)]
pub struct PoolSpec {
    /// How many wait for each endpoint. Left out: 4.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub size: Field<Count<1, 1000>>,
    /// How long one may wait. Left out: 60s.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub max_age: Field<Positive>,
}

/// Replaced more often, a connection is of no use to anybody.
const SHORTEST_AGE: Duration = Duration::from_millis(100);

impl PoolSpec {
    /// The defaults, with what is written in their place.
    pub fn meant(&self) -> PoolConfig {
        PoolConfig {
            size: self.size.get().map_or(4, |size| size.get()),
            max_age: self.max_age.get().map_or(Duration::from_secs(60), |age| age.get()),
        }
    }

    /// What makes no sense.
    pub(super) fn complaints(&self) -> Option<Complaint> {
        let hurried = self.max_age.get().is_some_and(|age| age.get() < SHORTEST_AGE);
        hurried.then(|| {
            let title = "pool.maxAge must be at least 100ms";
            Complaint::new(
                self.max_age.node(),
                title,
                "connections would be replaced before anybody needs one",
            )
        })
    }
}

impl From<&PoolConfig> for PoolSpec {
    fn from(pool: &PoolConfig) -> PoolSpec {
        PoolSpec { size: Count(pool.size).into(), max_age: Positive::new(pool.max_age).into() }
    }
}
