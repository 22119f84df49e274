//! Health checks as a configuration writes them.

use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::spec::endpoint::{Address, host_pattern};
use crate::spec::pattern::PORT;
use crate::spec::{Complaint, Count, Field, Positive};
use crate::upstream::{HealthConfig, HttpCheck};

/// How endpoints are asked whether they are well: without `http`, whether they take a TCP connection.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(
    rename_all = "camelCase",
    default,
    expecting = "a mapping such as {interval: 2s}, or {} for the defaults"
)]
#[schemars(deny_unknown_fields)]
pub struct HealthSpec {
    /// From one question to the next. Left out: 2s.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub interval: Field<Positive>,
    /// To answer. Left out: 1s.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub timeout: Field<Positive>,
    /// So many good answers in a row bring an endpoint up. Left out: 2.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub rise: Field<Count<1, 1000>>,
    /// So many bad answers in a row take an endpoint down. Left out: 3.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub fall: Field<Count<1, 1000>>,
    /// The path that is asked for over HTTP. Left out: nothing is asked, a TCP connection is enough.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub http: Field<HttpPath>,
    /// The good answer to `http`. Left out: 200.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub status: Field<Count<100, 599>>,
    /// The Host that is named with `http`. Left out: the endpoint's address.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub host: Field<HostHeader>,
}

/// Asked more often, an endpoint would do nothing else.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(10);

impl HealthSpec {
    /// The defaults, with what is written in their place.
    pub fn meant(&self) -> HealthConfig {
        let time = |field: &Field<Positive>, default| field.get().map_or(default, |time| time.get());
        HealthConfig {
            interval: time(&self.interval, Duration::from_secs(2)),
            timeout: time(&self.timeout, Duration::from_secs(1)),
            rise: self.rise.get().map_or(2, |rise| rise.get()),
            fall: self.fall.get().map_or(3, |fall| fall.get()),
            http: self.http.get().map(|path| HttpCheck {
                path: path.0.clone(),
                status: self.status.get().and_then(|status| u16::try_from(status.get()).ok()).unwrap_or(200),
                host: self.host.get().map(|host| host.0.clone()),
            }),
        }
    }

    /// What cannot be beside each other.
    pub(super) fn complaints(&self) -> impl Iterator<Item = Complaint> {
        let hurried = self.interval.get().is_some_and(|interval| interval.get() < SHORTEST_INTERVAL);
        let hurried = hurried.then(|| {
            let title = "health.interval must be at least 10ms";
            Complaint::new(self.interval.node(), title, "the endpoint would do nothing but answer")
        });
        let without_http = [
            ("status", self.status.node(), self.status.is_absent()),
            ("host", self.host.node(), self.host.is_absent()),
        ]
        .into_iter()
        .filter(|(_, _, absent)| self.http.is_absent() && !absent)
        .map(|(key, node, _)| {
            let title = format!("`{key}` has no meaning without `http`");
            Complaint::new(node, title, "add the path that is asked for, such as http: /healthz")
        });
        hurried.into_iter().chain(without_http)
    }
}

impl From<&HealthConfig> for HealthSpec {
    fn from(health: &HealthConfig) -> HealthSpec {
        let http = health.http.as_ref();
        HealthSpec {
            interval: Positive::new(health.interval).into(),
            timeout: Positive::new(health.timeout).into(),
            rise: Count(health.rise).into(),
            fall: Count(health.fall).into(),
            http: http.map_or(Field::Absent, |http| HttpPath(http.path.clone()).into()),
            status: http.map_or(Field::Absent, |http| Count(http.status.into()).into()),
            host: http
                .and_then(|http| http.host.clone())
                .map_or(Field::Absent, |host| HostHeader(host).into()),
        }
    }
}

/// The path of a request: begins with `/`, and holds visible ASCII.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HttpPath(pub String);

/// The most bytes of a path.
const LONGEST_PATH: usize = 2048;

impl<'de> Deserialize<'de> for HttpPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<HttpPath, D::Error> {
        deserializer.deserialize_str(PathVisitor)
    }
}

struct PathVisitor;

impl Visitor<'_> for PathVisitor {
    type Value = HttpPath;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a path such as /healthz")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<HttpPath, E> {
        if text.contains("://") && !text.starts_with('/') {
            return Err(E::custom("is a URL\nwrite its path alone, such as /healthz"));
        }
        if !text.starts_with('/') {
            return Err(E::custom("does not begin with a slash\nwrite a path such as /healthz"));
        }
        if !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(E::custom(
                "holds what no path of a request holds\nwrite it percent-encoded, in ASCII",
            ));
        }
        if text.len() > LONGEST_PATH {
            return Err(E::custom(format!("is too long\na path has at most {LONGEST_PATH} bytes")));
        }
        Ok(HttpPath(text.to_owned()))
    }
}

impl JsonSchema for HttpPath {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "HttpPath".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": "^/[!-~]*$", "maxLength": LONGEST_PATH, "examples": ["/healthz"]})
    }
}

/// The value of a Host header: a name or an address, with or without a port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HostHeader(pub String);

impl<'de> Deserialize<'de> for HostHeader {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<HostHeader, D::Error> {
        deserializer.deserialize_str(HostVisitor)
    }
}

struct HostVisitor;

impl Visitor<'_> for HostVisitor {
    type Value = HostHeader;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a host such as app.internal")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<HostHeader, E> {
        let fine = text.parse::<Address>().is_ok() || format!("{text}:80").parse::<Address>().is_ok();
        if fine {
            Ok(HostHeader(text.to_owned()))
        } else {
            Err(E::custom(
                "is not the value of a Host header\nwrite a host such as app.internal, or host:port",
            ))
        }
    }
}

fn host_header_pattern() -> String {
    format!("^{}(:{PORT})?$", host_pattern())
}

impl JsonSchema for HostHeader {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "HostHeader".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string", "pattern": host_header_pattern(), "maxLength": 253, "examples": ["app.internal"]
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::spec::pattern::tests::texts;

    fn is_host(text: &str) -> bool {
        serde_json::from_value::<HostHeader>(text.into()).is_ok()
    }

    #[test]
    fn hosts_may_have_a_port_and_nothing_else() {
        assert!(["app.internal", "app:8080", "10.0.0.1", "[::1]", "[::1]:80"].into_iter().all(is_host));
        assert!(
            !["", "::1", "a b", "a/b", "http://a", "a:b", "a:0", "u@a", "a\r\nX: y"].into_iter().any(is_host)
        );
    }

    #[test]
    fn paths_begin_with_a_slash_and_hold_no_blank() {
        let is_path = |text: &str| serde_json::from_value::<HttpPath>(text.into()).is_ok();
        assert!(["/", "/healthz?deep=1", "/a%20b", "//x"].into_iter().all(is_path));
        assert!(!["", "healthz", "http://a/b", "/a b", "/a\r\n", "/é"].into_iter().any(is_path));
    }

    proptest! {
        #[test]
        fn what_the_schema_takes_is_read(text in texts(&host_header_pattern())) {
            prop_assert!(text.len() > 253 || is_host(&text), "{}", text);
        }
    }
}
