//! What a connection takes with it from its route, and an upstream from the route it belongs to.

use std::sync::Arc;

use super::{Common, KeepAlive, ProxyProtocol, RouteConfig, Timeouts};
use crate::observe::RouteStats;
use crate::upstream::{Surroundings, Upstream};

/// What a connection takes with it from its route, as it was when the connection was accepted.
#[derive(Debug)]
pub(super) struct Terms {
    pub(super) upstream: Arc<Upstream>,
    pub(super) timeouts: Timeouts,
    pub(super) held: usize,
    pub(super) keepalive: Option<KeepAlive>,
    pub(super) proxy_protocol: ProxyProtocol,
}

impl Terms {
    /// Of a route that is now so.
    pub(super) fn of(config: &RouteConfig, upstream: Arc<Upstream>) -> Arc<Self> {
        Arc::new(Terms {
            upstream,
            timeouts: config.timeouts,
            held: config.limits.held,
            keepalive: config.keepalive,
            proxy_protocol: config.proxy_protocol.clone(),
        })
    }
}

/// What an upstream needs of its route.
pub(super) fn surroundings(config: &RouteConfig, common: &Common, stats: &Arc<RouteStats>) -> Surroundings {
    Surroundings {
        route: config.name.clone(),
        emitter: common.emitter.clone(),
        stats: stats.clone(),
        dialer: common.dialer.clone(),
        descriptors: Arc::new(common.budget.clone()),
        header: config.proxy_protocol.send,
        keepalive: config.keepalive,
        stopping: common.stop.drain.clone(),
    }
}
