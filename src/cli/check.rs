//! `check FILE…`: is this configuration one?

use std::path::PathBuf;

use super::{Said, environment};
use crate::config;

/// Reads every file, and says of each what is wrong with it or that nothing is.
pub(super) fn run(files: &[PathBuf]) -> Said {
    let mut said = Said::default();
    for file in files {
        match config::load(file, &environment) {
            Ok(config) => {
                let name = file.display().to_string();
                let (count, s) = (config.routes.len(), if config.routes.len() == 1 { "" } else { "s" });
                said.well(&format!("{}: {count} route{s}, nothing wrong", crate::spec::text::shown(&name)));
            }
            Err(refused) => said.ill(&refused.to_string()),
        }
    }
    said
}
