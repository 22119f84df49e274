//! What is asked for of toxics, done to the faults of a route.

use hyper::StatusCode;

use super::State;
use super::go_json;
use super::proxies::Outcome;
use super::refusal::Refusal;
use super::reply;
use super::toxics::{self, NewToxic, ToxicChange};
use crate::admin::reply::Reply;
use crate::config::Config;
use crate::daemon::Live;
use crate::fault::Fault;

impl State {
    async fn faults(&self, proxy: &str) -> Result<Vec<Fault>, Refusal> {
        Ok(self.control.faults(proxy)?)
    }

    async fn edit_faults<T: Send + 'static>(
        &self,
        proxy: &str,
        edit: impl FnOnce(&mut Vec<Fault>) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let name = proxy.to_owned();
        let edit = move |config: &mut Config| {
            let route = config.route_mut(&name).ok_or_else(Refusal::no_proxy)?;
            edit(&mut route.faults)
        };
        self.edit(Live::Keep, edit).await
    }
}

/// `GET /proxies/{proxy}/toxics`
pub(super) async fn list(state: &State, proxy: &str) -> Outcome {
    Ok(reply::json(StatusCode::OK, &toxics::list(&state.faults(proxy).await?)))
}

/// `POST /proxies/{proxy}/toxics`
pub(super) async fn create(state: &State, proxy: &str, body: &[u8]) -> Outcome {
    state.control.route(proxy)?;
    let new = NewToxic::read(&go_json::object(body)?)?;
    let view = state.edit_faults(proxy, move |faults| new.add_to(faults)).await?;
    Ok(reply::json(StatusCode::OK, &view))
}

/// `GET /proxies/{proxy}/toxics/{toxic}`
pub(super) async fn show(state: &State, proxy: &str, toxic: &str) -> Outcome {
    let view = toxics::show(&state.faults(proxy).await?, toxic)?;
    Ok(reply::json(StatusCode::OK, &view))
}

/// `POST`, `PATCH /proxies/{proxy}/toxics/{toxic}`
pub(super) async fn update(state: &State, proxy: &str, toxic: &str, body: &[u8]) -> Outcome {
    toxics::show(&state.faults(proxy).await?, toxic)?;
    let change = ToxicChange::read(&go_json::object(body)?)?;
    let name = toxic.to_owned();
    let view = state.edit_faults(proxy, move |faults| change.apply_to(faults, &name)).await?;
    Ok(reply::json(StatusCode::OK, &view))
}

/// `DELETE /proxies/{proxy}/toxics/{toxic}`
pub(super) async fn delete(state: &State, proxy: &str, toxic: &str) -> Outcome {
    let name = toxic.to_owned();
    state.edit_faults(proxy, move |faults| toxics::remove(faults, &name)).await?;
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}
