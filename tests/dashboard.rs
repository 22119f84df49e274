//! The dashboard under `examples/` asks for metrics that exist, by labels that they have.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so loudly")]

use std::collections::{BTreeMap, BTreeSet};

use chaos_proxy::admin::metrics;
use chaos_proxy::observe::{BreakerState, ConnectResult, Direction, Ending, Side};
use serde_json::Value;

/// What may stand before a parenthesis without being a metric.
const FUNCTIONS: [&str; 8] =
    ["sum", "min", "max", "rate", "increase", "changes", "histogram_quantile", "label_values"];

/// What may stand before a list of labels.
const GROUPINGS: [&str; 2] = ["by", "without"];

/// Labels that Prometheus adds to all that it scrapes.
const SCRAPED: [&str; 2] = ["instance", "job"];

/// The labels of each metric, by the name in queries.
fn known() -> BTreeMap<String, Vec<&'static str>> {
    metrics::families().flat_map(|family| family.samples()).collect()
}

/// A query cut into words, texts in quotes, and single signs; ranges in brackets are left out.
fn tokens(query: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = query.trim_start();
    while let Some(first) = rest.chars().next() {
        let word = |c: char| c.is_ascii_alphanumeric() || "_:$.".contains(c);
        let length = match first {
            '"' => rest[1..].find('"').expect("a closing quote") + 2,
            '[' => rest.find(']').expect("a closing bracket") + 1,
            c if word(c) => rest.find(|c| !word(c)).unwrap_or(rest.len()),
            c => c.len_utf8(),
        };
        let (token, behind) = rest.split_at(length);
        if first != '[' {
            tokens.push(token.to_owned());
        }
        rest = behind.trim_start();
    }
    tokens
}

fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
}

/// What a query says.
#[derive(Default)]
struct Query {
    metrics: BTreeSet<String>,
    /// The labels by which it groups, with those that `{{…}}` in the legend asks for.
    labels: BTreeSet<String>,
    problems: Vec<String>,
}

impl Query {
    fn read(query: &str, legend: &str) -> Query {
        let known = known();
        let tokens = tokens(query);
        let mut read = Query::default();
        let at = |i: usize| tokens.get(i).map_or("", String::as_str);
        let (mut i, mut variables) = (0, false);
        while i < tokens.len() {
            let token = at(i);
            i += 1;
            if !is_name(token) {
                continue;
            }
            if GROUPINGS.contains(&token) {
                let list = tokens[i..].iter().take_while(|token| *token != ")");
                read.labels.extend(list.clone().filter(|token| is_name(token)).cloned());
                i += list.count();
            } else if at(i) == "(" || GROUPINGS.contains(&at(i)) {
                if !FUNCTIONS.contains(&token) {
                    read.problems.push(format!("{token} is no function that is known here"));
                }
                variables |= token == "label_values";
            } else if variables && at(i) == ")" {
                read.labels.insert(token.to_owned());
            } else {
                let Some(labels) = known.get(token) else {
                    read.problems.push(format!("there is no metric {token}"));
                    continue;
                };
                read.metrics.insert(token.to_owned());
                if at(i) == "{" {
                    let inside: Vec<&str> =
                        tokens[i..].iter().take_while(|token| *token != "}").map(String::as_str).collect();
                    read.matchers(token, labels, &inside[1..]);
                    i += inside.len();
                }
            }
        }
        for part in legend.split("{{").skip(1) {
            read.labels.insert(part.split("}}").next().unwrap().trim().to_owned());
        }
        for (metric, label) in read.metrics.iter().flat_map(|m| read.labels.iter().map(move |l| (m, l))) {
            if !known[metric].contains(&label.as_str()) && !SCRAPED.contains(&label.as_str()) {
                read.problems.push(format!("{metric} has no label {label}"));
            }
        }
        read
    }

    /// `route =~ "$route" , direction = "upstream"`
    fn matchers(&mut self, metric: &str, labels: &[&str], inside: &[&str]) {
        for matcher in inside.split(|token| *token == ",") {
            let (label, value) = (matcher[0], matcher[matcher.len() - 1].trim_matches('"'));
            if !labels.contains(&label) {
                self.problems.push(format!("{metric} has no label {label}"));
            }
            let words: Vec<&str> = match label {
                "direction" => Direction::ALL.map(Direction::word).to_vec(),
                "result" => ConnectResult::ALL.map(ConnectResult::word).to_vec(),
                "state" => BreakerState::ALL.map(BreakerState::word).to_vec(),
                "ending" => Ending::ALL.map(Ending::word).to_vec(),
                "side" => Side::ALL.map(Side::word).to_vec(),
                _ => vec!["$route"],
            };
            if !words.contains(&value) {
                self.problems.push(format!("{label} is never {value}"));
            }
        }
    }
}

