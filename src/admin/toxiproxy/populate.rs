//! `POST /populate`: proxies as a list has them. One that is there already and the same is left alone, with its toxics and
//! connections; one that is not the same begins anew, without toxics.

use hyper::StatusCode;
use serde_json::{Value, json};

use super::State;
use super::go_json::{self, Object};
use super::proxies::{is_free, no_spot};
use super::proxy::{NewProxy, ProxyView, Spot, listens_at, read_upstream, spot};
use super::refusal::Refusal;
use super::reply;
use crate::admin::reply::Reply;
use crate::config::Config;
use crate::daemon::{Control, Live};
use crate::route::RouteConfig;

/// `POST /populate`
pub(super) async fn populate(state: &State, body: &[u8]) -> Reply {
    let all = match read(body) {
        Ok(all) => all,
        Err(refusal) => return refusal.into_reply_after::<ProxyView>(&[]),
    };
    // Together if that can be; else one by one: what was done before the first that cannot be stays done, and is told.
    if let Ok(done) = together(state, &all).await {
        return reply::json(StatusCode::CREATED, &json!({"proxies": done}));
    }
    let mut done = Vec::new();
    for new in &all {
        match together(state, std::slice::from_ref(new)).await {
            Ok(views) => done.extend(views),
            Err(refusal) => return refusal.into_reply_after(&done),
        }
    }
    reply::json(StatusCode::CREATED, &json!({"proxies": done}))
}

/// All entries, each of them sound, or none.
fn read(body: &[u8]) -> Result<Vec<NewProxy>, Refusal> {
    let entries = match go_json::first_value(body)? {
        Value::Array(entries) => entries,
        Value::Null => Vec::new(),
        other => return Err(go_json::wrong("the body", &other, "a list")),
    };
    let entry = |(place, value)| {
        let read = || {
            let new = NewProxy::read(&Object::of(value, "an entry")?)?;
            read_upstream(&new.upstream)?;
            Ok(new)
        };
        read().map_err(|refusal: Refusal| refusal.at(place + 1))
    };
    entries.into_iter().enumerate().map(entry).collect()
}

/// Makes these proxies, in one change.
async fn together(state: &State, all: &[NewProxy]) -> Result<Vec<ProxyView>, Refusal> {
    let mut placed = Vec::with_capacity(all.len());
    for new in all {
        let known = state.control.route(&new.name).is_ok();
        match spot(&new.listen, &state.control).await {
            Ok(to) => placed.push((new.clone(), to)),
            Err(why) if known => return Err(no_spot(why)),
            Err(why) => return Err(no_spot(format!("listen tcp: {why}"))),
        }
    }
    let control = state.control.clone();
    let edit = move |config: &mut Config| {
        placed.into_iter().map(|(new, to)| put(config, &control, new, to)).collect::<Result<Vec<_>, _>>()
    };
    let done = state.edit(Live::CloseMoved, edit).await?;
    for (new, (route, is_new)) in all.iter().zip(&done) {
        if *is_new {
            state.keep_typed(&new.name, (route.bind, route.local_port), &new.listen);
        }
    }
    Ok(done.into_iter().map(|(route, _)| state.view_of(route)).collect())
}

/// The route of a proxy, and whether it is another than before.
fn put(
    config: &mut Config,
    control: &Control,
    new: NewProxy,
    to: Spot,
) -> Result<(RouteConfig, bool), Refusal> {
    if let (Some(route), Ok(running)) = (config.route(&new.name), control.route(&new.name))
        && listens_at(route, &running, to)
        && route.upstream.to_string() == new.upstream
    {
        return Ok((route.clone(), false));
    }
    is_free(config, &new.name, to)?;
    let fresh = new.route(to)?;
    match config.route_mut(&new.name) {
        Some(route) => *route = fresh.clone(),
        None => config.routes.push(fresh.clone()),
    }
    Ok((fresh, true))
}
