//! `schema [WHAT]`: the JSON Schema of a configuration or of a scenario, for editors.

use clap::ValueEnum;
use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use crate::route::RouteSpec;
use crate::spec::pattern::bound;
use crate::{config, scenario};

/// What a schema can be of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Subject {
    /// A configuration: the routes, and what goes wrong on them
    #[default]
    Config,
    /// A scenario: what is changed when, and what must come of it
    Scenario,
}

/// The schema as indented JSON.
pub fn run(of: Subject) -> String {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let (title, forms) = match of {
        // A configuration is a mapping, or a bare list of routes.
        Subject::Config => {
            let routes = generator.subschema_for::<Vec<RouteSpec>>();
            ("chaos-proxy configuration", vec![generator.subschema_for::<config::Document>(), routes])
        }
        Subject::Scenario => {
            ("chaos-proxy scenario", vec![generator.subschema_for::<scenario::document::Document>()])
        }
    };
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
        "title": title,
        "anyOf": forms,
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
