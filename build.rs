//! Finds out what is being built: which commit, of what day, and how. What cannot be found out is left empty; nothing
//! here makes a build fail, and a build is only repeated when the commit is another.
//!
//! `CHAOS_PROXY_COMMIT` and `SOURCE_DATE_EPOCH` come first, for those who build the same bytes twice. Then git is asked,
//! and for an unpacked crate archive the note that cargo left in it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// As much of a commit's hash as is shown; always the same, whatever the size of the repository.
const SHORT: usize = 7;

fn main() {
    let root = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let found = Found::at(&root, |name| std::env::var(name).ok());
    for file in &found.watched {
        println!("cargo::rerun-if-changed={}", file.display());
    }
    println!("cargo::rerun-if-env-changed=CHAOS_PROXY_COMMIT");
    println!("cargo::rerun-if-env-changed=SOURCE_DATE_EPOCH");
    let seconds = found.seconds.map(|seconds| seconds.to_string()).unwrap_or_default();
    let profile = std::env::var("PROFILE").unwrap_or_default();
    println!("cargo::rustc-env=CHAOS_PROXY_BUILD_COMMIT={}", found.commit.unwrap_or_default());
    println!("cargo::rustc-env=CHAOS_PROXY_BUILD_SECONDS={seconds}");
    println!("cargo::rustc-env=CHAOS_PROXY_BUILD_PROFILE={profile}");
}

/// What was found out.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// The commit, short.
    pub(crate) commit: Option<String>,
    /// Its time, in seconds since 1970.
    pub(crate) seconds: Option<u64>,
    /// The files that say whether it still is the commit.
    pub(crate) watched: Vec<PathBuf>,
}

impl Found {
    /// Looks at a source tree and at variables.
    pub(crate) fn at(root: &Path, variable: impl Fn(&str) -> Option<String>) -> Found {
        // With this one named, cargo does not watch every file of the tree.
        let mut watched = vec![root.join("build.rs")];
        let given = variable("CHAOS_PROXY_COMMIT").and_then(|typed| name(&typed));
        // A repository around this tree, as where it is vendored, is somebody else's: its commits say nothing of ours.
        let git = root.join(".git").exists().then_some(Git { root });
        let commit = match (&given, &git) {
            (Some(given), _) => Some(given.clone()),
            (None, Some(git)) => {
                watched.extend(git.watched());
                git.ask(&["rev-parse", "--verify", "HEAD"])
            }
            (None, None) => {
                let note = root.join(".cargo_vcs_info.json");
                let commit = std::fs::read_to_string(&note).ok().and_then(|note| noted(&note));
                watched.extend(note.exists().then_some(note));
                commit
            }
        };
        let epoch = variable("SOURCE_DATE_EPOCH").and_then(|seconds| seconds.trim().parse().ok());
        let of_commit = || git?.ask(&["log", "-1", "--format=%ct", commit.as_deref()?, "--"])?.parse().ok();
        Found { seconds: epoch.or_else(of_commit), commit: commit.as_deref().and_then(name), watched }
    }
}

/// A commit as it is shown: a hash is cut, anything else that could be a version is left as it is.
fn name(typed: &str) -> Option<String> {
    let typed = typed.trim();
    let is_hash = typed.len() >= 40 && typed.chars().all(|c| c.is_ascii_hexdigit());
    let sayable = |c: char| c.is_ascii_alphanumeric() || "._+-".contains(c);
    let named =
        !typed.is_empty() && !typed.starts_with('-') && typed.len() <= 64 && typed.chars().all(sayable);
    named.then(|| if is_hash { typed.chars().take(SHORT).collect() } else { typed.to_owned() })
}

/// The commit in the note that `cargo package` leaves in an archive.
fn noted(note: &str) -> Option<String> {
    let hash = note.split_once("\"sha1\"")?.1.split('"').nth(1)?;
    Some(hash.to_owned())
}

/// The repository of this tree.
#[derive(Clone, Copy)]
struct Git<'a> {
    root: &'a Path,
}

impl Git<'_> {
    /// What git answers, if it is there and agrees.
    fn ask(&self, words: &[&str]) -> Option<String> {
        let mut git = Command::new("git");
        git.current_dir(self.root).args(words).stdin(Stdio::null()).stderr(Stdio::null());
        // A build within a hook of git inherits these, and they may name another repository.
        for variable in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR"] {
            git.env_remove(variable);
        }
        let output = git.output().ok().filter(|output| output.status.success())?;
        let answer = String::from_utf8(output.stdout).ok()?.trim().to_owned();
        (!answer.is_empty()).then_some(answer)
    }

    /// A file of the repository, if it exists: a watched file that does not would repeat every build.
    fn file(&self, name: &str) -> Option<PathBuf> {
        let path = self.root.join(self.ask(&["rev-parse", "--git-path", name])?);
        path.exists().then_some(path)
    }

    /// What changes when the commit does: the branch that is checked out, and where that points.
    fn watched(&self) -> Vec<PathBuf> {
        let mut files: Vec<PathBuf> = self.file("HEAD").into_iter().collect();
        if let Some(branch) = self.ask(&["symbolic-ref", "--quiet", "HEAD"]) {
            let own = self.file(&branch);
            // Packed among others, it has none; the next commit writes one, and a line into the log of HEAD.
            let shared = if own.is_none() { &["packed-refs", "logs/HEAD"][..] } else { &[] };
            files.extend(own.into_iter().chain(shared.iter().filter_map(|name| self.file(name))));
        }
        files
    }
}
