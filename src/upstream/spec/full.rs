//! An upstream written back: in the shortest form that holds it, and in that form in full.

use super::{BreakerSpec, HealthSpec, PoolSpec, TargetFull, TargetSpec, UpstreamFull, UpstreamSpec};
use crate::spec::again::OrEmpty;
use crate::spec::{Count, Field};
use crate::upstream::{Target, UpstreamConfig};

impl From<&UpstreamConfig> for UpstreamSpec {
    fn from(upstream: &UpstreamConfig) -> UpstreamSpec {
        let endpoints = upstream.endpoints.clone();
        let says_no_more = *upstream == UpstreamConfig { endpoints, ..Vec::new().into() };
        match upstream.endpoints.as_slice() {
            [Target { endpoint, weight: 1 }] if says_no_more => UpstreamSpec::One(endpoint.clone()),
            _ if says_no_more => UpstreamSpec::List(targets(upstream)),
            _ => UpstreamSpec::Full(Box::new(upstream.into())),
        }
    }
}

impl From<&UpstreamConfig> for UpstreamFull {
    fn from(upstream: &UpstreamConfig) -> UpstreamFull {
        UpstreamFull {
            endpoints: targets(upstream).into(),
            balance: upstream.balance.into(),
            when_all_down: upstream.when_all_down.into(),
            health: maybe(upstream.health.as_ref().map(HealthSpec::from)),
            breaker: maybe(upstream.breaker.as_ref().map(BreakerSpec::from)),
            pool: maybe(upstream.pool.as_ref().map(PoolSpec::from)),
        }
    }
}

fn targets(upstream: &UpstreamConfig) -> Vec<Field<TargetSpec>> {
    upstream.endpoints.iter().map(|target| Field::from(TargetSpec::from(target))).collect()
}

impl From<&Target> for TargetSpec {
    fn from(target: &Target) -> TargetSpec {
        let endpoint = target.endpoint.clone();
        match target.weight {
            1 => TargetSpec::Plain(endpoint),
            weight => {
                TargetSpec::Weighted(TargetFull { address: endpoint.into(), weight: Count(weight).into() })
            }
        }
    }
}

fn maybe<T>(value: Option<T>) -> Field<OrEmpty<T>> {
    value.map_or(Field::Absent, |value| OrEmpty(value).into())
}
