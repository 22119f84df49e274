//! What is accepted, and what it means.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod config_support;

use std::path::{Path, PathBuf};
use std::time::Duration;

use chaos_proxy::cli;
use chaos_proxy::config::{Admin, Config, Document};
use chaos_proxy::fault::Effect;
use chaos_proxy::fault::How;
use chaos_proxy::route::{Bind, LocalPort};
use config_support::{accepted, env, parse, route};
use proptest::prelude::*;

fn examples() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files: Vec<PathBuf> = std::fs::read_dir(root.join("examples"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    files.sort();
    assert!(files.len() >= 4);
    files.push(root.join("config.example.yaml"));
    files
}

#[test]
fn every_example_loads_and_says_what_it_does() {
    let said: Vec<String> = examples()
        .iter()
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy();
            let config =
                chaos_proxy::config::load(path, &|_| None).unwrap_or_else(|refused| panic!("{refused}"));
            format!("### {name}\n{}\n", cli::explain(&config))
        })
        .collect();
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn every_example_uses_ports_below_the_ephemeral_range() {
    for path in examples() {
        let config = chaos_proxy::config::load(&path, &|_| None).unwrap();
        for route in config.routes {
            assert!(matches!(route.local_port, LocalPort::Auto | LocalPort::Fixed(1024..32768)), "{path:?}");
        }
    }
}

#[test]
fn the_schema_in_the_repository_is_the_program_s() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/config.schema.json");
    let schema = cli::schema();
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(&path, &schema).unwrap();
    }
    let kept = std::fs::read_to_string(path).unwrap();
    assert!(kept == schema, "run the tests with UPDATE_SCHEMA=1 to renew examples/config.schema.json");
}

#[test]
fn the_same_document_in_yaml_and_json_means_the_same() {
    for path in examples() {
        let yaml = std::fs::read_to_string(&path).unwrap().replace("${CHAOS_SEED:-7}", "7");
        let value: serde_yaml::Value = serde_yaml::from_str::<serde_yaml::Value>(&yaml).unwrap().merged();
        let json = serde_json::to_string_pretty(&value).unwrap();
        assert_eq!(accepted(&yaml), accepted(&json), "{path:?}");
    }
}

/// serde_yaml leaves merging to the caller.
trait Merged {
    fn merged(self) -> Self;
}

impl Merged for serde_yaml::Value {
    fn merged(mut self) -> Self {
        self.apply_merge().unwrap();
        self
    }
}

#[test]
fn what_is_written_is_read_again() {
    for path in examples() {
        let text = std::fs::read(&path).unwrap();
        let typed = Document::read(&text, "a", &env).unwrap();
        let written = serde_yaml::to_string(typed.document()).unwrap();
        assert_eq!(accepted(&written), parse(&text).unwrap(), "{path:?} became\n{written}");
    }
}

#[test]
fn line_endings_and_a_byte_order_mark_change_nothing() {
    let plain = accepted(&route("dropRate: 0.5"));
    assert_eq!(accepted(&route("dropRate: 0.5").replace('\n', "\r\n")), plain);
    assert_eq!(accepted(&format!("\u{feff}{}", route("dropRate: 0.5"))), plain);
    assert_eq!(accepted(&format!("---\n{}...\n", route("dropRate: 0.5"))), plain);
}

#[test]
fn a_bare_list_of_routes_is_a_document() {
    let list = "- name: db\n  localPort: 15432\n  upstream: db.internal:5432\n";
    assert_eq!(accepted(list), accepted(&route("enabled: true")));
    let json = r#"[{"name": "db", "localPort": 15432, "upstream": "db.internal:5432"}]"#;
    assert_eq!(accepted(json), accepted(list));
}

#[test]
fn anchors_aliases_and_merges_are_understood() {
    let text = "x-base: &base {upstream: db:5432, dropRate: 0.5}\nx-more: &more {upstream: other:1, latencyMs: 5}\n\
                routes:\n  - {<<: *base, localPort: 1}\n  - {<<: [*base, *more], localPort: 2, dropRate: 0}\n";
    let config = accepted(text);
    assert_eq!(config.routes[0].faults.len(), 1);
    assert_eq!(config.routes[1].upstream.to_string(), "db:5432");
    assert_eq!(config.routes[1].faults.len(), 1);
    assert_eq!(config.routes[1].faults[0].effect.word(), "delay");
}

#[test]
fn a_lone_variable_takes_the_type_its_place_asks_for() {
    let text = "routes:\n  - name: ${PORT}\n    localPort: ${PORT}\n    upstream: ${HOST:-db}:${PORT}\n    \
                dropRate: ${RATE:-0.5}\n    enabled: ${ON:-false}\n    timeouts: {connect: \"${T:-3s}\"}\n";
    let config = accepted(text);
    let route = &config.routes[0];
    assert_eq!((&*route.name, route.local_port), ("15432", LocalPort::Fixed(15432)));
    assert_eq!(route.upstream.to_string(), "db:15432");
    assert_eq!(route.timeouts.connect, Duration::from_secs(3));
    assert!(!route.enabled);
}

