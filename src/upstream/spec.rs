//! An upstream as a configuration writes it: an address, a list of them, or an object that says everything.

mod breaker;
mod full;
mod health;
mod pool;

pub use breaker::BreakerSpec;
pub use health::{HealthSpec, HostHeader, HttpPath};
pub use pool::PoolSpec;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Balance, Endpoint, MAX_ENDPOINTS, Target, UpstreamConfig, WhenAllDown};
use crate::spec::again::{OrEmpty, map_list_or, map_or};
use crate::spec::{Complaint, Count, Field, NodeId};

/// Where the connections of a route go, as a configuration writes it.
#[derive(Clone, Debug, PartialEq)]
pub enum UpstreamSpec {
    /// One endpoint.
    One(Endpoint),
    /// Several, in failover order.
    List(Vec<Field<TargetSpec>>),
    /// With all that there is to say.
    Full(Box<UpstreamFull>),
}

/// One endpoint of a list.
#[derive(Clone, Debug, PartialEq)]
pub enum TargetSpec {
    /// Its address alone.
    Plain(Endpoint),
    /// With a weight.
    Weighted(TargetFull),
}

/// An endpoint with its weight.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", expecting = "a mapping with address and weight")]
#[schemars(deny_unknown_fields)]
pub struct TargetFull {
    /// Where it is: `host:port`, `[v6]:port`, or `builtin:NAME`.
    pub address: Field<Endpoint>,
    /// Its share of the connections, beside the weights of the others. Left out: 1.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub weight: Field<Count<1, 1000>>,
}

/// An upstream with all that there is to say.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", expecting = "a mapping with endpoints")]
#[schemars(deny_unknown_fields)]
pub struct UpstreamFull {
    /// Its endpoints: addresses, or {address, weight}.
    #[schemars(length(min = 1, max = MAX_ENDPOINTS))]
    pub endpoints: Field<Vec<Field<TargetSpec>>>,
    /// Which of them a connection tries first. Left out: first.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub balance: Field<Balance>,
    /// What becomes of a connection when health calls all of them down. Left out: try.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub when_all_down: Field<WhenAllDown>,
    /// How they are asked whether they are well. Left out: they are not asked.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub health: Field<OrEmpty<HealthSpec>>,
    /// When one that fails is left alone. Left out: never.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub breaker: Field<OrEmpty<BreakerSpec>>,
    /// Connections opened ahead of need. Left out: none.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub pool: Field<OrEmpty<PoolSpec>>,
}

impl TargetSpec {
    /// Where it is, with its place; none if that could not be read.
    fn endpoint(&self, node: Option<NodeId>) -> Option<(&Endpoint, Option<NodeId>)> {
        match self {
            TargetSpec::Plain(endpoint) => Some((endpoint, node)),
            TargetSpec::Weighted(full) => Some((full.address.get()?, full.address.node())),
        }
    }

    fn meant(&self) -> Option<Target> {
        let weight = match self {
            TargetSpec::Plain(_) => 1,
            TargetSpec::Weighted(full) => full.weight.get().map_or(1, |weight| weight.get()),
        };
        Some(Target { endpoint: self.endpoint(None)?.0.clone(), weight })
    }
}

impl UpstreamSpec {
    fn targets(&self) -> &[Field<TargetSpec>] {
        match self {
            UpstreamSpec::One(_) => &[],
            UpstreamSpec::List(targets) => targets,
            UpstreamSpec::Full(full) => full.endpoints.get().map(Vec::as_slice).unwrap_or_default(),
        }
    }

    /// The endpoints that could be read, each with its place; `node` is the upstream's own.
    pub fn endpoints(&self, node: Option<NodeId>) -> Vec<(&Endpoint, Option<NodeId>)> {
        match self {
            UpstreamSpec::One(endpoint) => vec![(endpoint, node)],
            _ => {
                let good = self.targets().iter().filter_map(|target| target.get()?.endpoint(target.node()));
                good.collect()
            }
        }
    }

    /// Whether all of its endpoints could be read.
    pub fn is_whole(&self) -> bool {
        let whole = |target: &Field<TargetSpec>| match target.get() {
            Some(TargetSpec::Weighted(full)) => full.address.get().is_some(),
            Some(TargetSpec::Plain(_)) => true,
            None => false,
        };
        let listed = !matches!(self, UpstreamSpec::Full(full) if full.endpoints.get().is_none());
        listed && self.targets().iter().all(whole)
    }

