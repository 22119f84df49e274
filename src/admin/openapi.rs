//! `/openapi.json`: the list of endpoints as OpenAPI 3.1.

use std::collections::BTreeSet;

use hyper::{Method, StatusCode};
use schemars::generate::SchemaSettings;
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::endpoint::{Endpoint, Gift, Gives, Header, Takes, schema};
use super::guard;
use super::problem::{PROBLEM_JSON, Problem};
use super::query::Kind;
use crate::spec::pattern::bound;

/// The whole description.
pub(super) fn document<S>(endpoints: &[Endpoint<S>]) -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut generator = settings.into_generator();
    let mut paths = Map::new();
    for endpoint in endpoints {
        let path = paths.entry(endpoint.path).or_insert_with(|| json!({}));
        if let Some(path) = path.as_object_mut() {
            let method = endpoint.method.as_str().to_ascii_lowercase();
            path.insert(method, operation(endpoint, &mut generator));
        }
    }
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "chaos-proxy",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "See everything a chaos-proxy does, and change anything while it runs.",
            "description": env!("CARGO_PKG_DESCRIPTION"),
            "license": {"name": "MIT OR Apache-2.0", "identifier": env!("CARGO_PKG_LICENSE")},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": generator.take_definitions(false),
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "Needed where the daemon has a token.",
                },
            },
        },
    });
    bound(&mut document);
    document
}

fn operation<S>(endpoint: &Endpoint<S>, generator: &mut SchemaGenerator) -> Value {
    let is_open = guard::OPEN.contains(&endpoint.path);
    let mut operation = json!({
        "operationId": endpoint.id,
        "summary": endpoint.summary,
        "tags": [tag(endpoint.path)],
        "parameters": parameters(endpoint),
        "responses": replies(endpoint, is_open, generator),
        // Without a token in the daemon none is needed.
        "security": if is_open { json!([]) } else { json!([{}, {"token": []}]) },
    });
    let (required, body) = match endpoint.takes {
        Takes::Nothing => return operation,
        Takes::Maybe(body) => (false, body),
        Takes::Body(body) => (true, body),
    };
    if let Some(operation) = operation.as_object_mut() {
        let schema = body(generator);
        let content = json!({"application/json": {"schema": schema}});
        operation.insert("requestBody".to_owned(), json!({"required": required, "content": content}));
    }
    operation
}

/// The noun an endpoint is about.
fn tag(path: &str) -> &str {
    match path.strip_prefix("/v1/") {
        Some(rest) if rest.contains("/faults") => "faults",
        Some(rest) => match rest.split('/').next().unwrap_or_default() {
            "reload" | "restore" => "config",
            noun => noun,
        },
        None => "probes",
    }
}

fn parameters<S>(endpoint: &Endpoint<S>) -> Vec<Value> {
    let mut parameters = Vec::new();
    for name in names(endpoint.path) {
        let (what, schema) = match name {
            "id" => {
                ("The connection's number in the process.", Kind::Whole { min: 1, max: u64::MAX }.schema())
            }
            "fault" => ("The fault's name.", json!({"type": "string", "minLength": 1})),
            _ => ("The route's name.", json!({"type": "string", "minLength": 1})),
        };
        parameters.push(
            json!({"name": name, "in": "path", "required": true, "description": what, "schema": schema}),
        );
    }
    for parameter in endpoint.query {
        parameters.push(json!({
            "name": parameter.name,
            "in": "query",
            "description": parameter.what,
            "schema": parameter.kind.schema(),
        }));
    }
    for header in endpoint.headers {
        let (name, what, schema) = match header {
            Header::IfMatch => ("If-Match", "Change it only if it is what was seen.", Kind::Text.schema()),
            Header::IfNoneMatch => ("If-None-Match", "Give it only if it is not this.", Kind::Text.schema()),
            Header::LastEventId => {
                let id = json!({"anyOf": [Kind::EventId.schema(), {"const": ""}]});
                ("Last-Event-ID", "As `after`, which it goes before.", id)
            }
        };
        parameters.push(json!({"name": name, "in": "header", "description": what, "schema": schema}));
    }
    parameters
}

