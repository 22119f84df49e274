//! Faults of a route: seen, added, changed, taken away.

use hyper::{StatusCode, header};

use super::State;
use super::call::Call;
use super::etag::Seen;
use super::problem::Problem;
use super::reply::Reply;
use super::routes::{find, refused, running};
use super::views::{FaultView, Faults, fault_tag, faults_tag};
use crate::config::{BodyError, Config, body};
use crate::daemon::{ControlError, Live};
use crate::fault::Fault;
use crate::route::RouteConfig;
use crate::spec::percent;

type Outcome = Result<Reply, Problem>;

/// `GET /v1/routes/{route}/faults`
pub(super) async fn list(call: Call<State>) -> Outcome {
    let config = call.state.control.config().await;
    let (_, route) = find(&config, &call.name(0))?;
    let faults = FaultView::all(route, running(&call, &route.name).as_deref());
    Ok(Reply::json(StatusCode::OK, &Faults { faults }).with(header::ETAG, faults_tag(route).as_str()))
}

/// `POST /v1/routes/{route}/faults`
pub(super) async fn create(call: Call<State>) -> Outcome {
    let at = call.query.whole("at");
    let (seen, text, name) = (call.seen(), call.body.clone(), call.name(0));
    let edit = move |config: &mut Config| {
        let (i, route) = find(config, &name)?;
        let fault = body::fault(&text, route, None).map_err(refused)?;
        Seen::demand(seen.as_ref(), || faults_tag(route))?;
        let count = route.faults.len();
        let place = at.map_or(count, |at| usize::try_from(at).unwrap_or(usize::MAX));
        if place > count {
            // Nothing has been changed yet: that is a change of nothing.
            return Ok(Err(Problem::refused(format!("`at` is beyond the {count} faults of the route"))));
        }
        if let Some(route) = config.routes.get_mut(i) {
            route.faults.insert(place, fault.clone());
        }
        Ok(Ok(fault))
    };
    let (fault, _) = call.state.control.edit(call.by(), Live::Keep, edit).await?;
    let fault = fault?;
    let location =
        format!("/v1/routes/{}/faults/{}", percent::encode(&call.name(0)), percent::encode(&fault.name));
    Ok(shown(&call, StatusCode::CREATED, &fault).with(header::LOCATION, location))
}

/// `GET /v1/routes/{route}/faults/{fault}`
pub(super) async fn get(call: Call<State>) -> Outcome {
    let config = call.state.control.config().await;
    let (_, route) = find(&config, &call.name(0))?;
    let (_, fault) = find_fault(route, &call.name(1))?;
    Ok(shown(&call, StatusCode::OK, fault))
}

/// `PUT /v1/routes/{route}/faults/{fault}`
pub(super) async fn put(call: Call<State>) -> Outcome {
    change(call, |text, current, on| body::fault(text, on, Some(&current.name))).await
}

/// `PATCH /v1/routes/{route}/faults/{fault}`
pub(super) async fn patch(call: Call<State>) -> Outcome {
    change(call, body::patched_fault).await
}

async fn change(
    call: Call<State>,
    read: fn(&[u8], &Fault, &RouteConfig) -> Result<Fault, BodyError>,
) -> Outcome {
    let (seen, text) = (call.seen(), call.body.clone());
    let (route, name) = (call.name(0), call.name(1));
    let edit = move |config: &mut Config| {
        let (i, route) = find(config, &route)?;
        let (j, current) = find_fault(route, &name)?;
        let fault = read(&text, current, route).map_err(refused)?;
        Seen::demand(seen.as_ref(), || fault_tag(current))?;
        if let Some(place) = config.routes.get_mut(i).and_then(|route| route.faults.get_mut(j)) {
            *place = fault.clone();
        }
        Ok(fault)
    };
    let (fault, _) = call.state.control.edit(call.by(), Live::Keep, edit).await?;
    Ok(shown(&call, StatusCode::OK, &fault))
}

/// `DELETE /v1/routes/{route}/faults/{fault}`
pub(super) async fn delete(call: Call<State>) -> Outcome {
    let (seen, route, name) = (call.seen(), call.name(0), call.name(1));
    let edit = move |config: &mut Config| {
        let (i, route) = find(config, &route)?;
        let (j, fault) = find_fault(route, &name)?;
        Seen::demand(seen.as_ref(), || fault_tag(fault))?;
        if let Some(route) = config.routes.get_mut(i) {
            route.faults.remove(j);
        }
        Ok(())
    };
    call.state.control.edit(call.by(), Live::Keep, edit).await?;
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}

/// A fault of a route, and its place there.
fn find_fault<'a>(route: &'a RouteConfig, name: &str) -> Result<(usize, &'a Fault), ControlError> {
    let mut faults = route.faults.iter().enumerate();
    let found = faults.find(|(_, fault)| *fault.name == *name);
    found.ok_or_else(|| ControlError::NoFault { route: route.name.to_string(), fault: name.to_owned() })
}

fn shown(call: &Call<State>, status: StatusCode, fault: &Fault) -> Reply {
    let view = FaultView::of(fault, running(call, &call.name(0)).as_deref());
    Reply::json(status, &view).with(header::ETAG, fault_tag(fault).as_str())
}
