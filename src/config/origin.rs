//! Where a configuration comes from, so that it can be read again.

use std::path::PathBuf;

use super::{Config, Overrides, Refused};

/// A configuration file together with what is said over it.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The file.
    pub path: PathBuf,
    /// What flags and variables say over it.
    pub overrides: Overrides,
    /// What its substitutions stand for.
    pub env: fn(&str) -> Option<String>,
}

impl Origin {
    /// Reads and checks the file as it is now.
    pub fn read(&self) -> Result<Config, Refused> {
        super::read(&self.path, &self.env)?.over(&self.overrides).mean()
    }
}
