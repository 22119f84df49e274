//! What the upstream of each route tells.

use super::super::exposition::Kind;
use super::{OfRoute, family};
use crate::observe::{BreakerState, ConnectResult, Health};

/// Each once a route.
pub(super) static ALL: &[OfRoute] = &[
    (
        family(
            "chaos_proxy_upstream_connects",
            Kind::Counter,
            "Upstreams dialled, by what came of it.",
            &["route", "upstream", "result"],
        ),
        |route, samples| {
            let mut upstreams = route.stats.connects_by_upstream();
            // Those it has now are told of before their first connect, so that this is seen as a rise.
            for now in route.endpoints() {
                if !upstreams.iter().any(|(upstream, _)| *upstream == now.address) {
                    upstreams.push((now.address, Default::default()));
                }
            }
            for (upstream, counts) in upstreams {
                for (result, count) in ConnectResult::ALL.into_iter().zip(counts) {
                    samples.number(&[route.name(), &upstream, result.word()], count);
                }
            }
        },
    ),
    (
        family(
            "chaos_proxy_upstream_connect_seconds",
            Kind::Histogram,
            "How long it took to reach the upstream, where it was reached.",
            &["route"],
        ),
        |route, samples| samples.histogram(&[route.name()], &route.stats.connect_time()),
    ),
    (
        family(
            "chaos_proxy_upstream_connections",
            Kind::Gauge,
            "Connections that an endpoint has now.",
            &["route", "upstream"],
        ),
        |route, samples| {
            for endpoint in route.endpoints() {
                samples.number(&[route.name(), &endpoint.address], endpoint.connections as u64);
            }
        },
    ),
    (
        family(
            "chaos_proxy_upstream_up",
            Kind::Gauge,
            "0 when health calls an endpoint down; 1 when it is up or has not answered yet.",
            &["route", "upstream"],
        ),
        |route, samples| {
            for endpoint in route.endpoints().iter().filter(|endpoint| endpoint.checks.is_some()) {
                let up = u64::from(endpoint.health != Health::Down);
                samples.number(&[route.name(), &endpoint.address], up);
            }
        },
    ),
    (
        family(
            "chaos_proxy_upstream_checks",
            Kind::Counter,
            "Answers to questions after an endpoint's health.",
            &["route", "upstream", "result"],
        ),
        |route, samples| {
            for endpoint in route.endpoints() {
                let Some((good, bad)) = endpoint.checks else { continue };
                for (result, count) in [("good", good), ("bad", bad)] {
                    samples.number(&[route.name(), &endpoint.address, result], count);
                }
            }
        },
    ),
    (
        family(
            "chaos_proxy_breaker_state",
            Kind::Gauge,
            "How an endpoint's circuit breaker stands: 1 for the state it is in, 0 for the others.",
            &["route", "upstream", "state"],
        ),
        |route, samples| {
            for endpoint in route.endpoints() {
                let Some(now) = endpoint.breaker else { continue };
                for state in BreakerState::ALL {
                    samples.number(&[route.name(), &endpoint.address, state.word()], u64::from(state == now));
                }
            }
        },
    ),
    (
        family(
            "chaos_proxy_pool_connections",
            Kind::Gauge,
            "Connections that wait in an endpoint's pool.",
            &["route", "upstream"],
        ),
        |route, samples| {
            for endpoint in route.endpoints() {
                let Some(pooled) = endpoint.pooled else { continue };
                samples.number(&[route.name(), &endpoint.address], pooled as u64);
            }
        },
    ),
];
