//! A route in full, as a configuration would write it: every default and every name written out.

use super::config::{RouteConfig, Timeouts};
use super::spec::{LimitsSpec, RouteSpec, TimeoutsSpec};
use crate::fault::FaultSpec;
use crate::spec::{Field, Limit, Name, Period, Size};

impl From<&RouteConfig> for RouteSpec {
    /// The full form: no shorthands, and what it is bound to even where that is the document's.
    fn from(route: &RouteConfig) -> RouteSpec {
        let faults = route.faults.iter().map(|fault| Field::from(FaultSpec::from(fault))).collect::<Vec<_>>();
        let held = Size::new(u64::try_from(route.held).unwrap_or(u64::MAX));
        RouteSpec {
            name: Name::checked(&route.name).into(),
            local_port: route.local_port.into(),
            bind: route.bind.into(),
            enabled: route.enabled.into(),
            upstream: route.upstream.clone().into(),
            faults: faults.into(),
            timeouts: TimeoutsSpec::from(&route.timeouts).into(),
            limits: LimitsSpec { held: held.into() }.into(),
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
