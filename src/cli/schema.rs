//! `schema`: the JSON Schema of the configuration, for editors.

use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use crate::config::Document;
use crate::route::RouteSpec;
use crate::spec::pattern::bound;

/// The schema as indented JSON. A document is a mapping, or a bare list of routes.
pub fn run() -> String {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let routes = generator.subschema_for::<Vec<RouteSpec>>();
    let document = generator.subschema_for::<Document>();
    let mut definitions = Value::Object(generator.take_definitions(true));
    bound(&mut definitions);
    allow_variables(&mut definitions);
    if let Some(definitions) = definitions.as_object_mut() {
        definitions.insert(
            "Variable".to_owned(),
            json!({
                "description": "A value with ${VAR}, ${VAR:-default} or ${VAR:?why} in it.",
                "type": "string",
                "pattern": r"\$\{[A-Za-z_]",
            }),
        );
    }
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "chaos-proxy configuration",
        "anyOf": [document, routes],
        "$defs": definitions,
    });
    // A value made of plain maps, lists and texts can always be written.
    let mut text = serde_json::to_string_pretty(&schema).unwrap_or_default();
    text.push('\n');
    text
}

/// In a file, a variable may stand for a number, for a switch, and for text of a certain form.
fn allow_variables(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(allow_variables),
        Value::Object(keys) => {
            keys.values_mut().for_each(allow_variables);
            let typed = keys.get("type").and_then(Value::as_str);
            if matches!(typed, Some("integer" | "number" | "boolean"))
                || keys.get("pattern").is_some_and(Value::is_string)
            {
                let description = keys.remove("description");
                let whole = Value::Object(std::mem::take(keys));
                keys.insert("anyOf".to_owned(), json!([whole, {"$ref": "#/$defs/Variable"}]));
                keys.extend(description.map(|description| ("description".to_owned(), description)));
            }
        }
        _ => {}
    }
}
