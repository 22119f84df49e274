//! What a build knows of itself, and that it never fails for not knowing.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test that cannot go on should say so loudly")]

#[allow(dead_code, reason = "cargo calls its main")]
#[path = "../build.rs"]
mod build_script;

use std::path::Path;
use std::process::{Command, Stdio};

use build_script::Found;
use tempfile::TempDir;

const HASH: &str = "9f2c1ab0123456789abcdef0123456789abcdef0";

/// A source tree with these files.
fn tree(files: &[(&str, &str)]) -> TempDir {
    let tree = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(tree.path().join(name), text).unwrap();
    }
    tree
}

/// What is found out without any variable.
fn plain(root: &Path) -> Found {
    Found::at(root, |_| None)
}

/// What is found out with these.
fn with(root: &Path, variables: &[(&str, &str)]) -> Found {
    Found::at(root, |name| {
        variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    })
}

/// A repository with one commit of a known time; none where there is no git.
fn repository() -> Option<TempDir> {
    let tree = tree(&[("build.rs", "")]);
    if !git(tree.path(), &["init", "--quiet", "--initial-branch=trunk"]) {
        eprintln!("SKIPPED: there is no git here");
        return None;
    }
    commit(tree.path());
    Some(tree)
}

fn commit(root: &Path) {
    assert!(git(root, &["commit", "--quiet", "--allow-empty", "--message=it"]));
}

fn git(root: &Path, words: &[&str]) -> bool {
    let mut git = Command::new("git");
    git.current_dir(root).args([
        "-c",
        "user.name=T",
        "-c",
        "user.email=t@example.org",
        "-c",
        "commit.gpgsign=false",
    ]);
    git.args(words).env("GIT_COMMITTER_DATE", "1795220000 +0500").stdout(Stdio::null()).stderr(Stdio::null());
    for variable in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
        git.env_remove(variable);
    }
    git.status().is_ok_and(|status| status.success())
}

#[test]
fn without_a_repository_nothing_is_known_and_nothing_fails() {
    let tree = tree(&[("build.rs", "")]);
    let found = plain(tree.path());
    assert_eq!(found, Found { watched: vec![tree.path().join("build.rs")], ..Found::default() });
    // Not even this.
    assert_eq!(plain(Path::new("/nonexistent")).commit, None);
    std::fs::write(tree.path().join(".git"), "gitdir: /nonexistent\n").unwrap();
    assert_eq!(plain(tree.path()), found);
}

#[test]
fn a_crate_archive_brings_its_commit_along() {
    let note = format!("{{\n  \"git\": {{\n    \"sha1\": \"{HASH}\"\n  }},\n  \"path_in_vcs\": \"\"\n}}");
    let archive = tree(&[(".cargo_vcs_info.json", &note)]);
    assert_eq!(
        (plain(archive.path()).commit.as_deref(), plain(archive.path()).seconds),
        (Some("9f2c1ab"), None)
    );
    for broken in ["", "{}", "{\"sha1\": ", "{\"sha1\": \"; rm\"}"] {
        std::fs::write(archive.path().join(".cargo_vcs_info.json"), broken).unwrap();
        assert_eq!(plain(archive.path()).commit, None, "{broken}");
    }
}

#[test]
fn what_the_builder_says_comes_first_if_it_can_be_said() {
    let tree = tree(&[]);
    let said = |commit, epoch| {
        let found = with(tree.path(), &[("CHAOS_PROXY_COMMIT", commit), ("SOURCE_DATE_EPOCH", epoch)]);
        (found.commit, found.seconds)
    };
    assert_eq!(said(HASH, "1795220000"), (Some("9f2c1ab".to_owned()), Some(1_795_220_000)));
    assert_eq!(said("v0.1.0-3", "soon"), (Some("v0.1.0-3".to_owned()), None));
    for wrong in ["", " ", "--help", "a b", "x\ncargo::error=boo", "é"] {
        assert_eq!(said(wrong, ""), (None, None), "{wrong:?}");
    }
}

#[test]
fn a_repository_tells_its_commit_and_when_that_was() {
    let Some(tree) = repository() else { return };
    let found = plain(tree.path());
    assert_eq!((found.commit.map(|commit| commit.len()), found.seconds), (Some(7), Some(1_795_220_000)));
    let said = with(tree.path(), &[("SOURCE_DATE_EPOCH", "86400")]);
    assert_eq!(said.seconds, Some(86_400));
    // Another's commit has no time here.
    assert_eq!(with(tree.path(), &[("CHAOS_PROXY_COMMIT", HASH)]).seconds, None);
    // Whoever is inside somebody else's repository does not take its commits for its own.
    let vendored = tree.path().join("vendor");
    std::fs::create_dir(&vendored).unwrap();
    assert_eq!(plain(&vendored).commit, None);
}

/// Every watched file exists, or cargo would repeat each build; and one of them changes with each commit.
#[test]
fn a_build_is_repeated_when_the_commit_is_another_and_not_before() {
    let Some(tree) = repository() else { return };
    let state = || -> Vec<_> {
        let watched = plain(tree.path()).watched;
        watched.iter().map(|file| (file.clone(), std::fs::read(file).expect("it exists"))).collect()
    };
    let unchanged = |before: &[(std::path::PathBuf, Vec<u8>)]| {
        before.iter().all(|(file, text)| std::fs::read(file).is_ok_and(|now| now == *text))
    };
    let loose = state();
    std::fs::write(tree.path().join("notes.txt"), "work under way").unwrap();
    assert!(git(tree.path(), &["add", "."]));
    assert!(git(tree.path(), &["branch", "other"]));
    assert!(unchanged(&loose));
    commit(tree.path());
    assert!(!unchanged(&loose));
    // The same when the branch is packed among others, or checked out elsewhere.
    assert!(git(tree.path(), &["pack-refs", "--all"]));
    let packed = state();
    assert!(packed.len() > 2, "{packed:?}");
    commit(tree.path());
    assert!(!unchanged(&packed));
    let before = state();
    assert!(git(tree.path(), &["checkout", "--quiet", "--detach", "HEAD~1"]));
    assert!(!unchanged(&before));
}
