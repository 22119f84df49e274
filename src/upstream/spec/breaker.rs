//! A breaker as a configuration writes it.

use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::spec::{Complaint, Count, Field, Positive, Probability};
use crate::upstream::{BreakerConfig, Trip};

/// When an endpoint that fails is left alone: after failures in a row, or when a share of the dials failed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(
    rename_all = "camelCase",
    default,
    expecting = "a mapping such as {failures: 5}, or {} for the defaults"
)]
#[schemars(deny_unknown_fields)]
pub struct BreakerSpec {
    /// So many failures one after the other open it. Left out: 5, unless there is a share.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub failures: Field<Count<1, 1000>>,
    /// So large a share of failures within the window opens it, instead of failures in a row.
    #[serde(skip_serializing_if = "Field::is_absent")]
    #[schemars(schema_with = "share")]
    pub share: Field<Probability>,
    /// With a share: how many dials there must be before it counts. Left out: 20.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub minimum: Field<Count<1, 1000>>,
    /// What is longer ago than this does not count. Left out: 30s.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub window: Field<Positive>,
    /// How long it stays open. Left out: 10s.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub open: Field<Positive>,
    /// How many connections are then let through at once to try; so many successes close it. Left out: 1.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub probes: Field<Count<1, 1000>>,
}

fn share(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "number", "exclusiveMinimum": 0, "maximum": 1})
}

impl BreakerSpec {
    /// The defaults, with what is written in their place.
    pub fn meant(&self) -> BreakerConfig {
        let time = |field: &Field<Positive>, default| {
            field.get().map_or(Duration::from_secs(default), |time| time.get())
        };
        let trip = match self.share.get() {
            Some(share) => {
                Trip::Share { share: *share, minimum: self.minimum.get().map_or(20, |minimum| minimum.get()) }
            }
            None => Trip::Failures(self.failures.get().map_or(5, |failures| failures.get())),
        };
        BreakerConfig {
            trip,
            window: time(&self.window, 30),
            open: time(&self.open, 10),
            probes: self.probes.get().map_or(1, |probes| probes.get()),
        }
    }

    /// What cannot be beside each other.
    pub(super) fn complaints(&self) -> Vec<Complaint> {
        let mut found = Vec::new();
        if self.share.get().is_some_and(|share| share.get() <= 0.0) {
            let title = "`share` must be more than 0";
            found.push(Complaint::new(self.share.node(), title, "the breaker would open by itself"));
        }
        if !self.share.is_absent() && !self.failures.is_absent() {
            let (at, other) = (self.share.node(), self.failures.node());
            let complaint = Complaint::new(
                at,
                "a breaker has `failures` or a `share`, not both",
                "take one of them away",
            );
            found.push(Complaint { other: other.map(|other| ("failures is", other)), ..complaint });
        }
        if self.share.is_absent() && !self.minimum.is_absent() {
            let title = "`minimum` has no meaning without `share`";
            found.push(Complaint::new(self.minimum.node(), title, "add share: 0.5, or take it away"));
        }
        found
    }
}

impl From<&BreakerConfig> for BreakerSpec {
    fn from(breaker: &BreakerConfig) -> BreakerSpec {
        let rest = BreakerSpec {
            window: Positive::new(breaker.window).into(),
            open: Positive::new(breaker.open).into(),
            probes: Count(breaker.probes).into(),
            ..BreakerSpec::default()
        };
        match breaker.trip {
            Trip::Failures(failures) => BreakerSpec { failures: Count(failures).into(), ..rest },
            Trip::Share { share, minimum } => {
                BreakerSpec { share: share.into(), minimum: Count(minimum).into(), ..rest }
            }
        }
    }
}
