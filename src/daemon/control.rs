//! `Control`: the one way to change a running daemon.
//!
//! Every change is checked whole and applied whole, one after the other, raises the generation and is told as an event. It
//! never waits for data: whatever state connections are in, a call returns at once.

use std::net::IpAddr;
use std::sync::Arc;

use super::change::{as_it_runs, check, put, reload, texts};
use super::permit::{as_it_may_be, demand, is_remote};
use super::shared::Shared;
use super::{Applied, ControlError, Live, Stats, Status};
use crate::config::{self, Config};
use crate::fault::{Fault, How};
use crate::observe::{By, Emitter, Fact};
use crate::relay::Dismissal;
use crate::route::{ConnectionView, Route, RouteConfig};
use crate::upstream::ResolveError;

/// Looks at a running daemon and changes it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Control {
    pub(super) shared: Arc<Shared>,
}

impl Control {
    /// The number of the configuration in force.
    pub fn generation(&self) -> u64 {
        self.shared.generation()
    }

    /// How the daemon is.
    pub fn status(&self) -> Status {
        let shared = &self.shared;
        let (started, began) = shared.started;
        let draining = shared.is_draining();
        Status {
            generation: self.generation(),
            seed: shared.seed,
            started,
            uptime: began.elapsed(),
            ready: !draining && shared.routes().iter().all(|route| route.is_as_configured()),
            draining,
        }
    }

    /// What has been counted since the start.
    pub fn stats(&self) -> Stats {
        let Status { generation, uptime, .. } = self.status();
        Stats::of(generation, uptime, &self.routes(), self.emitter().process())
    }

    /// The configuration in force.
    pub async fn config(&self) -> Config {
        let state = self.shared.state.lock().await;
        self.shared.config(&state)
    }

    /// The routes, in their order.
    pub fn routes(&self) -> Vec<Arc<Route>> {
        self.shared.routes().to_vec()
    }

    /// One route.
    pub fn route(&self, name: &str) -> Result<Arc<Route>, ControlError> {
        let routes = self.shared.routes();
        let found = routes.iter().find(|route| **route.name() == *name);
        found.cloned().ok_or_else(|| ControlError::NoRoute(name.to_owned()))
    }

    /// Whom facts are told: to hear what happens.
    pub fn emitter(&self) -> &Emitter {
        &self.shared.common.emitter
    }

    /// How many connections there may be to the control API.
    pub fn places(&self) -> usize {
        self.shared.common.budget.control()
    }

    /// The live connections, of one route or of all, by id. Those of a route that was removed are among them.
    pub fn connections(&self, of: Option<&str>) -> Result<Vec<ConnectionView>, ControlError> {
        let mut routes = self.shared.all_routes();
        if let Some(name) = of {
            routes.retain(|route| **route.name() == *name);
            if routes.is_empty() {
                return Err(ControlError::NoRoute(name.to_owned()));
            }
        }
        let mut connections: Vec<_> = routes.iter().flat_map(|route| route.connections()).collect();
        connections.sort_unstable_by_key(|connection| connection.id);
        Ok(connections)
    }

    /// The addresses of a name, found as those of upstreams are.
    pub(crate) async fn addresses(&self, name: &str) -> Result<Arc<[IpAddr]>, ResolveError> {
        self.shared.common.dialer.resolver().addresses(&name.into()).await
    }

    /// Ends a live connection; false: there is none of this id.
    pub fn end_connection(&self, id: u64, how: How) -> bool {
        self.shared.all_routes().iter().any(|route| route.dismiss(id, dismissal(how)))
    }

    /// Ends all live connections of a route, and says how many.
    pub fn end_connections(&self, route: &str, how: How) -> Result<u64, ControlError> {
        Ok(self.route(route)?.dismiss_all(dismissal(how)))
    }

