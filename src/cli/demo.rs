//! `chaos-proxy demo`: the example configuration, built in.

use super::flags::ServeFlags;
use super::{Exit, say};
use crate::config::{Document, Refused};

const EXAMPLE: &str = include_str!("../../config.example.yaml");

/// Serves the example.
pub(super) fn run(flags: &ServeFlags) -> anyhow::Result<Exit> {
    let typed = Document::read(EXAMPLE.as_bytes(), "demo", &|_| None).map_err(Refused::from);
    match typed.and_then(|typed| typed.over(&flags.overrides()).mean()) {
        Ok(config) => super::serve::serve(config, "demo", None),
        Err(refused) => {
            say(&refused.to_string());
            Ok(Exit::Wrong)
        }
    }
}
