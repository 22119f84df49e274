//! A route in full, as a configuration would write it: every default and every name written out.

use super::config::{ProxyProtocol, RouteConfig, Timeouts};
use super::spec::{KeepAliveSpec, LimitsSpec, ProxyProtocolSpec, RouteSpec, TimeoutsSpec};
use crate::fault::FaultSpec;
use crate::spec::again::OrEmpty;
use crate::spec::{Field, Limit, Name, Period};
use crate::upstream::UpstreamSpec;

impl From<&RouteConfig> for RouteSpec {
    /// The full form: no shorthands, and what it is bound to even where that is the document's.
    fn from(route: &RouteConfig) -> RouteSpec {
        let faults = route.faults.iter().map(|fault| Field::from(FaultSpec::from(fault))).collect::<Vec<_>>();
        let protocol = Some(&route.proxy_protocol).filter(|protocol| **protocol != ProxyProtocol::default());
        RouteSpec {
            name: Name::checked(&route.name).into(),
            local_port: route.local_port.into(),
            bind: route.bind.into(),
            enabled: route.enabled.into(),
            upstream: UpstreamSpec::from(&route.upstream).into(),
            faults: faults.into(),
            timeouts: TimeoutsSpec::from(&route.timeouts).into(),
            limits: LimitsSpec::from(&route.limits).into(),
            keepalive: maybe(route.keepalive.as_ref().map(KeepAliveSpec::from)),
            proxy_protocol: maybe(protocol.map(ProxyProtocolSpec::from)),
            ..RouteSpec::default()
        }
    }
}

impl From<&Timeouts> for TimeoutsSpec {
    fn from(timeouts: &Timeouts) -> TimeoutsSpec {
        TimeoutsSpec {
            connect: Period::new(timeouts.connect).into(),
            half_close: Period::new(timeouts.half_close).into(),
            idle: Limit(timeouts.idle.map(Period::new)).into(),
            lifetime: Limit(timeouts.lifetime.map(Period::new)).into(),
        }
    }
}

fn maybe<T>(value: Option<T>) -> Field<OrEmpty<T>> {
    value.map_or(Field::Absent, |value| OrEmpty(value).into())
}
