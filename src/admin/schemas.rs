//! Schemas of what is sent and replied, made from those of the configuration: what a file may say, a body may say too,
//! and what is read from the daemon carries a `state`.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use super::state::RouteState;
use super::views::{FaultState, FaultView};
use crate::config::Document;
use crate::daemon::Live;
use crate::fault::FaultSpec;
use crate::route::{KeepAliveSpec, LimitsSpec, ProxyProtocolSpec, QueueSpec, RouteSpec, TimeoutsSpec};
use crate::upstream::{BreakerSpec, HealthSpec, PoolSpec, UpstreamFull, UpstreamSpec};

/// Keys of a route that stand for faults, and are in no full form.
const SHORTHANDS: [&str; 4] = ["dropRate", "timeoutMs", "latencyMs", "jitterMs"];

/// The most faults a route may list.
const MOST_FAULTS: usize = crate::config::MAX_FAULTS;

/// An object of which no more is said here.
pub(super) fn anything(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "object"})
}

/// What becomes of live connections.
pub(super) fn closing(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "properties": {
            "connections": {
                "description": "What becomes of live connections; left out: close.",
                "enum": Live::WORDS,
            },
        },
        "additionalProperties": false,
    })
}

/// A whole configuration, or its routes alone.
pub(super) fn config_request(generator: &mut SchemaGenerator) -> Schema {
    named(generator, "ConfigRequest", |generator| {
        let mut document = object::<Document>(generator);
        let routes = json!({"type": "array", "items": new_route_request(generator)});
        property(&mut document, "routes", routes.clone());
        json!({"anyOf": [document, routes]})
    })
}

/// A route that is to be.
pub(super) fn new_route_request(generator: &mut SchemaGenerator) -> Schema {
    named(generator, "NewRoute", |generator| {
        let mut route = Value::from(route_object(generator));
        // How else would its port be found?
        if let Some(route) = route.as_object_mut() {
            let named = json!({"required": ["name"]});
            let fixed = json!({"properties": {"localPort": {"type": "integer"}}});
            route.insert("anyOf".to_owned(), json!([named, fixed]));
        }
        route
    })
}

/// A route in place of another.
pub(super) fn route_request(generator: &mut SchemaGenerator) -> Schema {
    named(generator, "Route", |generator| Value::from(route_object(generator)))
}

/// A merge patch for a route.
pub(super) fn route_patch(generator: &mut SchemaGenerator) -> Schema {
    named(generator, "RoutePatch", |generator| {
        let mut route = route_object(generator);
        route.remove("required");
        let timeouts = nullable_object(object::<TimeoutsSpec>(generator), &[]);
        let mut limits = object::<LimitsSpec>(generator);
        let queue = nullable_object(object::<QueueSpec>(generator), &[]);
        property(&mut limits, "queue", queue.into());
        let keepalive = nullable_object(object::<KeepAliveSpec>(generator), &[]);
        let protocol = nullable_object(object::<ProxyProtocolSpec>(generator), &[]);
        property(&mut route, "timeouts", timeouts.into());
        property(&mut route, "limits", nullable_object(limits, &[]).into());
        property(&mut route, "keepalive", keepalive.into());
        property(&mut route, "proxyProtocol", protocol.into());
        property(&mut route, "upstream", upstream_patch(generator));
        nullable_object(route, &["localPort", "upstream", "state"]).into()
    })
}

/// An upstream in a merge patch: another one in a short form, or what is laid over the long form of the one there is.
fn upstream_patch(generator: &mut SchemaGenerator) -> Value {
    let mut full = object::<UpstreamFull>(generator);
    full.remove("required");
    let health = nullable_object(object::<HealthSpec>(generator), &[]);
    let breaker = nullable_object(object::<BreakerSpec>(generator), &[]);
    let pool = nullable_object(object::<PoolSpec>(generator), &[]);
    for (key, part) in [("health", health), ("breaker", breaker), ("pool", pool)] {
        property(&mut full, key, part.into());
    }
    let whole = object::<UpstreamSpec>(generator).remove("anyOf");
    let mut forms = whole.as_ref().and_then(Value::as_array).cloned().unwrap_or_default();
    let long = Value::from(generator.subschema_for::<UpstreamFull>());
    forms.retain(|form| *form != long);
    forms.push(nullable_object(full, &["endpoints"]).into());
    json!({"anyOf": forms})
}

/// A fault that is to be, or in place of another.
pub(super) fn fault_request(generator: &mut SchemaGenerator) -> Schema {
    named(generator, "FaultRequest", |generator| {
        let mut items = Vec::new();
        for (word, body) in effects(generator) {
            let bare = body.get("type") != Some(&json!("object"));
            items.extend(bare.then(|| json!({"const": word})));
            items.push(json!({
                "type": "object",
                "properties": {&word: body, "state": true},
                "required": [word],
                "additionalProperties": false,
            }));
        }
        json!({"description": "One thing that goes wrong: an object of one key, the effect's word.", "anyOf": items})
    })
}

