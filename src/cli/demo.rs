//! `chaos-proxy demo`: the example configuration, built in.

use super::Exit;
use super::flags::ServeFlags;
use super::launch::{Service, wrong};
use super::serve::serve;
use crate::admin::AsToxiproxy;
use crate::config::{Document, Refused};

const EXAMPLE: &str = include_str!("../../config.example.yaml");

/// Serves the example.
pub(super) fn run(flags: &ServeFlags) -> Exit {
    let typed = Document::read(EXAMPLE.as_bytes(), "demo", &|_| None).map_err(Refused::from);
    match typed.and_then(|typed| typed.over(&flags.overrides()).mean()) {
        Ok(config) => serve(
            Service { config, source: "demo".into(), origin: None, watch: None },
            AsToxiproxy::default(),
        ),
        Err(refused) => wrong(&refused),
    }
}
