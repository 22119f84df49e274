//! `check FILE…`: is this configuration one, or this scenario?

use std::path::PathBuf;

use serde::Serialize;
use serde_json::json;

use super::{Said, environment};
use crate::config::{Config, Problem, Refused};
use crate::observe::escape_beyond_json;
use crate::scenario::rehearse::rehearse;
use crate::scenario::{self, Either, Scenario, Typed};
use crate::spec::Period;
use crate::spec::text::shown;

/// A file that is fine by itself.
enum Fine {
    Configuration(Config),
    Scenario(Typed),
}

/// What is said of a file to a program.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Checked {
    file: String,
    problems: Vec<Problem>,
    /// Beyond the first thousand they are only counted.
    total: usize,
}

/// Reads every file, and says of each what is wrong with it or that nothing is. Scenarios beside one configuration are
/// held against it.
pub(super) fn run(files: &[PathBuf], json: bool) -> Said {
    let read: Vec<Result<Fine, Refused>> = files
        .iter()
        .map(|file| match scenario::read_either(file, &environment)? {
            Either::Configuration(typed) => typed.mean().map(Fine::Configuration),
            Either::Scenario(typed) => Ok(Fine::Scenario(*typed)),
        })
        .collect();
    let configurations = read.iter().filter_map(|fine| match fine {
        Ok(Fine::Configuration(config)) => Some(config.clone()),
        _ => None,
    });
    let configurations: Vec<Config> = configurations.collect();
    let mut said = Said::default();
    let mut all = Vec::new();
    for (file, fine) in files.iter().zip(read) {
        let is = fine.and_then(|fine| match fine {
            Fine::Configuration(config) => Ok(count(config.routes.len(), "route")),
            Fine::Scenario(typed) => goes_with(typed, &configurations),
        });
        let name = file.display().to_string();
        if json {
            let refused = is.as_ref().err();
            all.push(Checked {
                file: name,
                problems: refused.map(Refused::problems).unwrap_or_default(),
                total: refused.map_or(0, Refused::total),
            });
            said.wrong |= refused.is_some();
            continue;
        }
        match is {
            Ok(what) => {
                said.well(&format!("{}: {what}, nothing wrong", shown(&name)));
            }
            Err(refused) => said.ill(&refused.to_string()),
        }
    }
    if json {
        said.well(&escape_beyond_json(json!({"files": all}).to_string()));
    }
    said
}

/// What a scenario holds, in a few words, unless it does not fit the one configuration there is.
fn goes_with(typed: Typed, configurations: &[Config]) -> Result<String, Refused> {
    if let [config] = configurations {
        let clashes = rehearse(typed.scenario(), config, Some(config));
        if !clashes.is_empty() {
            return Err(typed.refuse(clashes));
        }
    }
    let Scenario { duration, steps, expectations, .. } = typed.mean();
    let (steps, expectations) = (count(steps.len(), "step"), count(expectations.len(), "expectation"));
    Ok(format!("a scenario of {}, {steps}, {expectations}", Period::new(duration)))
}

fn count(number: usize, what: &str) -> String {
    let s = if number == 1 { "" } else { "s" };
    format!("{number} {what}{s}")
}
