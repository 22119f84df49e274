//! The configuration as a whole: seen, replaced, checked, read again.

use hyper::{StatusCode, header};

use super::State;
use super::call::Call;
use super::etag::{ETag, Seen};
use super::problem::Problem;
use super::reply::Reply;
use super::views::{Changed, Checked};
use crate::config::{Config, body};
use crate::daemon::{self, Live};

type Outcome = Result<Reply, Problem>;

/// `GET /v1/config`
pub(super) async fn get(call: Call<State>) -> Outcome {
    let document = call.state.control.config().await.document();
    let tag = ETag::of(&document);
    let seen = Seen::has(&call.headers, &tag);
    let reply =
        if seen { Reply::empty(StatusCode::NOT_MODIFIED) } else { Reply::json(StatusCode::OK, &document) };
    Ok(reply.with(header::ETAG, tag.as_str()))
}

/// `PUT /v1/config`
pub(super) async fn put(call: Call<State>) -> Outcome {
    // Read before anybody has to wait for it.
    let new = body::config(&call.body)?;
    let seen = call.seen();
    let edit = move |config: &mut Config| {
        Seen::demand(seen.as_ref(), || tag(config))?;
        *config = daemon::as_it_may_be(config, new)?;
        Ok(tag(config))
    };
    let (tag, applied) = call.state.control.edit(call.by(), Live::Drain, edit).await?;
    Ok(Reply::json(StatusCode::OK, &Changed::from(applied)).with(header::ETAG, tag.as_str()))
}

/// `POST /v1/config/check`
pub(super) async fn check(call: Call<State>) -> Outcome {
    let config = body::config(&call.body)?;
    let changes = call.state.control.check(config).await?;
    Ok(Reply::json(StatusCode::OK, &Checked { changed: !changes.is_empty(), changes }))
}

/// `POST /v1/reload`
pub(super) async fn reload(call: Call<State>) -> Outcome {
    let applied = call.state.control.reload(call.by()).await?;
    Ok(Reply::json(StatusCode::OK, &Changed::from(applied)))
}

/// `POST /v1/restore`
pub(super) async fn restore(call: Call<State>) -> Outcome {
    let applied = call.state.control.restore(call.by()).await?;
    Ok(Reply::json(StatusCode::OK, &Changed::from(applied)))
}

fn tag(config: &Config) -> ETag {
    ETag::of(&config.document())
}