#[test]
fn accepted_values() {
    for rate in ["0", "1", "1.0", "1e-9"] {
        accepted(&route(&format!("dropRate: {rate}")));
    }
    for upstream in
        ["'[::1]:5432'", "a:1", "xn--bcher-kva.example:80", "example.com.:80", "no.such.name.invalid:1"]
    {
        accepted(&format!("routes: [{{localPort: 1, upstream: {upstream}}}]"));
    }
    assert_eq!(accepted(&format!("bind: '*'\n{}", route("bind: '::'"))).bind, Bind::Any);
    assert_eq!(accepted(&format!("admin: off\n{}", route("enabled: true"))).admin, Admin::Off);
    assert_eq!(accepted(&format!("admin: false\n{}", route("enabled: true"))).admin, Admin::Off);
    assert_eq!(accepted(&route("enabled: true")).admin, Admin::Default);
    accepted(&format!("seed: 18446744073709551615\nx-any: {{a: [1, ~, 0x1]}}\n{}", route("enabled: true")));
}

#[test]
fn shorthands_come_first_and_zero_is_off() {
    let config = accepted(&route(
        "dropRate: 0.1\n    timeoutMs: 3000\n    latencyMs: 200\n    jitterMs: 50\n    faults: [drop: {name: more, how: reset}]",
    ));
    let faults = &config.routes[0].faults;
    let names: Vec<&str> = faults.iter().map(|fault| &*fault.name).collect();
    assert_eq!(names, ["drop", "hang", "delay", "more"]);
    let brief: Vec<String> = faults.iter().map(|fault| fault.brief()).collect();
    assert_eq!(brief, ["drop 10%", "hang, closed after 3s", "delay 200ms ±50ms", "drop by reset"]);
    assert!(matches!(&faults[3].effect, Effect::Drop(drop) if drop.how == How::Reset));
    let off =
        accepted(&route("dropRate: 0\n    timeoutMs: 0\n    latencyMs: 0\n    jitterMs: 0\n    faults: []"));
    assert!(off.routes[0].faults.is_empty());
    let jitter = accepted(&route("jitterMs: 50"));
    assert_eq!(jitter.routes[0].faults[0].brief(), "delay 0s ±50ms");
}

#[test]
fn an_effect_without_parameters_may_be_a_bare_word() {
    let faults = |text: &str| accepted(&route(&format!("faults: {text}"))).routes[0].faults.clone();
    assert_eq!(faults("[drop, hang]"), faults("[drop: , hang: {}]"));
}

#[test]
fn files_that_are_none_are_refused() {
    let load = |path: &Path| -> Result<Config, String> {
        chaos_proxy::config::load(path, &env).map_err(|refused| refused.brief())
    };
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let ends = |path: &Path, end: &str| {
        let said = load(path).unwrap_err();
        assert!(said.ends_with(end), "{said}");
    };
    ends(&at("missing.yaml"), "there is no such file");
    ends(dir.path(), "this is a directory, not a file");
    std::os::unix::fs::symlink(at("nowhere"), at("link")).unwrap();
    ends(&at("link"), "there is no such file");
    assert!(std::process::Command::new("mkfifo").arg(at("fifo")).status().unwrap().success());
    ends(&at("fifo"), "this is a pipe, not a file");
    ends(Path::new("/dev/zero"), "this is a device, not a file");
    let huge = std::fs::File::create(at("huge")).unwrap();
    huge.set_len(100 << 20).unwrap();
    ends(&at("huge"), "the document is larger than 1 MiB");
    let odd: &std::ffi::OsStr = std::os::unix::ffi::OsStrExt::from_bytes(b"caf\xe9.yaml");
    ends(&dir.path().join(odd), "there is no such file");
    std::fs::write(dir.path().join(odd), route("enabled: true")).unwrap();
    assert!(load(&dir.path().join(odd)).is_ok());
}

#[test]
fn the_brief_form_is_one_line() {
    let refused = parse(route("dropRate: 1.4\n    latencyMs: -1").as_bytes()).unwrap_err();
    assert_eq!(refused.brief(), "routes.yaml:5:15 dropRate 1.4 is not within 0..1 (and 1 more)");
    let problem = &refused.problems()[0];
    assert_eq!(problem.pointer, "/routes/0/dropRate");
    assert_eq!((problem.line, problem.column), (Some(5), Some(15)));
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = parse(&bytes).map_err(|refused| refused.to_string());
    }

    #[test]
    fn random_punctuation_never_panics(text in "[\\[\\]{}:,\\-?!&*#|>'\"%@` \n\ta0$<~.]{0,120}") {
        let _ = parse(text.as_bytes()).map_err(|refused| refused.to_string());
    }

    #[test]
    fn damaged_examples_never_panic(
        which in 0usize..5, from in 0.0..1.0f64, length in 0usize..20, with in "[\\[\\]{}:,\\-?!&*#|>'\"\n 0ax$\u{e9}]{0,5}",
    ) {
        let mut text = std::fs::read(&examples()[which]).unwrap();
        let start = (from * text.len() as f64) as usize;
        let end = (start + length).min(text.len());
        text.splice(start..end, with.bytes());
        let _ = parse(&text).map_err(|refused| refused.to_string());
    }
}