    /// Every change goes through here: `edit` is given the configuration in force and changes it, while nobody else does.
    /// What it made is checked whole and applied whole; `live` says what becomes of the connections of a route that does not
    /// listen any more. Once begun it is carried out, also if the caller has gone.
    pub async fn edit<T: Send + 'static>(
        &self,
        by: By,
        live: Live,
        edit: impl FnOnce(&mut Config) -> Result<T, ControlError> + Send + 'static,
    ) -> Result<(T, Applied), ControlError> {
        self.try_edit(by, live, edit).await
    }

    /// The same for who refuses in words of his own.
    pub(crate) async fn try_edit<T: Send + 'static, E: From<ControlError> + Send + 'static>(
        &self,
        by: By,
        live: Live,
        edit: impl FnOnce(&mut Config) -> Result<T, E> + Send + 'static,
    ) -> Result<(T, Applied), E> {
        let shared = self.shared.clone();
        let work = async move {
            let mut state = shared.state.lock().await;
            if shared.is_draining() {
                return Err(ControlError::Draining.into());
            }
            let old = shared.config(&state);
            let mut new = old.clone();
            let value = edit(&mut new)?;
            if is_remote(by) {
                demand(&old, &state.file, &new)?;
            }
            let applied = put(&shared, &mut state, &old, new, by, live).await?;
            Ok((value, applied))
        };
        self.carry_out(work).await
    }

    /// Carries a change out to its end, whoever waits for it. Only a bug in this program breaks one off.
    async fn carry_out<T, E>(&self, work: impl Future<Output = Result<T, E>> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<ControlError> + Send + 'static,
    {
        self.emitter().spawn(work).await.unwrap_or_else(|_| Err(ControlError::Broken.into()))
    }

    /// What putting this configuration in force through the control API would change.
    pub async fn check(&self, config: Config) -> Result<Vec<String>, ControlError> {
        let (old, file) = {
            let state = self.shared.state.lock().await;
            (self.shared.config(&state), state.file.clone())
        };
        let new = as_it_may_be(&old, config)?;
        demand(&old, &file, &new)?;
        check(&self.shared, &new)?;
        Ok(texts(&config::changes(&old, &new)))
    }

    /// Reads the file again and makes the running state equal to it. A file that is refused changes nothing.
    pub async fn reload(&self, by: By) -> Result<Applied, ControlError> {
        let shared = self.shared.clone();
        let work = async move {
            let _one_at_a_time = shared.reloading.lock().await;
            let applied = reload(&shared, by).await;
            shared.common.emitter.process().count_reload(applied.is_ok());
            if let Err(error) = &applied {
                let (generation, error) = (shared.generation(), error.to_string().into());
                shared.common.emitter.emit(Fact::ConfigRefused { generation, by, error });
            }
            applied
        };
        self.carry_out(work).await
    }

    /// Goes back to the file as it was last read; what has expired begins anew.
    pub async fn restore(&self, by: By) -> Result<Applied, ControlError> {
        let shared = self.shared.clone();
        let work = async move {
            let mut state = shared.state.lock().await;
            let old = shared.config(&state);
            let file = state.file.clone();
            let undone = config::changes(&old, &as_it_runs(&old, file.clone())?);
            let applied = put(&shared, &mut state, &old, file, by, Live::Drain).await?;
            Ok(Applied { undone: texts(&undone), ..applied })
        };
        self.carry_out(work).await
    }

    /// Opens a closed route.
    pub async fn open(&self, route: &str, by: By) -> Result<Applied, ControlError> {
        Ok(self.switch(route, true, Live::Keep, by, |_| Ok(())).await?.1)
    }

    /// Closes a route: it stops listening and keeps everything else. Its live connections end as `live` says, also if it
    /// was closed before.
    pub async fn close(&self, route: &str, live: Live, by: By) -> Result<Applied, ControlError> {
        Ok(self.switch(route, false, live, by, |_| Ok(())).await?.1)
    }

    /// Opens or closes a route if `check` has nothing against it as it is. Gives the route as it is then.
    pub async fn switch(
        &self,
        route: &str,
        on: bool,
        live: Live,
        by: By,
        check: impl FnOnce(&RouteConfig) -> Result<(), ControlError> + Send + 'static,
    ) -> Result<(RouteConfig, Applied), ControlError> {
        let (name, control) = (route.to_owned(), self.clone());
        let edit = move |config: &mut Config| {
            let Some(route) = config.route_mut(&name) else { return Err(ControlError::NoRoute(name)) };
            check(route)?;
            // A route that was closed already may have connections that were kept.
            let ended = match live {
                _ if on || route.enabled => 0,
                Live::Close => control.end_connections(&name, How::Close)?,
                Live::Reset => control.end_connections(&name, How::Reset)?,
                Live::CloseMoved | Live::Keep | Live::Drain => 0,
            };
            route.enabled = on;
            Ok((route.clone(), ended))
        };
        let ((route, ended), mut applied) = self.edit(by, live, edit).await?;
        applied.ended += ended;
        Ok((route, applied))
    }

    /// The faults of a route, in their order.
    pub fn faults(&self, route: &str) -> Result<Vec<Fault>, ControlError> {
        Ok(self.route(route)?.config().faults)
    }

    /// Adds a fault behind the others of its route. It reaches live connections at once. Gives the new generation.
    pub async fn add_fault(&self, route: &str, fault: Fault) -> Result<u64, ControlError> {
        self.edit_faults(route, |route, faults| {
            if faults.iter().any(|other| other.name == fault.name) {
                return Err(ControlError::FaultExists { route: route.into(), fault: fault.name.to_string() });
            }
            faults.push(fault);
            Ok(())
        })
        .await
    }

    /// Puts a fault in place of the one that has its name. What the old one held leaves at once, in order.
    pub async fn change_fault(&self, route: &str, fault: Fault) -> Result<u64, ControlError> {
        self.edit_faults(route, |route, faults| {
            match faults.iter_mut().find(|other| other.name == fault.name) {
                Some(old) => *old = fault,
                None => return Err(no_fault(route, &fault.name)),
            }
            Ok(())
        })
        .await
    }

    /// Takes a fault away. What it held leaves at once, in order.
    pub async fn remove_fault(&self, route: &str, fault: &str) -> Result<u64, ControlError> {
        let fault = fault.to_owned();
        self.edit_faults(route, move |route, faults| {
            let before = faults.len();
            faults.retain(|other| *other.name != *fault);
            if faults.len() == before { Err(no_fault(route, &fault)) } else { Ok(()) }
        })
        .await
    }

    /// Puts these faults in place of all that a route has. Those that are the same go on as they are.
    pub async fn set_faults(&self, route: &str, faults: Vec<Fault>) -> Result<u64, ControlError> {
        self.edit_faults(route, |_, current| {
            *current = faults;
            Ok(())
        })
        .await
    }

    async fn edit_faults(
        &self,
        route: &str,
        edit: impl FnOnce(&str, &mut Vec<Fault>) -> Result<(), ControlError> + Send + 'static,
    ) -> Result<u64, ControlError> {
        let name = route.to_owned();
        let edit = move |config: &mut Config| match config.route_mut(&name) {
            Some(route) => edit(&name, &mut route.faults),
            None => Err(ControlError::NoRoute(name)),
        };
        Ok(self.edit(By::Library, Live::Drain, edit).await?.1.generation)
    }
}

fn dismissal(how: How) -> Dismissal {
    match how {
        How::Close => Dismissal::Close,
        How::Reset => Dismissal::Reset,
    }
}

fn no_fault(route: &str, fault: &str) -> ControlError {
    ControlError::NoFault { route: route.to_owned(), fault: fault.to_owned() }
}
