//! `events`: what happens on a running daemon, as it happens.

use clap::Args;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::{ACCEPT, HeaderMap, HeaderValue};
use serde_json::{Map, Value};
use tokio::signal::unix::{SignalKind, signal};

use super::client::{Client, ClientFlags};
use super::print_or_gone;
use super::sse::{Lines, Message};
use super::stop::Stop;
use super::target::Target;
use crate::observe::escape_beyond_json;
use crate::spec::text::{shown, shown_short};

#[derive(Debug, Args)]
pub(super) struct Events {
    /// Only those of this route
    #[arg(long, value_name = "ROUTE")]
    route: Option<String>,
    /// Begin behind the event of this id, if the daemon still has it
    #[arg(long, value_name = "ID")]
    after: Option<String>,
    #[command(flatten)]
    client: ClientFlags,
}

/// Prints events until the daemon ends, nobody reads them any more, or Ctrl-C.
pub(super) fn run(what: &Events) -> Result<String, Stop> {
    let client = Client::new(&what.client)?;
    let mut target = Target::new("/v1/events");
    if let Some(route) = &what.route {
        target = target.only(route);
    }
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
    if let Some(id) = &what.after {
        let id = HeaderValue::from_str(id).map_err(|_| Stop::wrong("--after: this is no event's id"))?;
        headers.insert("last-event-id", id);
    }
    let json = client.json;
    client.stream(&target, headers, async |body| {
        // Heard from before the first line is printed: whoever has read it may stop us.
        let interrupted = signal(SignalKind::interrupt());
        let mut interrupted =
            interrupted.map_err(|error| Stop::failed(format!("cannot hear Ctrl-C: {error}")))?;
        tokio::select! {
            told = follow(body, json) => told,
            _ = interrupted.recv() => Ok(String::new()),
        }
    })
}

async fn follow(mut body: Incoming, json: bool) -> Result<String, Stop> {
    let mut lines = Lines::default();
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            return Err(Stop::failed("the stream of events broke off"));
        };
        let Ok(data) = frame.into_data() else { continue };
        for message in lines.read(&data) {
            let Some(line) = line(&message, json) else { continue };
            match print_or_gone(&line) {
                Ok(true) => {}
                Ok(false) => return Ok(String::new()),
                Err(error) => return Err(Stop::failed(format!("{error:#}"))),
            }
        }
    }
    Ok(String::new())
}

/// An event as a line; none if it holds nothing.
fn line(message: &Message, json: bool) -> Option<String> {
    let data = message.data.trim();
    if data.is_empty() {
        return None;
    }
    if json {
        return Some(escape_beyond_json(data.replace(['\n', '\r', '\t'], " ")) + "\n");
    }
    Some(match serde_json::from_str(data) {
        Ok(Value::Object(event)) => readable(&event),
        _ => shown(data).into_owned() + "\n",
    })
}

/// `14:03:07Z web #3 fault.fired fault=drop draw=0.13`
fn readable(event: &Map<String, Value>) -> String {
    let text = |key: &str| event.get(key).and_then(Value::as_str);
    let mut words = Vec::new();
    words.extend(text("time").map(time_of_day));
    words.extend(text("route").map(|route| shown(route).into_owned()));
    words.extend(event.get("connection").map(|number| format!("#{}", plain(number))));
    words.extend(text("event").map(|name| shown(name).into_owned()));
    for (key, value) in event {
        match (key.as_str(), value) {
            ("time" | "route" | "connection" | "event", _) => {}
            ("level", Value::String(level)) if level == "info" => {}
            (_, Value::Object(parts)) => {
                words.extend(
                    parts
                        .iter()
                        .map(|(part, value)| format!("{}.{}={}", shown(key), shown(part), plain(value))),
                );
            }
            _ => words.push(format!("{}={}", shown(key), plain(value))),
        }
    }
    words.join(" ") + "\n"
}

/// The time of day of an RFC 3339 time, to the second.
pub(super) fn time_of_day(time: &str) -> String {
    let of_day = time.split_once('T').and_then(|(_, of_day)| of_day.get(..8));
    of_day.map_or_else(|| shown_short(time, 40), |of_day| format!("{}Z", shown(of_day)))
}

/// A value without needless quotes.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) if !text.is_empty() && !text.contains([' ', '"', '=']) => {
            shown(text).into_owned()
        }
        value => escape_beyond_json(value.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(event: &Value) -> String {
        let message = Message { data: event.to_string() };
        line(&message, false).unwrap()
    }

    #[test]
    fn an_event_reads_as_a_line() {
        assert_eq!(
            told(&json!({
                "time": "2026-11-20T14:03:07.123456Z", "level": "info", "event": "connection.closed", "route": "web",
                "connection": 3, "bytes": {"upstream": 78, "downstream": 0}, "error": "timed out"
            })),
            "14:03:07Z web #3 connection.closed bytes.downstream=0 bytes.upstream=78 error=\"timed out\"\n"
        );
        assert_eq!(told(&json!({"event": "missed", "count": 12})), "missed count=12\n");
    }

    #[test]
    fn an_event_obeys_nobody() {
        let line = told(
            &json!({"time": "2026-11-20T\u{1b}[2J1234567", "route": "a\u{202e}b", "x\ny": "\u{9b}", "z": [1, "\u{200b} "]}),
        );
        assert!(
            line.ends_with('\n') && !line.trim_end().chars().any(crate::spec::text::is_hostile),
            "{line:?}"
        );
    }
}
