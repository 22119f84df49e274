//! `refuseConnect`: as if the upstream refused the connection; it is not contacted.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// As if the upstream refused; failover and breaker see it as such.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RefuseConnect {}

impl RefuseConnect {
    /// What becomes of a connection, as words that follow "is".
    pub fn says(&self) -> String {
        "treated as if the upstream refused it; failover and breaker see that too".to_owned()
    }

    /// The same for a cell of a table.
    pub fn brief(&self) -> String {
        "refuseConnect".to_owned()
    }
}