/// Every object within, the value itself included.
fn objects<'a>(value: &'a Value, found: &mut Vec<&'a Value>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| objects(item, found)),
        Value::Object(fields) => {
            found.push(value);
            fields.values().for_each(|field| objects(field, found));
        }
        _ => {}
    }
}

fn dashboard() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/grafana-dashboard.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Every query of the dashboard with its legend.
fn queries(dashboard: &Value) -> Vec<(String, String)> {
    let mut found = Vec::new();
    objects(dashboard, &mut found);
    let text = |object: &Value, key: &str| object[key].as_str().map(str::to_owned);
    let of = |object: &&Value| {
        let query = text(object, "expr").or_else(|| text(object, "definition"))?;
        let legend = text(object, "legendFormat").or_else(|| text(object, "textFormat"));
        Some((query, legend.unwrap_or_default()))
    };
    found.iter().filter_map(of).collect()
}

#[test]
fn every_query_names_metrics_and_labels_that_exist() {
    let queries = queries(&dashboard());
    assert!(queries.len() > 20, "only {} queries were found", queries.len());
    for (query, legend) in queries {
        let read = Query::read(&query, &legend);
        assert!(read.problems.is_empty(), "{query}: {}", read.problems.join("; "));
        assert!(!read.metrics.is_empty(), "{query} asks for nothing");
    }
}

#[test]
fn no_metric_is_left_out() {
    let asked: BTreeSet<String> =
        queries(&dashboard()).iter().flat_map(|(query, _)| Query::read(query, "").metrics).collect();
    for family in metrics::families() {
        let samples = family.samples();
        assert!(samples.iter().any(|(name, _)| asked.contains(name)), "{} is not shown", family.name);
    }
}

/// The route and the data source can be chosen, and every panel heeds the choice.
#[test]
fn the_dashboard_has_its_variables() {
    let dashboard = dashboard();
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    let names: Vec<&str> = variables.iter().map(|variable| variable["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["datasource", "route"]);
    assert_eq!(variables[1]["query"]["query"], variables[1]["definition"]);
    let (mut found, mut ids) = (Vec::new(), BTreeSet::new());
    objects(&dashboard["panels"], &mut found);
    for target in found.iter().filter(|object| object["expr"].is_string()) {
        assert_eq!(target["datasource"]["uid"], "${datasource}", "{target}");
    }
    let known = known();
    for (query, _) in queries(&dashboard["panels"]) {
        let by_route = Query::read(&query, "").metrics.iter().all(|name| known[name].contains(&"route"));
        assert_eq!(query.contains("route=~\"$route\""), by_route, "{query}");
    }
    for panel in dashboard["panels"].as_array().unwrap() {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{} shares its id", panel["title"]);
    }
}

#[test]
fn a_query_that_is_wrong_is_found() {
    let wrong = |query: &str, legend: &str| Query::read(query, legend).problems.join("; ");
    for (query, legend, expected) in [
        ("sum(chaos_proxy_connections_activ)", "", "there is no metric chaos_proxy_connections_activ"),
        ("chaos_prxy_generation", "", "there is no metric chaos_prxy_generation"),
        ("chaos_proxy_connections_opened", "", "there is no metric chaos_proxy_connections_opened"),
        ("rat(chaos_proxy_generation[5m])", "", "rat is no function that is known here"),
        (
            "sum by (rout) (chaos_proxy_connections_active)",
            "",
            "chaos_proxy_connections_active has no label rout",
        ),
        ("chaos_proxy_generation{route=~\"$route\"}", "", "chaos_proxy_generation has no label route"),
        ("chaos_proxy_generation", "{{ending}}", "chaos_proxy_generation has no label ending"),
        ("chaos_proxy_bytes_sent_total{direction=\"up\"}", "", "direction is never up"),
        ("label_values(chaos_proxy_generation, route)", "", "chaos_proxy_generation has no label route"),
    ] {
        assert_eq!(wrong(query, legend), expected, "{query}");
    }
    let right = "sum by (le) (rate(chaos_proxy_upstream_connect_seconds_bucket{route=~\"$route\"}[$__rate_interval])) > 0.5";
    assert_eq!(wrong(right, "{{le}} {{instance}}"), "");
}
