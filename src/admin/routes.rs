//! Routes: seen, made, changed, opened, closed, taken away.

use std::sync::Arc;

use hyper::{StatusCode, header};
use serde_json::Value;

use super::State;
use super::call::Call;
use super::etag::Seen;
use super::problem::Problem;
use super::reply::Reply;
use super::views::{RouteView, Routes, Switched, route_tag, routes_tag};
use crate::config::{BodyError, Config, body};
use crate::daemon::{Applied, ControlError, Live};
use crate::route::{Route, RouteConfig};
use crate::spec::percent;

type Outcome = Result<Reply, Problem>;

/// `GET /v1/routes`
pub(super) async fn list(call: Call<State>) -> Outcome {
    let config = call.state.control.config().await;
    let running = call.state.control.routes();
    let view = |config: &RouteConfig| {
        let running = running.iter().find(|route| *route.name() == config.name);
        RouteView::of(config, running.map(|route| &**route))
    };
    let routes = Routes { routes: config.routes.iter().map(view).collect() };
    Ok(Reply::json(StatusCode::OK, &routes).with(header::ETAG, routes_tag(&config.routes).as_str()))
}

/// `POST /v1/routes`
pub(super) async fn create(call: Call<State>) -> Outcome {
    let (seen, text) = (call.seen(), call.body.clone());
    let edit = move |config: &mut Config| {
        let route = body::route(&text, config, None).map_err(refused)?;
        Seen::demand(seen.as_ref(), || routes_tag(&config.routes))?;
        config.routes.push(route.clone());
        Ok(route)
    };
    let (route, _) = call.state.control.edit(call.by(), Live::Close, edit).await.map_err(of_route)?;
    let location = format!("/v1/routes/{}", percent::encode(&route.name));
    Ok(shown(&call, StatusCode::CREATED, &route).with(header::LOCATION, location))
}

/// `GET /v1/routes/{route}`
pub(super) async fn get(call: Call<State>) -> Outcome {
    let config = call.state.control.config().await;
    let (_, route) = find(&config, &call.name(0))?;
    Ok(shown(&call, StatusCode::OK, route))
}

/// `PUT /v1/routes/{route}`
pub(super) async fn put(call: Call<State>) -> Outcome {
    change(call, |text, _, among, name| body::route(text, among, Some(name))).await
}

/// `PATCH /v1/routes/{route}`
pub(super) async fn patch(call: Call<State>) -> Outcome {
    change(call, |text, current, among, _| body::patched_route(text, current, among)).await
}

async fn change(
    call: Call<State>,
    read: fn(&[u8], &RouteConfig, &Config, &str) -> Result<RouteConfig, BodyError>,
) -> Outcome {
    let (seen, text, name) = (call.seen(), call.body.clone(), call.name(0));
    let edit = move |config: &mut Config| {
        let (i, current) = find(config, &name)?;
        let route = read(&text, current, config, &name).map_err(refused)?;
        Seen::demand(seen.as_ref(), || route_tag(current))?;
        if let Some(place) = config.routes.get_mut(i) {
            *place = route.clone();
        }
        Ok(route)
    };
    let (route, _) = call.state.control.edit(call.by(), Live::Close, edit).await.map_err(of_route)?;
    Ok(shown(&call, StatusCode::OK, &route))
}

/// `DELETE /v1/routes/{route}`
pub(super) async fn delete(call: Call<State>) -> Outcome {
    let live = call.query.get("connections").and_then(Live::named).unwrap_or_default();
    let (seen, name) = (call.seen(), call.name(0));
    let edit = move |config: &mut Config| {
        let (i, route) = find(config, &name)?;
        Seen::demand(seen.as_ref(), || route_tag(route))?;
        config.routes.remove(i);
        Ok(())
    };
    call.state.control.edit(call.by(), live, edit).await?;
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}

/// `POST /v1/routes/{route}/open`
pub(super) async fn open(call: Call<State>) -> Outcome {
    switch(call, true, Live::Keep).await
}

/// `POST /v1/routes/{route}/close`
pub(super) async fn close(call: Call<State>) -> Outcome {
    let live = read_closing(&call.body)?;
    switch(call, false, live).await
}

