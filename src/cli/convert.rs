//! `convert FILE`: Toxiproxy's proxies as the routes that they are.

use std::path::Path;

use serde_yaml::{Mapping, Value};

use super::stop::Stop;
use crate::admin::convert_from_toxiproxy;
use crate::config::{self, Config};
use crate::route::RouteSpec;
use crate::spec::text::shown;

/// What need not be said: a default, wherever it stands.
const UNSAID: [(&str, &str); 12] = [
    ("enabled", "true"),
    ("skip", "0"),
    ("every", "1"),
    ("probability", "1.0"),
    ("jitter", "0s"),
    ("distribution", "uniform"),
    ("shared", "connection"),
    ("correlation", "0.0"),
    ("rto", "200ms"),
    ("then", "close"),
    ("after", "0s"),
    ("direction", "downstream"),
];

/// The configuration that the proxies in a file mean; `-` is standard input.
pub(super) fn run(file: &Path) -> Result<String, Stop> {
    let name = file.display().to_string();
    let wrong = |why: &str| Stop::wrong(format!("{}: {why}", shown(&name)));
    let text = config::read_bytes(file).map_err(|problem| wrong(&problem.title))?;
    if text.len() > config::MAX_TEXT {
        return Err(wrong("this is more than 1 MiB"));
    }
    let routes = convert_from_toxiproxy(&text).map_err(|why| wrong(&why.to_string()))?;
    // What does not go together is told here rather than when the result is read.
    let whole = Config { routes, ..Config::default() };
    whole.check().map_err(|refused| wrong(&refused.brief()))?;
    let routes = whole.routes;
    let written = |value| Stop::failed(format!("cannot write YAML: {value}"));
    let mut all = Vec::with_capacity(routes.len());
    for route in &routes {
        let plain = RouteSpec { timeouts: Default::default(), ..RouteSpec::from(route) };
        let mut value = serde_yaml::to_value(plain).map_err(written)?;
        leave_out(&mut value);
        make_literal(&mut value);
        all.push(value);
    }
    let mut document = Mapping::new();
    document.insert("routes".into(), Value::Sequence(all));
    serde_yaml::to_string(&document).map_err(written)
}

fn leave_out(value: &mut Value) {
    match value {
        Value::Sequence(items) => items.iter_mut().for_each(leave_out),
        Value::Mapping(map) => {
            map.retain(|key, value| !is_unsaid(key, value));
            map.iter_mut().for_each(|(_, value)| leave_out(value));
        }
        _ => {}
    }
}

/// What looks like a variable was none.
fn make_literal(value: &mut Value) {
    match value {
        Value::Sequence(items) => items.iter_mut().for_each(make_literal),
        Value::Mapping(map) => map.iter_mut().for_each(|(_, value)| make_literal(value)),
        Value::String(text) => *text = config::literal(text).into_owned(),
        _ => {}
    }
}

fn is_unsaid(key: &Value, value: &Value) -> bool {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => number.to_string(),
        Value::Sequence(items) => return items.is_empty(),
        _ => return false,
    };
    UNSAID.iter().any(|(unsaid, default)| key.as_str() == Some(unsaid) && text == *default)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load;

    #[test]
    fn what_it_prints_means_what_it_read_and_no_more() {
        let directory = tempfile::tempdir().unwrap();
        let (from, to) = (directory.path().join("toxiproxy.json"), directory.path().join("routes.yaml"));
        let text = r#"[{"name": "redis", "listen": "127.0.0.1:26379", "upstream": "redis:6379", "toxics": [
            {"type": "latency", "attributes": {"latency": 100}},
            {"type": "bandwidth", "stream": "upstream", "toxicity": 0.5, "attributes": {"rate": 64}}
        ]}]"#;
        std::fs::write(&from, text).unwrap();
        let yaml = run(&from).unwrap();
        assert_eq!(
            yaml,
            "routes:\n- name: redis\n  localPort: 26379\n  bind: 127.0.0.1\n  upstream: redis:6379\n  faults:\n  \
             - latency:\n      name: latency_downstream\n      delay: 100ms\n  - bandwidth:\n      \
             name: bandwidth_upstream\n      direction: upstream\n      rate: 64kB/s\n      probability: 0.5\n  limits:\n    held: 32MiB\n"
        );
        std::fs::write(&to, &yaml).unwrap();
        let config: Config = load(&to, &|_| None).unwrap();
        assert_eq!(config.routes, convert_from_toxiproxy(text.as_bytes()).unwrap());
        // All toxics, with their defaults and with other values.
        let toxic = |kind: &str, attributes: &str| {
            let name = format!("{kind} {}", attributes.len());
            format!(r#"{{"type": "{kind}", "name": "{name}", "attributes": {attributes}}}"#)
        };
        let toxics = [
            toxic("noop", "{}"),
            toxic("latency", "{}"),
            toxic("latency", r#"{"latency": 5, "jitter": 3}"#),
            toxic("bandwidth", "{}"),
            toxic("bandwidth", r#"{"rate": 7}"#),
            toxic("slow_close", r#"{"delay": 7}"#),
            toxic("timeout", "{}"),
            toxic("timeout", r#"{"timeout": 7}"#),
            toxic("reset_peer", "{}"),
            toxic("reset_peer", r#"{"timeout": 7}"#),
            toxic("slicer", r#"{"average_size": 7, "size_variation": 3, "delay": 9}"#),
            toxic("limit_data", r#"{"bytes": 7}"#),
            toxic("packet_loss", "{}"),
            toxic("packet_loss", r#"{"loss_rate": 0.5, "correlation": 0.25}"#),
        ];
        let text = format!(
            r#"[{{"name": "all", "listen": ":1", "upstream": "x:1", "enabled": false, "toxics": [{}]}}]"#,
            toxics.join(",")
        );
        std::fs::write(&from, &text).unwrap();
        std::fs::write(&to, run(&from).unwrap()).unwrap();
        let config: Config = load(&to, &|_| None).unwrap();
        assert_eq!(config.routes, convert_from_toxiproxy(text.as_bytes()).unwrap());

        let text = r#"[{"name": "a ${A}b", "listen": ":1", "upstream": "x:1"}]"#;
        std::fs::write(&from, text).unwrap();
        std::fs::write(&to, run(&from).unwrap()).unwrap();
        let config: Config = load(&to, &|_| None).unwrap();
        assert_eq!(config.routes, convert_from_toxiproxy(text.as_bytes()).unwrap());

        let twice = r#"[{"name": "a", "listen": ":1", "upstream": "x:1"}, {"name": "a", "listen": ":2", "upstream": "x:1"}]"#;
        std::fs::write(&from, twice).unwrap();
        assert!(run(&from).unwrap_err().why.contains("two routes are called `a`"));
        std::fs::write(&from, " ".repeat(config::MAX_TEXT + 1)).unwrap();
        assert!(run(&from).unwrap_err().why.ends_with("this is more than 1 MiB"));
        std::fs::write(&from, "[{}]").unwrap();
        let stop = run(&from).unwrap_err();
        assert!(stop.why.ends_with("toxiproxy.json: proxy 1: missing required field: name"), "{stop:?}");
        assert_eq!(run(Path::new("/nowhere")).unwrap_err().why, "/nowhere: there is no such file");
    }
}