/// What stands in braces.
fn names(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

fn replies<S>(endpoint: &Endpoint<S>, is_open: bool, generator: &mut SchemaGenerator) -> Value {
    let mut replies = Map::new();
    for gives in endpoint.gives {
        replies.insert(gives.status.as_str().to_owned(), reply(gives, generator));
    }
    for status in refusals(endpoint, is_open) {
        let code = StatusCode::from_u16(status).unwrap_or_default();
        let mut problem = json!({
            "description": code.canonical_reason().unwrap_or("Refused"),
            "content": {PROBLEM_JSON: {"schema": schema::<Problem>(generator)}},
        });
        if let (StatusCode::UNAUTHORIZED, Some(problem)) = (code, problem.as_object_mut()) {
            problem.insert("headers".to_owned(), json!({"WWW-Authenticate": header("What is needed.")}));
        }
        replies.insert(status.to_string(), problem);
    }
    replies.into()
}

/// Every status with which it may be refused: its own, and those that what it takes brings with it.
fn refusals<S>(endpoint: &Endpoint<S>, is_open: bool) -> BTreeSet<u16> {
    let mut statuses = BTreeSet::from([400, 408, 413, 414, 431]);
    statuses.extend(endpoint.refuses);
    if !is_open {
        statuses.extend([401, 403]);
    }
    if names(endpoint.path).next().is_some() {
        statuses.insert(404);
    }
    if endpoint.method != Method::GET {
        statuses.insert(415);
    }
    if endpoint.headers.contains(&Header::IfMatch) {
        statuses.insert(412);
    }
    statuses
}

fn reply(gives: &Gives, generator: &mut SchemaGenerator) -> Value {
    let mut reply = Map::new();
    reply.insert("description".to_owned(), json!(gives.what));
    let mut headers = Map::new();
    if gives.tagged {
        headers.insert("ETag".to_owned(), header("The tag of the configuration, for `If-Match`."));
    }
    if gives.located {
        headers.insert("Location".to_owned(), header("Where it is."));
    }
    if !headers.is_empty() {
        reply.insert("headers".to_owned(), headers.into());
    }
    let content = match gives.content {
        Gift::Nothing => return reply.into(),
        Gift::Json(schema) => json!({"application/json": {"schema": schema(generator)}}),
        Gift::Text(kinds) => {
            let text = |kind: &&str| ((*kind).to_owned(), json!({"schema": {"type": "string"}}));
            kinds.iter().map(text).collect::<Map<_, _>>().into()
        }
        Gift::Events(data) => json!({"text/event-stream": {"schema": event(data(generator))}}),
    };
    reply.insert("content".to_owned(), content);
    reply.into()
}

/// One server-sent event.
fn event(data: Schema) -> Value {
    let text = |what: &str| json!({"description": what, "type": "string"});
    let data = json!({"type": "string", "contentMediaType": "application/json", "contentSchema": data});
    json!({
        "description": "One of the events that the stream consists of.",
        "type": "object",
        "properties": {"event": text("Its name."), "id": text("Where to go on, for `after`."), "data": data},
        "required": ["event", "id", "data"],
    })
}

fn header(what: &str) -> Value {
    json!({"description": what, "required": true, "schema": {"type": "string"}})
}

#[cfg(test)]
mod tests {
    use super::super::endpoints::ENDPOINTS;
    use super::*;

    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            Value::Object(keys) => {
                found.extend(keys.get("$ref").and_then(Value::as_str));
                keys.values().for_each(|value| references(value, found));
            }
            _ => {}
        }
    }

    #[test]
    fn every_endpoint_is_described() {
        let document = document(ENDPOINTS);
        let paths = document["paths"].as_object().unwrap();
        let described: usize = paths.values().map(|path| path.as_object().unwrap().len()).sum();
        assert_eq!(described, ENDPOINTS.len(), "no two endpoints are the same");
        let mut ids = BTreeSet::new();
        for endpoint in ENDPOINTS {
            let path = paths[endpoint.path].as_object().unwrap();
            let (_, operation) =
                path.iter().find(|(word, _)| word.eq_ignore_ascii_case(endpoint.method.as_str())).unwrap();
            assert_eq!(operation["operationId"], endpoint.id);
            assert!(ids.insert(endpoint.id), "{} twice", endpoint.id);
            assert!(!endpoint.gives.is_empty(), "{}", endpoint.id);
            for (status, reply) in operation["responses"].as_object().unwrap() {
                assert!(reply["description"].is_string(), "{} {status}", endpoint.id);
            }
            assert_eq!(operation["requestBody"].is_null(), matches!(endpoint.takes, Takes::Nothing));
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let document = document(ENDPOINTS);
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() > 50, "{}", found.len());
        for reference in found {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
    }

    #[test]
    fn replies_carry_a_state_and_no_shorthand() {
        let document = document(ENDPOINTS);
        let schemas = &document["components"]["schemas"];
        let route = schemas["RouteWithState"]["properties"].as_object().unwrap();
        assert!(route.contains_key("state") && !route.contains_key("dropRate"), "{route:?}");
        let faults = schemas["FaultWithState"]["oneOf"].as_array().unwrap();
        assert_eq!(faults.len(), crate::fault::Effect::WORDS.len());
        let patch = schemas["FaultPatch"]["properties"].as_object().unwrap();
        assert_eq!(patch.len(), crate::fault::Effect::WORDS.len() + 1);
    }
}