    /// The defaults, with what is written in their place.
    pub fn meant(&self) -> UpstreamConfig {
        let endpoints = match self {
            UpstreamSpec::One(endpoint) => return endpoint.clone().into(),
            _ => self.targets().iter().filter_map(|target| target.get()?.meant()).collect(),
        };
        let plain = UpstreamConfig { endpoints, ..Vec::new().into() };
        match self {
            UpstreamSpec::Full(full) => UpstreamConfig {
                balance: full.balance.get().copied().unwrap_or_default(),
                when_all_down: full.when_all_down.get().copied().unwrap_or_default(),
                health: full.health.get().map(|health| health.0.meant()),
                breaker: full.breaker.get().map(|breaker| breaker.0.meant()),
                pool: full.pool.get().map(|pool| pool.0.meant()),
                ..plain
            },
            _ => plain,
        }
    }

    /// What cannot be beside each other; `node` is the upstream's own.
    pub fn complaints(&self, node: Option<NodeId>) -> Vec<Complaint> {
        let mut found = Vec::new();
        let (list, count) = match self {
            UpstreamSpec::One(_) => return found,
            UpstreamSpec::List(targets) => (node, Some(targets.len())),
            UpstreamSpec::Full(full) => (full.endpoints.node(), full.endpoints.get().map(Vec::len)),
        };
        match count {
            Some(0) => {
                let label = "list at least one, such as db.internal:5432";
                found.push(Complaint::new(list, "an upstream needs at least one endpoint", label));
            }
            Some(count) if count > MAX_ENDPOINTS => {
                let title = format!("an upstream has at most {MAX_ENDPOINTS} endpoints");
                found.push(Complaint::new(list, title, "too many"));
            }
            _ => found.extend(self.duplicates(node)),
        }
        if let UpstreamSpec::Full(full) = self {
            found.extend(full.health.get().into_iter().flat_map(|health| health.0.complaints()));
            found.extend(full.breaker.get().into_iter().flat_map(|breaker| breaker.0.complaints()));
            found.extend(full.pool.get().and_then(|pool| pool.0.complaints()));
        }
        found
    }

    /// No more than a few times as many comparisons as endpoints: their number was looked at first.
    fn duplicates(&self, node: Option<NodeId>) -> Vec<Complaint> {
        let all = self.endpoints(node);
        let again = all.iter().enumerate().filter_map(|(i, (endpoint, here))| {
            let (_, first) = all.iter().take(i).find(|(other, _)| other == endpoint)?;
            let other = first.map(|first| ("the first one is", first));
            let label = "for a larger share give the first one a `weight`";
            Some(Complaint {
                other,
                ..Complaint::new(*here, "two endpoints of this upstream are the same", label)
            })
        });
        again.collect()
    }
}

impl<'de> Deserialize<'de> for UpstreamSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<UpstreamSpec, D::Error> {
        let full = |full: UpstreamFull| UpstreamSpec::Full(Box::new(full));
        map_list_or(deserializer, full, UpstreamSpec::List, UpstreamSpec::One)
    }
}

impl Serialize for UpstreamSpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            UpstreamSpec::One(endpoint) => endpoint.serialize(serializer),
            UpstreamSpec::List(targets) => targets.serialize(serializer),
            UpstreamSpec::Full(full) => full.serialize(serializer),
        }
    }
}

impl JsonSchema for UpstreamSpec {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Upstream".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [
                generator.subschema_for::<Endpoint>(),
                {"type": "array", "minItems": 1, "maxItems": MAX_ENDPOINTS,
                 "items": generator.subschema_for::<TargetSpec>()},
                generator.subschema_for::<UpstreamFull>(),
            ]
        })
    }
}

impl<'de> Deserialize<'de> for TargetSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<TargetSpec, D::Error> {
        map_or(deserializer, TargetSpec::Weighted, TargetSpec::Plain)
    }
}

impl Serialize for TargetSpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            TargetSpec::Plain(endpoint) => endpoint.serialize(serializer),
            TargetSpec::Weighted(full) => full.serialize(serializer),
        }
    }
}

impl JsonSchema for TargetSpec {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Target".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [generator.subschema_for::<Endpoint>(), generator.subschema_for::<TargetFull>()]
        })
    }
}
