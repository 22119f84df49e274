//! The order in which a request is looked at: its size, who asks, for what, with which body. Then it is done.

use std::pin::Pin;
use std::sync::Arc;

use hyper::body::{Body as _, Bytes};
use hyper::header;
use hyper::http::request::Parts;
use hyper::{Method, Response, StatusCode};

use super::call::{self, Call};
use super::endpoint::{Endpoint, Takes};
use super::guard::{OPEN, Policy};
use super::problem::Problem;
use super::query::Query;
use super::reply::{Body, Reply};
use super::router;
use super::server::{Answer, Arrived};

/// Endpoints, who may ask for them, and what they work on.
pub(super) struct Api<S: 'static> {
    /// Who may ask.
    pub(super) policy: Arc<Policy>,
    /// What there is.
    pub(super) endpoints: &'static [Endpoint<S>],
    /// What it works on.
    pub(super) state: Arc<S>,
    /// Told the status of each reply.
    pub(super) count: fn(&S, StatusCode),
    /// Told when a handler broke off by a bug.
    pub(super) panicked: fn(&S),
}

impl<S: Send + Sync + 'static> Api<S> {
    /// As the server wants it.
    pub(super) fn into_answer(self) -> Answer {
        let api = Arc::new(self);
        Arc::new(move |arrived| {
            let api = api.clone();
            Box::pin(async move { api.answer(arrived).await }) as Pin<Box<dyn Future<Output = _> + Send>>
        })
    }

    async fn answer(&self, arrived: Arrived) -> Response<Body> {
        let reply = self.call(arrived).await.unwrap_or_else(Reply::from);
        (self.count)(&self.state, reply.status());
        reply.into_response()
    }

    async fn call(&self, arrived: Arrived) -> Result<Reply, Problem> {
        let Arrived { head, body, place } = arrived;
        if body.is_end_stream() {
            place.request_complete();
        }
        call::check_head(&head)?;
        // Before anything is said of what there is: a stranger learns nothing.
        self.policy.admit(&head.uri, &head.headers)?;
        let (endpoint, names) = router::find(self.endpoints, &head.method, head.uri.path())?;
        // Probes and scrapers may carry what they like.
        let asked = head.uri.query().filter(|_| !OPEN.contains(&head.uri.path()));
        let query = Query::read(asked, endpoint.query)?;
        if matches!(endpoint.takes, Takes::Body(_)) && head.headers.contains_key(header::CONTENT_ENCODING) {
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "a body is taken as it is: send it without `Content-Encoding`",
            ));
        }
        if matches!(endpoint.takes, Takes::Body(_)) && !call::is_json(&head.method, &head.headers) {
            return Err(not_json());
        }
        let body = call::read_body(body, place.limits.body).await?;
        place.request_complete();
        check_body(endpoint.takes, &head, &body)?;

        let call = Call { state: self.state.clone(), names, query, headers: head.headers, body };
        // In a task of its own: a client that goes away leaves nothing half done.
        match tokio::spawn((endpoint.handler)(call)).await {
            Ok(result) => result,
            Err(error) => {
                let why = if error.is_panic() {
                    (self.panicked)(&self.state);
                    "a bug in this program; please report it"
                } else {
                    "the daemon is ending"
                };
                Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, why))
            }
        }
    }
}

fn check_body(takes: Takes, head: &Parts, body: &Bytes) -> Result<(), Problem> {
    // Blanks are a body, and one that is not JSON: what the description says of bodies is held to the letter.
    let empty = body.is_empty();
    let changes = head.method != Method::GET && head.method != Method::HEAD;
    let said = changes && head.headers.contains_key(header::CONTENT_TYPE);
    match takes {
        // What a web page can send without asking is not JSON, and a body need not be there for that.
        Takes::Nothing | Takes::Maybe(_) if said && !call::is_json(&head.method, &head.headers) => {
            Err(not_json())
        }
        // Some clients send an empty object with every call.
        Takes::Nothing if empty || body.trim_ascii() == b"{}" => Ok(()),
        Takes::Nothing => Err(Problem::bad_request("no body belongs here")),
        Takes::Maybe(_) if !empty && !call::is_json(&head.method, &head.headers) => Err(not_json()),
        Takes::Maybe(_) | Takes::Body(_) => Ok(()),
    }
}

fn not_json() -> Problem {
    Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "send JSON, with `Content-Type: application/json`")
}
