//! What the process as a whole tells.

use std::time::UNIX_EPOCH;

use super::super::exposition::Kind;
use super::{OfProcess, family};

/// Each once.
pub(super) static ALL: &[OfProcess] = &[
    (
        family("chaos_proxy_build", Kind::Info, "The version of the program.", &["version", "commit"]),
        |view, samples| samples.number(&[view.version, view.commit], 1),
    ),
    (
        family(
            "chaos_proxy_start_time_seconds",
            Kind::Gauge,
            "When the program started, in seconds since 1970.",
            &[],
        ),
        |view, samples| {
            let since = view.started.duration_since(UNIX_EPOCH).unwrap_or_default();
            samples.number(&[], since.as_secs_f64());
        },
    ),
    (
        family("chaos_proxy_uptime_seconds", Kind::Gauge, "How long the program has been running.", &[]),
        |view, samples| samples.number(&[], view.uptime.as_secs_f64()),
    ),
    (
        family("chaos_proxy_generation", Kind::Gauge, "The number of the configuration in force.", &[]),
        |view, samples| samples.number(&[], view.generation),
    ),
    (
        family(
            "chaos_proxy_reloads",
            Kind::Counter,
            "Reloads of the configuration that came into force (ok) or were refused.",
            &["result"],
        ),
        |view, samples| {
            samples.number(&["ok"], view.process.reloads(true));
            samples.number(&["refused"], view.process.reloads(false));
        },
    ),
    (
        family(
            "chaos_proxy_control_calls",
            Kind::Counter,
            "Calls of the control API, by status code.",
            &["code"],
        ),
        |view, samples| {
            for (code, calls) in view.process.calls() {
                samples.number(&[&code.to_string()], calls);
            }
        },
    ),
    (
        family(
            "chaos_proxy_log_lines_dropped",
            Kind::Counter,
            "Lines of the log that nobody took in time.",
            &[],
        ),
        |view, samples| samples.number(&[], view.process.log_lines_dropped()),
    ),
    (
        family(
            "chaos_proxy_panics",
            Kind::Counter,
            "Tasks that were ended by a mistake in this program.",
            &[],
        ),
        |view, samples| samples.number(&[], view.process.panics()),
    ),
];