async fn switch(call: Call<State>, enabled: bool, live: Live) -> Outcome {
    let seen = call.seen();
    let check = move |route: &RouteConfig| Seen::demand(seen.as_ref(), || route_tag(route));
    let (route, applied) = call.state.control.switch(&call.name(0), enabled, live, call.by(), check).await?;
    let Applied { generation, ended, .. } = applied;
    let switched = Switched { generation, ended, route: view(&call, &route) };
    Ok(Reply::json(StatusCode::OK, &switched).with(header::ETAG, route_tag(&route).as_str()))
}

/// What `{"connections": …}` says; nothing at all says `close`.
fn read_closing(text: &[u8]) -> Result<Live, Problem> {
    if text.is_empty() {
        return Ok(Live::default());
    }
    let value: Value = serde_json::from_slice(text)
        .map_err(|error| Problem::bad_request(format!("the body is not JSON: {error}")))?;
    let keys = value.as_object().ok_or_else(|| {
        Problem::refused("the body is not an object: write {\"connections\": \"keep\"}").at("")
    })?;
    if let Some(key) = keys.keys().find(|key| *key != "connections") {
        let pointer = format!("/{}", key.replace('~', "~0").replace('/', "~1"));
        return Err(Problem::refused("unknown key: a body here holds only `connections`").at(pointer));
    }
    match keys.get("connections") {
        None => Ok(Live::default()),
        Some(word) => word.as_str().and_then(Live::named).ok_or_else(|| {
            Problem::refused("`connections` is none of keep, close, reset").at("/connections")
        }),
    }
}

/// A route of a configuration, and its place there.
pub(super) fn find<'a>(config: &'a Config, name: &str) -> Result<(usize, &'a RouteConfig), ControlError> {
    let mut routes = config.routes.iter().enumerate();
    routes.find(|(_, route)| *route.name == *name).ok_or_else(|| ControlError::NoRoute(name.to_owned()))
}

/// A problem with the one route that was sent: its place is said from the top of the body.
fn of_route(error: ControlError) -> Problem {
    let in_upstream = matches!(error, ControlError::Denied { .. });
    let problem = Problem::from(error);
    if in_upstream { problem.at("/upstream") } else { problem }
}

/// A body that was refused.
pub(super) fn refused(error: BodyError) -> ControlError {
    ControlError::Body(Arc::new(error))
}

/// The route that runs under a name, if it still does.
pub(super) fn running(call: &Call<State>, name: &str) -> Option<Arc<Route>> {
    call.state.control.route(name).ok()
}

fn view(call: &Call<State>, route: &RouteConfig) -> RouteView {
    RouteView::of(route, running(call, &route.name).as_deref())
}

fn shown(call: &Call<State>, status: StatusCode, route: &RouteConfig) -> Reply {
    Reply::json(status, &view(call, route)).with(header::ETAG, route_tag(route).as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_becomes_of_live_connections_is_read_strictly() {
        for (text, live) in [
            ("", Live::Close),
            ("{}", Live::Close),
            (r#"{"connections": "keep"}"#, Live::Keep),
            (r#"{"connections": "close"}"#, Live::Close),
            (r#"{"connections": "reset"}"#, Live::Reset),
        ] {
            assert_eq!(read_closing(text.as_bytes()).unwrap(), live, "{text}");
        }
        for (text, status) in [
            ("\n", 400),
            (" \n", 400),
            ("{", 400),
            ("keep", 400),
            ("{} {}", 400),
            ("\u{feff}{}", 400),
            ("null", 422),
            ("[]", 422),
            (r#""keep""#, 422),
            (r#"{"connections": "drain"}"#, 422),
            (r#"{"connections": null}"#, 422),
            (r#"{"connections": ["keep"]}"#, 422),
            (r#"{"connection": "keep"}"#, 422),
        ] {
            assert_eq!(read_closing(text.as_bytes()).unwrap_err().status(), status, "{text}");
        }
        assert!(read_closing(b"\xff").is_err());
    }
}
