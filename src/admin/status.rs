//! How the daemon is: for people, probes and scrapers.

use std::sync::LazyLock;

use hyper::body::Bytes;
use hyper::{StatusCode, header};

use super::State;
use super::call::Call;
use super::metrics::{self, View};
use super::problem::Problem;
use super::reply::{Reply, line_of};
use super::views::StatusView;
use super::{Format, openapi};
use crate::observe::build;

const PLAIN: &str = "text/plain; charset=utf-8";

type Outcome = Result<Reply, Problem>;

/// `GET /v1/status`
pub(super) async fn get(call: Call<State>) -> Outcome {
    Ok(Reply::json(StatusCode::OK, &StatusView::from(call.state.control.status())))
}

/// `GET /livez`
pub(super) async fn livez(_: Call<State>) -> Outcome {
    Ok(Reply::text(StatusCode::OK, PLAIN, "ok\n"))
}

/// `GET /readyz`
pub(super) async fn readyz(call: Call<State>) -> Outcome {
    let status = call.state.control.status();
    let (code, text) = if status.draining {
        (StatusCode::SERVICE_UNAVAILABLE, "draining\n")
    } else if status.ready {
        (StatusCode::OK, "ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not all routes listen\n")
    };
    Ok(Reply::text(code, PLAIN, text))
}

/// `GET /v1/stats`
pub(super) async fn stats(call: Call<State>) -> Outcome {
    Ok(Reply::json(StatusCode::OK, &call.state.control.stats()))
}

/// `GET /metrics`
pub(super) async fn metrics(call: Call<State>) -> Outcome {
    let accepted: Vec<_> =
        call.headers.get_all(header::ACCEPT).iter().filter_map(|a| a.to_str().ok()).collect();
    let format = Format::accepted(&accepted.join(","));
    let text = with_view(&call.state, |view| metrics::render(view, format));
    Ok(Reply::text(StatusCode::OK, format.content_type(), text))
}

/// `GET /openapi.json`
pub(super) async fn describe(_: Call<State>) -> Outcome {
    // It is large, and the same for ever: whoever asks again must not cost others their turn.
    static TEXT: LazyLock<Bytes> = LazyLock::new(|| {
        let document = openapi::document(super::endpoints::ENDPOINTS);
        line_of(&document).unwrap_or_default().into()
    });
    Ok(Reply::text(StatusCode::OK, "application/json", TEXT.clone()))
}

fn with_view<T>(state: &State, show: impl FnOnce(&View<'_>) -> T) -> T {
    let status = state.control.status();
    let routes = state.control.routes();
    show(&View {
        generation: status.generation,
        started: status.started,
        uptime: status.uptime,
        version: build::VERSION,
        commit: build::COMMIT,
        routes: &routes,
        process: state.control.emitter().process(),
        toxiproxy: state.toxiproxy_metrics,
    })
}
