//! Replies as Toxiproxy gives them: compact JSON on one line without an end, and plain text for what is not its own.

use hyper::StatusCode;
use serde::Serialize;

use crate::admin::reply::Reply;
use crate::observe::escape_beyond_json;

const PLAIN: &str = "text/plain; charset=utf-8";

/// An object.
pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Reply {
    match serde_json::to_string(value) {
        Ok(text) => Reply::text(status, "application/json", for_html(escape_beyond_json(text))),
        // What is made of plain maps, lists and texts can always be written.
        Err(_) => Reply::empty(StatusCode::INTERNAL_SERVER_ERROR),
    }
}

/// The version, in the very bytes that some clients compare.
pub(super) fn version(version: &str) -> Reply {
    let body = format!("{{\"version\": \"{version}\"}}\n");
    Reply::text(StatusCode::OK, "application/json;charset=utf-8", body)
}

/// There is nothing at this path.
pub(super) fn nowhere() -> Reply {
    Reply::text(StatusCode::NOT_FOUND, PLAIN, "404 page not found\n")
}

/// A browser asks.
pub(super) fn browser() -> Reply {
    Reply::text(StatusCode::FORBIDDEN, PLAIN, "User agent not allowed\n")
}

/// What a page of HTML could take for its own stands in no text.
fn for_html(json: String) -> String {
    if !json.contains(['<', '>', '&']) {
        return json;
    }
    json.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}