/// A merge patch for a fault.
pub(super) fn fault_patch(generator: &mut SchemaGenerator) -> Schema {
    named(generator, "FaultPatch", |generator| {
        let mut properties: Map<String, Value> = [("state".to_owned(), json!(true))].into_iter().collect();
        properties.extend(effects(generator).into_iter().map(|(word, mut body)| {
            let required = body.remove("required");
            let required: Vec<&str> =
                required.iter().filter_map(Value::as_array).flatten().filter_map(Value::as_str).collect();
            body.insert("type".to_owned(), json!("object"));
            let body = nullable_object(body, &required);
            (word, json!({"anyOf": [body, {"type": "null"}]}))
        }));
        json!({
            "description": "A merge patch over a fault under its effect's word; with null there, another may take its place.",
            "type": "object",
            "properties": properties,
            "additionalProperties": {"type": "null"},
        })
    })
}

/// A route in full, with its state.
pub(super) fn route_view(generator: &mut SchemaGenerator) -> Schema {
    let mut route = object::<RouteSpec>(generator);
    if let Some(properties) = route.get_mut("properties").and_then(Value::as_object_mut) {
        properties.retain(|key, _| !SHORTHANDS.contains(&key.as_str()));
    }
    let faults = json!({"type": "array", "items": generator.subschema_for::<FaultView>()});
    property(&mut route, "faults", faults);
    let state = generator.subschema_for::<RouteState>();
    property(&mut route, "state", state.into());
    route.insert(
        "required".to_owned(),
        json!(["name", "localPort", "bind", "enabled", "upstream", "faults", "timeouts", "limits", "state"]),
    );
    route.into()
}

/// A fault in full, with its state.
pub(super) fn fault_view(generator: &mut SchemaGenerator) -> Schema {
    let state = generator.subschema_for::<FaultState>();
    let items = effects(generator).into_iter().map(|(word, mut body)| {
        body.insert("type".to_owned(), json!("object"));
        if let Some(required) = body.get_mut("required").and_then(Value::as_array_mut) {
            required.push(json!("name"));
        }
        json!({
            "type": "object",
            "properties": {&word: body, "state": state},
            "required": [word, "state"],
            "additionalProperties": false,
        })
    });
    let items: Vec<Value> = items.collect();
    json_schema!({"description": "A fault under its effect's word, with its state.", "oneOf": items})
}

/// A route as a body: with what a reply says beside it, which is passed over.
fn route_object(generator: &mut SchemaGenerator) -> Map<String, Value> {
    let mut route = object::<RouteSpec>(generator);
    let faults = json!({"type": "array", "maxItems": MOST_FAULTS, "items": fault_request(generator)});
    property(&mut route, "faults", faults);
    property(&mut route, "state", json!(true));
    route
}

/// Every effect with the schema of what stands under its word.
fn effects(generator: &mut SchemaGenerator) -> Vec<(String, Map<String, Value>)> {
    let fault = object::<FaultSpec>(generator);
    let mut effects = Vec::new();
    for item in fault.get("oneOf").and_then(Value::as_array).into_iter().flatten() {
        let forms = item.get("anyOf").and_then(Value::as_array).into_iter().flatten();
        for properties in forms.filter_map(|form| form.get("properties")?.as_object()) {
            let bodies =
                properties.iter().filter_map(|(word, body)| Some((word.clone(), body.as_object()?.clone())));
            effects.extend(bodies);
        }
    }
    effects
}

/// The same object in a merge patch, where null takes a key away; `needed` cannot be taken away.
fn nullable_object(mut object: Map<String, Value>, needed: &[&str]) -> Map<String, Value> {
    if let Some(properties) = object.get_mut("properties").and_then(Value::as_object_mut) {
        for (key, value) in properties.iter_mut().filter(|(key, _)| !needed.contains(&key.as_str())) {
            debug_assert!(key != "state", "a state is passed over as it is");
            *value = json!({"anyOf": [value.take(), {"type": "null"}]});
        }
    }
    // A merge patch may take away what is not there.
    object.insert("additionalProperties".to_owned(), json!({"type": "null"}));
    object
}

/// A type's own schema, not a reference to it.
fn object<T: JsonSchema>(generator: &mut SchemaGenerator) -> Map<String, Value> {
    T::json_schema(generator).as_object().cloned().unwrap_or_default()
}

fn property(object: &mut Map<String, Value>, key: &str, value: Value) {
    let properties = object.entry("properties").or_insert_with(|| json!({}));
    if let Some(properties) = properties.as_object_mut() {
        properties.insert(key.to_owned(), value);
    }
}

/// A reference to a schema that is kept under a name of its own.
fn named(
    generator: &mut SchemaGenerator,
    name: &str,
    make: impl FnOnce(&mut SchemaGenerator) -> Value,
) -> Schema {
    if !generator.definitions().contains_key(name) {
        let made = make(generator);
        generator.definitions_mut().insert(name.to_owned(), made);
    }
    json_schema!({"$ref": format!("#/components/schemas/{name}")})
}
