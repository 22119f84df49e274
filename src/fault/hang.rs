//! `hang`: the connection is accepted and never answered.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::spec::Period;

/// Accepted, never answered; what the client sends is read and discarded; the upstream is never contacted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Hang {
    /// Closed after this time; left out: when the client goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Period")]
    pub close_after: Option<Period>,
}

impl Hang {
    /// What becomes of a connection, as words that follow "is".
    pub fn says(&self) -> String {
        match self.close_after {
            Some(time) => format!("accepted, never answered, closed after {time}"),
            None => "accepted and never answered, until the client goes".to_owned(),
        }
    }

    /// The same for a cell of a table.
    pub fn brief(&self) -> String {
        match self.close_after {
            Some(time) => format!("hang, closed after {time}"),
            None => "hang".to_owned(),
        }
    }
}
