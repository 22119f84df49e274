//! `drop`: the connection is accepted and at once ended; the upstream never hears of it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Accepted, then ended; the upstream is never contacted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Drop {
    /// By FIN (`close`) or by RST (`reset`).
    pub how: How,
}

/// How a connection is ended by force: the two words mean the same everywhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum How {
    /// End by FIN: shut the write side, read and discard for a moment, close.
    #[default]
    Close,
    /// End by RST.
    Reset,
}

impl Drop {
    /// What becomes of a connection, as words that follow "is".
    pub fn says(&self) -> String {
        let how = match self.how {
            How::Close => "closed",
            How::Reset => "reset",
        };
        format!("accepted and {how}; the upstream never hears of it")
    }

    /// The same for a cell of a table.
    pub fn brief(&self) -> String {
        match self.how {
            How::Close => "drop".to_owned(),
            How::Reset => "drop by reset".to_owned(),
        }
    }
}
