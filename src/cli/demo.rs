//! `chaos-proxy demo`: the example configuration, built in.

use super::Exit;
use super::flags::ServeFlags;
use super::serve::{Service, serve_or_refuse};
use crate::config::{Document, Refused};

const EXAMPLE: &str = include_str!("../../config.example.yaml");

/// Serves the example.
pub(super) fn run(flags: &ServeFlags) -> anyhow::Result<Exit> {
    let typed = Document::read(EXAMPLE.as_bytes(), "demo", &|_| None).map_err(Refused::from);
    let config = typed.and_then(|typed| typed.over(&flags.overrides()).mean());
    serve_or_refuse(config.map(|config| Service { config, source: "demo".into(), origin: None, watch: None }))
}
