//! The log: a `tracing` layer that turns each event into one line for the one writer.

use std::fmt;
use std::io::IsTerminal;
use std::sync::OnceLock;
use std::time::SystemTime;

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::{Registry, reload};

use super::writer::Writer;
use super::{Filter, Format, clock};
use crate::spec::text::shown;

/// Starts logging for the process. Only the first call has an effect.
pub fn start(level: &Filter, format: Format) {
    let layer = LogLayer { text: is_text(format), writer: Writer::stderr() };
    let (filter, handle) = reload::Layer::new(targets(level));
    let subscriber = tracing_subscriber::registry().with(layer.with_filter(filter));
    // A library user may have set one of its own; that one then hears the events.
    if tracing::subscriber::set_global_default(subscriber).is_ok() {
        let _ = FILTER.set(handle);
    }
}

/// The filter of a running log.
static FILTER: OnceLock<reload::Handle<Targets, Registry>> = OnceLock::new();

/// Changes what is logged from now on. Without a log of ours it has no effect.
pub fn set_level(level: &Filter) {
    if let Some(filter) = FILTER.get() {
        // It fails only when the log is gone.
        let _ = filter.reload(targets(level));
    }
}

fn targets(level: &Filter) -> Targets {
    level.0.parse::<Targets>().unwrap_or_default()
}

/// Whether the log is written for a person.
pub fn is_text(format: Format) -> bool {
    match format {
        Format::Auto => std::io::stderr().is_terminal(),
        Format::Text => true,
        Format::Json => false,
    }
}

struct LogLayer {
    text: bool,
    writer: Writer,
}

impl<S: Subscriber> Layer<S> for LogLayer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut line = Line { text: self.text, event: None, rest: String::new() };
        event.record(&mut line);
        let line = match line.event {
            Some(told) => told,
            None => self.foreign(event, &line.rest),
        };
        if !line.is_empty() {
            self.writer.line(line);
        }
    }
}

impl LogLayer {
    /// What a library underneath has to say.
    fn foreign(&self, event: &Event<'_>, message: &str) -> String {
        let metadata = event.metadata();
        let time = SystemTime::now();
        if self.text {
            let level = metadata.level();
            return format!("{} {level} {}: {}", clock::time_of_day(time), metadata.target(), shown(message));
        }
        let level = metadata.level().as_str().to_ascii_lowercase();
        serde_json::json!({
            "time": clock::rfc3339(time), "level": level, "event": "log",
            "target": metadata.target(), "message": shown(message),
        })
        .to_string()
    }
}

struct Line {
    text: bool,
    event: Option<String>,
    rest: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        use fmt::Write;
        // Writing into a String cannot fail.
        if field.name() == "event" {
            self.event = Some(if self.text { format!("{value:#?}") } else { format!("{value:?}") });
        } else if field.name() == "message" {
            let _ = write!(self.rest, "{value:?}");
        } else {
            let _ = write!(self.rest, " {}={value:?}", field.name());
        }
    }
}
