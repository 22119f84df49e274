//! The `admin` key: an address, `off`, or a mapping.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Admin;
use crate::spec::Field;
use crate::spec::again::map_or;
use crate::spec::pattern::{PORT, ipv4, ipv6};

/// Where the control API listens, as a configuration writes it.
#[derive(Clone, Debug, PartialEq)]
pub enum AdminSpec {
    /// `off` or false.
    Off,
    /// An address alone.
    Listen(Listen),
    /// The long form.
    Full(AdminFull),
}

/// An address to listen on: `127.0.0.1:8474`, `[::1]:8474`, `localhost:8474`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listen(pub SocketAddr);

/// The control API with its address, token and names.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(deny_unknown_fields)]
pub struct AdminFull {
    /// The address. Left out: 127.0.0.1:8474.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub listen: Field<Listen>,
    /// The file that holds the token.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub token_file: Field<String>,
    /// Further names allowed in the Host header.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub allowed_hosts: Field<Vec<HostName>>,
}

/// A name that a `Host` may say: letters, digits, `-`, `_` and dots, without a port.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HostName(String);

impl HostName {
    /// Whether a text is one.
    pub fn is_one(text: &str) -> bool {
        let fine = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        !text.is_empty() && text.bytes().all(fine)
    }
}

impl AdminSpec {
    /// The address nobody asked for by name.
    pub const DEFAULT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8474);

    /// As it is written in full; nothing for the address that nobody asked for.
    pub(super) fn written(admin: &Admin) -> Option<AdminSpec> {
        match admin {
            Admin::Default => None,
            Admin::Off => Some(AdminSpec::Off),
            Admin::On { listen, token_file: None, allowed_hosts } if allowed_hosts.is_empty() => {
                Some(AdminSpec::Listen(Listen(*listen)))
            }
            Admin::On { listen, token_file, allowed_hosts } => Some(AdminSpec::Full(AdminFull {
                listen: Listen(*listen).into(),
                token_file: token_file
                    .as_ref()
                    .map_or(Field::Absent, |path| path.to_string_lossy().into_owned().into()),
                allowed_hosts: allowed_hosts.iter().cloned().map(HostName).collect::<Vec<_>>().into(),
            })),
        }
    }

    /// What is meant.
    pub fn meant(&self) -> Admin {
        match self {
            AdminSpec::Off => Admin::Off,
            AdminSpec::Listen(Listen(listen)) => {
                Admin::On { listen: *listen, token_file: None, allowed_hosts: Vec::new() }
            }
            AdminSpec::Full(full) => Admin::On {
                listen: full.listen.get().map_or(AdminSpec::DEFAULT, |listen| listen.0),
                token_file: full.token_file.get().map(PathBuf::from),
                allowed_hosts: full
                    .allowed_hosts
                    .get()
                    .into_iter()
                    .flatten()
                    .map(|host| host.0.clone())
                    .collect(),
            },
        }
    }
}

impl<'de> Deserialize<'de> for AdminSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<AdminSpec, D::Error> {
        map_or(deserializer, AdminSpec::Full, |short: Short| short.0)
    }
}

/// The short form alone, as a flag or a variable says it.
impl std::str::FromStr for AdminSpec {
    type Err = serde::de::value::Error;

    fn from_str(text: &str) -> Result<AdminSpec, Self::Err> {
        match text {
            "false" => Ok(AdminSpec::Off),
            _ => ShortVisitor.visit_str(text),
        }
    }
}

struct Short(AdminSpec);

impl<'de> Deserialize<'de> for Short {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Short, D::Error> {
        deserializer.deserialize_any(ShortVisitor).map(Short)
    }
}

struct ShortVisitor;

impl Visitor<'_> for ShortVisitor {
    type Value = AdminSpec;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an address such as 127.0.0.1:8474, off, or a mapping with listen")
    }

    fn visit_bool<E: Error>(self, on: bool) -> Result<AdminSpec, E> {
        if on {
            Err(E::custom("does not say where\nwrite 127.0.0.1:8474, or off"))
        } else {
            Ok(AdminSpec::Off)
        }
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<AdminSpec, E> {
        if text == "off" { Ok(AdminSpec::Off) } else { ListenVisitor.visit_str(text).map(AdminSpec::Listen) }
    }
}

impl Serialize for AdminSpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            AdminSpec::Off => serializer.serialize_str("off"),
            AdminSpec::Listen(listen) => listen.serialize(serializer),
            AdminSpec::Full(full) => full.serialize(serializer),
        }
    }
}

impl JsonSchema for AdminSpec {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Admin".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [
                {"enum": ["off", false]},
                generator.subschema_for::<Listen>(),
                generator.subschema_for::<AdminFull>(),
            ]
        })
    }
}

impl Serialize for Listen {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Listen {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Listen, D::Error> {
        deserializer.deserialize_str(ListenVisitor)
    }
}

struct ListenVisitor;

impl Visitor<'_> for ListenVisitor {
    type Value = Listen;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an address such as 127.0.0.1:8474")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Listen, E> {
        let numeric = match text.strip_prefix("localhost:") {
            Some(port) => format!("127.0.0.1:{port}"),
            None => text.to_owned(),
        };
        match numeric.parse() {
            Ok(address) => Ok(Listen(address)),
            Err(_) if text.parse::<IpAddr>().is_ok() => {
                Err(E::custom("has no port\nwrite 127.0.0.1:8474 or [::1]:8474"))
            }
            Err(_) if text.starts_with("*:") => {
                Err(E::custom("is not an address\nfor every address write 0.0.0.0:8474 or [::]:8474"))
            }
            Err(_) => {
                Err(E::custom("is not an address with a port\nwrite 127.0.0.1:8474 or [::1]:8474, or off"))
            }
        }
    }
}

impl<'de> Deserialize<'de> for HostName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<HostName, D::Error> {
        deserializer.deserialize_str(HostNameVisitor)
    }
}

struct HostNameVisitor;

impl Visitor<'_> for HostNameVisitor {
    type Value = HostName;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a host")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<HostName, E> {
        if HostName::is_one(text) {
            Ok(HostName(text.to_owned()))
        } else {
            Err(E::custom(
                "is no name of a host\nwrite chaos.internal, without a port; localhost and addresses always do",
            ))
        }
    }
}

impl JsonSchema for HostName {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "HostName".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A name that a Host header may say, without a port.",
            "type": "string",
            "pattern": "^[A-Za-z0-9._-]+$",
        })
    }
}

impl JsonSchema for Listen {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Listen".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let pattern = format!(r"^(\[{}\]|{}|localhost):(0|{PORT})$", ipv6(), ipv4());
        json_schema!({"type": "string", "pattern": pattern, "examples": ["127.0.0.1:8474"]})
    }
}
