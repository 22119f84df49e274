//! The Dockerfile speaks of files, ports and commands that there are. No engine is needed to see that.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so loudly")]

mod packaging_support;
mod support;

use std::process::Command;

use chaos_proxy::config::AdminSpec;
use packaging_support::{files, read, root, taken};
use support::{secs, within};

/// The instructions, comments left out and continued lines joined.
fn instructions() -> Vec<(String, String)> {
    let text = read("Dockerfile");
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with('#')).collect();
    let joined = lines.join("\n").replace("\\\n", " ");
    let split =
        |line: &str| line.split_once(' ').map(|(word, rest)| (word.to_owned(), rest.trim().to_owned()));
    joined
        .lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| split(line).expect("an instruction"))
        .collect()
}

/// What these instructions say in the last stage.
fn last(word: &str) -> Vec<String> {
    let all = instructions();
    let from = all.iter().rposition(|(word, _)| word == "FROM").unwrap();
    all[from..].iter().filter(|(known, _)| known == word).map(|(_, rest)| rest.clone()).collect()
}

fn list(text: &str) -> Vec<String> {
    serde_json::from_str(text).expect("a command in its exec form: there is no shell")
}

#[test]
fn it_holds_one_program_that_nobody_privileged_runs() {
    within(secs(120), || {
        assert_eq!(last("FROM"), ["scratch"]);
        assert_eq!(last("COPY"), ["--from=build --chmod=755 /chaos-proxy /chaos-proxy"]);
        let user = &last("USER")[0];
        // By number: there is no file that would know a name.
        assert!(user.split(':').all(|id| id.parse::<u32>().unwrap() > 0), "{user}");
        assert!(last("RUN").is_empty());
        assert_eq!(last("STOPSIGNAL"), ["SIGTERM"]);
    });
}

#[test]
fn its_port_and_its_commands_are_those_of_the_program() {
    within(secs(120), || {
        assert_eq!(last("EXPOSE"), [AdminSpec::DEFAULT.port().to_string()]);
        let entry = list(&last("ENTRYPOINT")[0]);
        assert_eq!(entry, ["/chaos-proxy"]);
        let variables: Vec<(String, String)> = last("ENV")
            .iter()
            .map(|pair| pair.split_once('=').unwrap())
            .map(|(name, value)| (name.to_owned(), value.trim_matches('"').to_owned()))
            .collect();
        assert!(variables.iter().all(|(name, _)| name.starts_with("CHAOS_PROXY_")));
        taken(&[], &variables);
        let health = &last("HEALTHCHECK")[0];
        let health = list(health.split_once("CMD ").unwrap().1);
        assert_eq!(health[0], entry[0]);
        taken(&health[1..], &variables);
        // Without arguments it is a Toxiproxy.
        let alone = list(&last("CMD")[0]);
        assert_eq!(alone, ["-host=0.0.0.0"]);
        taken(&alone, &variables);
    });
}

/// The looking itself: a wrong variable would be seen.
#[test]
#[should_panic(expected = "invalid value")]
fn a_variable_that_says_nothing_is_refused() {
    within(secs(120), || {
        taken(&[], &[("CHAOS_PROXY_BIND".to_owned(), "everywhere".to_owned())]);
    });
}

/// What is copied is there and not ignored, and it is enough: cargo finds all its targets, and the sources every file
/// that they take in.
#[test]
fn it_is_built_from_what_there_is() {
    within(secs(120), || {
        let ignored = read(".dockerignore");
        let kept: Vec<&str> = ignored.lines().filter_map(|line| line.strip_prefix('!')).collect();
        let mut copied = Vec::new();
        for (word, rest) in instructions() {
            if word == "COPY" && !rest.starts_with("--from") {
                let mut names: Vec<&str> = rest.split_whitespace().collect();
                names.pop();
                copied.extend(names.into_iter().map(str::to_owned));
            }
        }
        for name in &copied {
            assert!(root().join(name).exists() && kept.contains(&name.as_str()), "{name}");
        }
        assert_eq!(kept.len(), copied.len(), "what is sent to the engine is used");

        for file in files("src") {
            let text = read(&file);
            for taken_in in text.split("include_str!(\"").skip(1) {
                let name = taken_in.split('"').next().unwrap();
                let path = root().join(&file).parent().unwrap().join(name).canonicalize().unwrap();
                let path = path.strip_prefix(root().canonicalize().unwrap()).unwrap().to_owned();
                assert!(
                    copied.iter().any(|name| path.starts_with(name)),
                    "{} takes in {}",
                    file.display(),
                    path.display()
                );
            }
        }

        let tree = tempfile::tempdir().unwrap();
        for name in &copied {
            std::os::unix::fs::symlink(root().join(name), tree.path().join(name)).unwrap();
        }
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(["metadata", "--locked", "--offline", "--no-deps", "--format-version", "1"]);
        let output = cargo.current_dir(tree.path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    });
}
