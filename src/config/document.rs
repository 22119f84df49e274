//! The document as it was typed: every key optional, every value with its place, nothing yet held against another.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::admin::AdminSpec;
use super::proxies;
use super::sheet::Sheet;
use super::substitute::Env;
use super::tree::Kind;
use crate::observe::LogSpec;
use crate::route::{Bind, RouteSpec};
use crate::spec::report::Report;
use crate::spec::{Allowed, Diagnostic, Field, Limit, NodeId, Period};

/// The configuration of chaos-proxy: local ports, where their connections go, and what goes wrong on the way.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, expecting = "a mapping with routes, or a list of routes")]
#[schemars(deny_unknown_fields, extend("required" = ["routes"], "patternProperties" = {"^x-": true}))]
pub struct Document {
    /// The same seed gives the same chaos. Left out: drawn at start, and printed.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub seed: Field<u64>,
    /// The default address of every route; "*" is every address of both families. Left out: 127.0.0.1.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub bind: Field<Bind>,
    /// Where the control API listens: an address, off, or {listen, tokenFile, allowedHosts}. Left out: 127.0.0.1:8474.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub admin: Field<AdminSpec>,
    /// What is logged, and how.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub log: Field<LogSpec>,
    /// How long connections may go on after the signal to stop. Left out: 25s.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub drain_timeout: Field<Period>,
    /// How long to keep accepting after the signal to stop. Left out: 0s.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub pre_drain_delay: Field<Period>,
    /// While stopping, a connection silent this long is closed as finished. Left out: none.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub drain_idle: Field<Limit>,
    /// A statistics line per route this often. Left out: none.
    #[serde(skip_serializing_if = "Field::is_absent")]
    #[schemars(schema_with = "Period::positive_schema")]
    pub stats_interval: Field<Period>,
    /// Where the control API may point a route, beside what is written here: ranges of addresses and hosts, each with or
    /// without a port. Left out: everywhere but to link-local addresses.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub allowed_upstreams: Field<Vec<Field<Allowed>>>,
    /// The routes.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub routes: Field<Vec<Field<RouteSpec>>>,
}

/// A document as it was read: what was typed, with the text and the tree it was read from.
#[derive(Debug)]
pub struct Typed {
    pub(super) document: Document,
    pub(super) sheet: Sheet,
    /// Whether a list of no routes will do: for a daemon that can be given some later.
    pub(super) may_be_empty: bool,
}

impl Typed {
    /// The document. Parts that could not be read are [`Field::Bad`].
    pub fn document(&self) -> &Document {
        &self.document
    }
}

impl Document {
    /// Reads a document, YAML or JSON by its first character, and notes everything that is wrong with it. An error
    /// means that not even that could be done: it is no text, or neither YAML nor JSON.
    pub fn read(text: &[u8], name: &str, env: Env<'_>) -> Result<Typed, Box<Report>> {
        Ok(Document::from_sheet(Sheet::read(text, name, env)?))
    }

    /// The document that a sheet holds.
    pub(crate) fn from_sheet(mut sheet: Sheet) -> Typed {
        let root = sheet.root();
        if let Some(key) = scenario_key(&sheet) {
            let problem = Diagnostic::new("this is a scenario, not a configuration")
                .at(sheet.key_place(Some(key)))
                .label("give it as --scenario FILE")
                .help("chaos-proxy run --config FILE --scenario FILE -- COMMAND plays it; chaos-proxy check FILE checks it");
            sheet.note(problem);
            let document = Document { routes: Field::Bad, ..Document::default() };
            return Typed { document, sheet, may_be_empty: false };
        }
        if let Some(items) = proxies::proxies(&sheet) {
            let routes = proxies::routes(&items, &mut sheet);
            let routes = Field::Good { node: Some(root), value: routes };
            return Typed {
                document: Document { routes, ..Document::default() },
                sheet,
                may_be_empty: false,
            };
        }
        let document = match sheet.tree.kind(root) {
            Kind::List(_) => {
                let routes = sheet.read_as(root).unwrap_or_default();
                Document { routes, ..Document::default() }
            }
            Kind::Null | Kind::Broken => Document::default(),
            _ => match sheet.read_file_as::<Field<Document>>() {
                Some(Field::Good { value, .. }) => value,
                _ => Document { routes: Field::Bad, ..Document::default() },
            },
        };
        Typed { document, sheet, may_be_empty: false }
    }
}

/// Where it shows that a text is a scenario: it has steps or expectations, and no routes.
pub(crate) fn scenario_key(sheet: &Sheet) -> Option<NodeId> {
    let root = sheet.root();
    let key = sheet.get(root, "steps").or_else(|| sheet.get(root, "expect"));
    key.filter(|_| sheet.get(root, "routes").is_none())
}
