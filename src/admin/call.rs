//! A request as a handler sees it: complete, decoded and within its limits.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::{Body, Bytes, Incoming};
use hyper::header::{self, HeaderMap};
use hyper::http::request::Parts;
use hyper::{Method, StatusCode};

use super::etag::Seen;
use super::limits;
use super::problem::Problem;
use super::query::Query;
use crate::observe::By;

/// A complete request.
#[derive(Debug)]
pub(super) struct Call<S> {
    /// What the handlers work on.
    pub(super) state: Arc<S>,
    /// What stands in the path for each `{…}`, in order.
    pub(super) names: Vec<String>,
    /// The query.
    pub(super) query: Query,
    /// The headers.
    pub(super) headers: HeaderMap,
    /// The body.
    pub(super) body: Bytes,
}

impl<S> Call<S> {
    /// What stands in the path for the nth `{…}`.
    pub(super) fn name(&self, n: usize) -> String {
        self.names.get(n).cloned().unwrap_or_default()
    }

    /// Who asks.
    pub(super) fn by(&self) -> By {
        let agent = self.headers.get(header::USER_AGENT);
        let own = agent.is_some_and(|agent| agent.as_bytes().starts_with(b"chaos-proxy/"));
        if own { By::Cli } else { By::Api }
    }

    /// What the caller says he has seen of what is to change.
    pub(super) fn seen(&self) -> Option<Seen> {
        Seen::if_match(&self.headers)
    }
}

/// Refuses a head that is larger than any need be.
pub(super) fn check_head(head: &Parts) -> Result<(), Problem> {
    let uri = &head.uri;
    let path = uri.path_and_query().map_or(0, |path| path.as_str().len());
    let authority = uri.authority().map_or(0, |authority| authority.as_str().len());
    if path.saturating_add(authority) > limits::URI {
        return Err(Problem::uri_too_long());
    }
    let headers: usize = head.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    if head.headers.len() > limits::HEADERS || headers.saturating_add(path) > limits::HEAD {
        return Err(Problem::new(
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            format!(
                "a request has at most {} headers and {} KiB of them",
                limits::HEADERS,
                limits::HEAD >> 10
            ),
        ));
    }
    Ok(())
}

/// Whether a body is said to be JSON; a patch may also be said to be what it is.
pub(super) fn is_json(method: &Method, headers: &HeaderMap) -> bool {
    let mut kinds = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(kind), None) = (kinds.next(), kinds.next()) else { return false };
    let kind = kind.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
    let kind = kind.trim_ascii();
    kind.eq_ignore_ascii_case(b"application/json")
        || (*method == Method::PATCH && kind.eq_ignore_ascii_case(b"application/merge-patch+json"))
}

/// The whole body, if it comes in time and is not too large. What is too large is not read.
pub(super) async fn read_body(body: Incoming, within: Duration) -> Result<Bytes, Problem> {
    if body.size_hint().lower() > limits::BODY as u64 {
        return Err(too_large());
    }
    match tokio::time::timeout(within, collect(body)).await {
        Ok(read) => read,
        Err(_) => Err(last(Problem::new(StatusCode::REQUEST_TIMEOUT, "the body was not complete in time"))),
    }
}

async fn collect(mut body: Incoming) -> Result<Bytes, Problem> {
    let mut whole = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| last(Problem::bad_request("the body is not as its headers say")))?;
        let Some(piece) = frame.data_ref() else { continue };
        if whole.len().saturating_add(piece.len()) > limits::BODY {
            return Err(too_large());
        }
        whole.extend_from_slice(piece);
    }
    Ok(whole.into())
}

fn too_large() -> Problem {
    last(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "a body has at most 1 MiB"))
}

/// What follows on the connection would be the rest of the body.
fn last(problem: Problem) -> Problem {
    problem.with(header::CONNECTION, "close")
}
