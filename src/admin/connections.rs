//! Live connections: seen and ended.

use hyper::StatusCode;

use super::State;
use super::call::Call;
use super::problem::Problem;
use super::reply::Reply;
use super::views::{Connection, Connections};
use crate::fault::How;
use crate::spec::text::shown_short;

/// How many are listed where nothing else is said.
pub(super) const LISTED: u64 = 1000;
/// How many can be listed at once.
pub(super) const MOST_LISTED: u64 = 10_000;

type Outcome = Result<Reply, Problem>;

/// `GET /v1/connections`
pub(super) async fn list(call: Call<State>) -> Outcome {
    let limit = call.query.whole("limit").unwrap_or(LISTED);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let after = call.query.whole("after").unwrap_or(0);
    let mut found = call.state.control.connections(call.query.get("route"))?;
    found.retain(|connection| connection.id > after);
    let more = found.len() > limit;
    found.truncate(limit);
    let connections: Vec<Connection> = found.into_iter().map(Connection::from).collect();
    let next = connections.last().filter(|_| more).map(Connection::id);
    Ok(Reply::json(StatusCode::OK, &Connections { connections, next }))
}

/// `GET /v1/connections/{id}`
pub(super) async fn get(call: Call<State>) -> Outcome {
    let id = id(&call)?;
    let all = call.state.control.connections(None)?;
    let connection = all.into_iter().find(|connection| connection.id == id).ok_or_else(|| none(&call))?;
    Ok(Reply::json(StatusCode::OK, &Connection::from(connection)))
}

/// `DELETE /v1/connections/{id}`
pub(super) async fn delete(call: Call<State>) -> Outcome {
    let how = if call.query.get("how") == Some("reset") { How::Reset } else { How::Close };
    if call.state.control.end_connection(id(&call)?, how) {
        Ok(Reply::empty(StatusCode::NO_CONTENT))
    } else {
        Err(none(&call))
    }
}

/// Digits and nothing else; no connection has another id.
fn id(call: &Call<State>) -> Result<u64, Problem> {
    let name = call.name(0);
    let digits = name.bytes().all(|byte| byte.is_ascii_digit());
    name.parse().ok().filter(|_| digits).ok_or_else(|| none(call))
}

fn none(call: &Call<State>) -> Problem {
    Problem::not_found(format!("there is no live connection `{}`", shown_short(&call.name(0), 40)))
}
