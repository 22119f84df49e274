//! `schema`: the JSON Schema of the configuration, for editors.

use schemars::generate::SchemaSettings;

use crate::config::Document;
use crate::route::RouteSpec;

/// The schema as indented JSON. A document is a mapping, or a bare list of routes.
pub fn run() -> String {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let routes = generator.subschema_for::<Vec<RouteSpec>>();
    let document = generator.subschema_for::<Document>();
    let schema = serde_json::json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "chaos-proxy configuration",
        "anyOf": [document, routes],
        "$defs": generator.take_definitions(true),
    });
    // A value made of plain maps, lists and texts can always be written.
    let mut text = serde_json::to_string_pretty(&schema).unwrap_or_default();
    text.push('\n');
    text
}
