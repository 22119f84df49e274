//! A configuration in full: every default written out, every shorthand as the fault it stands for.

#[cfg(test)]
mod tests;

use super::admin::AdminSpec;
use super::{Config, Document};
use crate::observe::LogSpec;
use crate::route::RouteSpec;
use crate::spec::{Allowed, Field, Limit, Period};

impl Config {
    /// The whole configuration as a document: every default written out, every shorthand in its full form. Reading it
    /// gives the same configuration.
    pub fn document(&self) -> Document {
        let routes = self.routes.iter().map(|route| Field::from(RouteSpec::from(route)));
        Document { routes: routes.collect::<Vec<_>>().into(), ..self.document_without_routes() }
    }

    /// The same with the routes left out.
    pub(super) fn document_without_routes(&self) -> Document {
        Document {
            seed: maybe(self.seed),
            bind: self.bind.into(),
            admin: maybe(AdminSpec::written(&self.admin)),
            log: LogSpec::from(&self.log).into(),
            drain_timeout: Period::new(self.drain.timeout).into(),
            pre_drain_delay: Period::new(self.drain.pre_delay).into(),
            drain_idle: Limit(self.drain.idle.map(Period::new)).into(),
            stats_interval: maybe(self.stats_interval.map(Period::new)),
            allowed_upstreams: maybe(self.allowed_upstreams.clone().map(listed)),
            routes: Field::Absent,
        }
    }
}

fn listed(allowed: Vec<Allowed>) -> Vec<Field<Allowed>> {
    allowed.into_iter().map(Field::from).collect()
}

fn maybe<T>(value: Option<T>) -> Field<T> {
    value.map_or(Field::Absent, Field::from)
}
