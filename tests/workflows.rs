//! The workflows of this repository do what the rest of it can do. They run elsewhere; what can be said of them here is
//! said here.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so loudly")]

mod packaging_support;
mod support;

use std::path::Path;
use std::process::Command;

use packaging_support::{check_workflow, files, read, root, words, yaml};
use support::{secs, within};

const RELEASE: &str = ".github/workflows/release.yaml";

#[test]
fn each_is_sound() {
    within(secs(120), || {
        let all = files(".github/workflows");
        assert_eq!(all.len(), 3);
        for file in all {
            check_workflow(&file);
        }
    });
}

/// What a change must pass is written once.
#[test]
fn continuous_integration_is_one_script() {
    within(secs(120), || {
        let text = read(".github/workflows/ci.yaml");
        assert!(text.contains("bash .ci/run\n"));
        assert!(read(".github/workflows/nightly.yaml").contains("bash .ci/nightly "));
    });
}

/// One compiler makes the programs, the image and the tests, and none that the manifest would refuse.
#[test]
fn all_are_built_by_one_compiler() {
    within(secs(120), || {
        let manifest = read("Cargo.toml");
        let oldest = manifest.split("rust-version = \"").nth(1).unwrap().split('"').next().unwrap();
        let number =
            |version: &str| -> Vec<u32> { version.split('.').map(|part| part.parse().unwrap()).collect() };
        let of = |file: &str| yaml(file)[0]["env"]["RUST_VERSION"].as_str().unwrap().to_owned();
        let version = of(RELEASE);
        assert_eq!(version, of(".github/workflows/ci.yaml"));
        assert_eq!(version, of(".github/workflows/nightly.yaml"));
        assert!(read("Dockerfile").contains(&format!(" rust:{version}-slim-")));
        assert!(number(&version) >= number(oldest));
    });
}

/// Two architectures, static, and the same two for the programs and the image; and each job may do no more than it has to.
#[test]
fn a_release_is_for_two_architectures() {
    within(secs(120), || {
        let release = yaml(RELEASE).remove(0);
        let jobs = &release["jobs"];
        let matrix = jobs["program"]["strategy"]["matrix"]["include"].as_sequence().unwrap();
        let targets: Vec<&str> = matrix.iter().map(|entry| entry["target"].as_str().unwrap()).collect();
        assert_eq!(targets, ["x86_64-unknown-linux-musl", "aarch64-unknown-linux-musl"]);
        let dockerfile = read("Dockerfile");
        assert!(targets.iter().all(|target| dockerfile.contains(&format!(" target={target} ;;"))));
        let steps = jobs["image"]["steps"].as_sequence().unwrap();
        let build = steps.iter().find(|step| step["with"]["platforms"].is_string()).unwrap();
        assert_eq!(build["with"]["platforms"], "linux/amd64,linux/arm64");
        let arguments = build["with"]["build-args"].as_str().unwrap();
        for argument in arguments.lines().map(|line| line.split('=').next().unwrap()) {
            assert!(dockerfile.contains(&format!("ARG {argument}=")), "{argument}");
        }
        // What is inside is listed: of the image, and of each program.
        assert_eq!(build["with"]["sbom"], true);
        let steps = jobs["program"]["steps"].as_sequence().unwrap();
        let runs = steps.iter().filter_map(|step| step["run"].as_str());
        assert_eq!(runs.filter(|run| run.contains("cargo cyclonedx ")).count(), 1);
        assert_eq!(words(&jobs["release"]["needs"]), ["program", "image"]);
        assert!(jobs["program"]["permissions"].is_null());
        assert_eq!(jobs["image"]["permissions"]["contents"], "read");
    });
}

/// A package holds what is promised, from the program itself, and the same contents make the same bytes.
#[test]
fn a_package_is_complete_and_made_again_the_same() {
    within(secs(120), || {
        if !cfg!(target_os = "linux") {
            // Packages are made there: other systems have another tar.
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        let target = "x86_64-unknown-linux-musl";
        let built = directory.path().join(target).join("release");
        std::fs::create_dir_all(&built).unwrap();
        std::fs::copy(env!("CARGO_BIN_EXE_chaos-proxy"), built.join("chaos-proxy")).unwrap();
        let pack = |to: &Path| {
            let mut pack = Command::new("bash");
            pack.arg(root().join(".ci/pack")).arg(target).arg(to);
            pack.env("CARGO_TARGET_DIR", directory.path()).env("SOURCE_DATE_EPOCH", "1795220000");
            assert!(pack.output().unwrap().status.success());
            let name = format!("chaos-proxy-{}-{target}", env!("CARGO_PKG_VERSION"));
            (to.join(format!("{name}.tar.gz")), name)
        };
        let (first, name) = pack(&directory.path().join("first"));
        let (second, _) = pack(&directory.path().join("second"));
        assert!(std::fs::read(&first).unwrap() == std::fs::read(second).unwrap());
        let listed = Command::new("tar").arg("-tzf").arg(&first).output().unwrap();
        let listed = String::from_utf8(listed.stdout).unwrap();
        for file in [
            "chaos-proxy",
            "README.md",
            "LICENSE-MIT",
            "LICENSE-APACHE",
            "config.example.yaml",
            "examples/chaos-proxy.service",
            "man/man1/chaos-proxy.1",
            "man/man1/chaos-proxy-fault-add.1",
            "completions/chaos-proxy.bash",
            "completions/chaos-proxy.zsh",
            "completions/chaos-proxy.fish",
        ] {
            assert!(
                listed.lines().any(|line| line == format!("{name}/{file}")),
                "{file} is not in\n{listed}"
            );
        }
    });
}
