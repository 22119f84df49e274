//! The HTTP API of Toxiproxy, so that its clients work unchanged: a proxy is a route, a toxic is a fault of it, and
//! everything that changes the daemon goes through [`Control`] as it does for the native API.
//!
//! It has paths of its own on the same port. Statuses, words and defaults are those that its clients look for; where the
//! original hangs, crashes or does half of what it was asked, this does what the original's documentation promises.

mod convert;
mod faults;
mod go_json;
mod paths;
mod populate;
mod proxies;
mod proxy;
mod refusal;
mod reply;
mod request_id;
mod toxic;
mod toxics;

use std::sync::Arc;

use hyper::header::HeaderName;
use hyper::{Response, StatusCode};

pub use convert::{NotConverted, convert};
pub(super) use proxy::listen_text;

use super::call;
use super::guard::{self, Policy};
use super::problem::Problem;
use super::reply::{Body, Reply};
use super::server::Arrived;
use crate::daemon::Control;
use paths::Asked;
use proxy::AsTyped;
use refusal::Refusal;

/// Whether a path is one of its own.
pub(super) fn owns(path: &str) -> bool {
    paths::own(path)
}

/// What its handlers work on.
#[derive(Debug)]
struct State {
    control: Control,
    typed: AsTyped,
}

/// Toxiproxy's API, and who may ask it.
#[derive(Debug)]
pub(super) struct Toxiproxy {
    policy: Arc<Policy>,
    state: Arc<State>,
}

impl Toxiproxy {
    /// For this daemon.
    pub(super) fn new(policy: Arc<Policy>, control: Control) -> Toxiproxy {
        Toxiproxy { policy, state: Arc::new(State { control, typed: AsTyped::default() }) }
    }

    /// Answers a request for one of its own paths.
    pub(super) async fn answer(&self, arrived: Arrived) -> Response<Body> {
        let reply = self.reply(arrived).await.unwrap_or_else(said);
        self.state.control.emitter().process().count_call(reply.status().as_u16());
        reply.with(HeaderName::from_static(request_id::HEADER), request_id::next()).into_response()
    }

    async fn reply(&self, arrived: Arrived) -> Result<Reply, Problem> {
        let Arrived { head, body, place } = arrived;
        if hyper::body::Body::is_end_stream(&body) {
            place.request_complete();
        }
        call::check_head(&head)?;
        if guard::is_browser(&head.headers) {
            return Ok(reply::browser());
        }
        self.policy.admit_to_toxiproxy(&head.uri, &head.headers)?;
        let Some(asked) = Asked::at(head.uri.path()) else { return Ok(reply::nowhere()) };
        let body = call::read_body(body, place.limits.body).await?;
        place.request_complete();

        let state = self.state.clone();
        // In a task of its own: a client that goes away leaves nothing half done.
        let emitter = state.control.emitter().clone();
        let answered = emitter.spawn(async move { asked.answer(&head.method, &state, &body).await });
        Ok(answered.await.unwrap_or_else(|error| {
            let why = if error.is_panic() {
                "a bug in this program; please report it"
            } else {
                "the daemon is ending"
            };
            Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, why).into_reply()
        }))
    }
}

/// What is wrong with a request before it is anybody's, as these clients read it.
fn said(problem: Problem) -> Reply {
    let status = StatusCode::from_u16(problem.status()).unwrap_or(StatusCode::BAD_REQUEST);
    let reply = Refusal::new(status, problem.detail()).into_reply();
    problem.headers().iter().fold(reply, |reply, (name, value)| reply.with(name.clone(), value))
}
