//! Every file under `examples/` is what it seems to be, and what it says of this program is so.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test that cannot go on should say so loudly")]

mod packaging_support;
mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use chaos_proxy::config::{self, Config};
use chaos_proxy::scenario;
use packaging_support::{check_workflow, files, read, root, seconds, taken, there_is, words, yaml};
use serde_yaml::Value;
use support::{secs, within};

/// What grace is beyond the drain itself: for what comes before and after it.
const MARGIN: u64 = 5;

fn configuration(text: &str, name: &str) -> Config {
    config::parse(text.as_bytes(), name, &|_| None).unwrap_or_else(|refused| panic!("{refused}"))
}

/// How long a daemon with this configuration may take to stop.
fn stops_within(config: &Config) -> u64 {
    (config.drain.timeout + config.drain.pre_delay).as_secs()
}

/// What a YAML document is, seen from its own words.
fn kind(document: &Value) -> &'static str {
    let has = |key: &str| document.get(key).is_some_and(|value| !value.is_null());
    match () {
        () if has("routes") => "configuration",
        () if has("steps") || has("expect") => "scenario",
        () if has("services") => "compose",
        () if has("apiVersion") && has("kind") => "kubernetes",
        () if has("jobs") => "workflow",
        () => "unknown",
    }
}

/// The YAML documents of a kind, with their files.
fn of_kind(wanted: &str) -> Vec<(PathBuf, Value)> {
    let all =
        files("examples").into_iter().filter(|file| file.extension().is_some_and(|kind| kind == "yaml"));
    let documents =
        all.flat_map(|file| yaml(&file).into_iter().map(move |document| (file.clone(), document)));
    let found: Vec<_> = documents.filter(|(_, document)| kind(document) == wanted).collect();
    assert!(!found.is_empty(), "no example is a {wanted}");
    found
}

#[test]
fn every_file_is_of_a_kind_that_is_known() {
    within(secs(120), || {
        for file in files("examples") {
            match file.extension().and_then(|extension| extension.to_str()) {
                Some("yaml") => {
                    let documents = yaml(&file);
                    assert!(!documents.is_empty(), "{}: nothing", file.display());
                    assert!(
                        documents.iter().all(|one| kind(one) != "unknown"),
                        "{}: what is this?",
                        file.display()
                    );
                }
                Some("json") => drop(serde_json::from_str::<serde_json::Value>(&read(&file)).unwrap()),
                // The unit has a test below; programs are compiled with the tests.
                Some("service" | "rs" | "py") => {}
                _ => panic!("{}: what is this?", file.display()),
            }
        }
    });
}

#[test]
fn configurations_are_accepted() {
    within(secs(120), || {
        for (file, _) in of_kind("configuration") {
            configuration(&read(&file), &file.display().to_string());
        }
    });
}

/// A scenario can be played on the configuration beside it.
#[test]
fn scenarios_go_with_their_configuration() {
    within(secs(120), || {
        for (file, _) in of_kind("scenario") {
            let typed = scenario::read(&file, &|_| None).unwrap_or_else(|refused| panic!("{refused}"));
            let directory = file.parent().unwrap();
            let named = ["database.yaml", "routes.yaml"].map(|name| directory.join(name));
            let path = named.iter().find(|path| path.exists()).expect("a configuration beside it");
            let config = configuration(&read(path), &path.display().to_string());
            let clashes = scenario::rehearse::rehearse(typed.scenario(), &config, Some(&config));
            assert!(clashes.is_empty(), "{}", typed.refuse(clashes));
        }
    });
}

#[test]
fn compose_starts_what_there_is_and_lets_it_drain() {
    within(secs(120), || {
        of_kind("compose").iter().for_each(|(file, document)| compose(file, document));
    });
}

#[test]
fn a_pod_starts_what_there_is_and_lets_it_drain() {
    within(secs(120), || {
        of_kind("kubernetes").iter().for_each(|(file, document)| kubernetes(file, document));
    });
}

#[test]
fn workflows_are_sound_and_type_what_is_understood() {
    within(secs(120), || {
        for (file, _) in of_kind("workflow") {
            check_workflow(&file);
        }
    });
}

#[test]
fn the_unit_starts_what_there_is_and_lets_it_drain() {
    within(secs(120), || {
        unit(Path::new("examples/chaos-proxy.service"));
    });
}

/// The configuration that a mount brings to the place where the arguments look for it. A directory is mounted, so that
/// a file that is renamed over is seen.
fn mounted(arguments: &[String], mounts: &[(PathBuf, String)]) -> Config {
    let at = arguments.iter().position(|word| word == "--config").expect("a configuration");
    let inside = Path::new(&arguments[at + 1]);
    let found = mounts.iter().find_map(|(here, there)| Some(here.join(inside.strip_prefix(there).ok()?)));
    let file = found.unwrap_or_else(|| panic!("nothing is mounted at {}", inside.display()));
    assert!(file.parent().is_some_and(|directory| mounts.iter().any(|(here, _)| here == directory)));
    configuration(&read(&file), &file.display().to_string())
}

fn is_ours(image: &str) -> bool {
    image.split(':').next() == Some("chaos-proxy")
}

/// An image of somebody else's is named with a version.
fn check_image(image: &str) {
    let (_, version) = image.split_once(':').unwrap_or_else(|| panic!("{image} has no version"));
    assert!(version.starts_with(|c: char| c.is_ascii_digit()), "{image}");
    assert!(!is_ours(image) || version == env!("CARGO_PKG_VERSION"), "{image}");
}

fn compose(file: &Path, document: &Value) {
    let directory = file.parent().unwrap();
    let services = document["services"].as_mapping().unwrap();
    let mut ours = 0;
    for (name, service) in services {
        check_image(service["image"].as_str().unwrap());
        for needed in service["depends_on"].as_mapping().into_iter().flatten() {
            let other = services.get(needed.0).unwrap_or_else(|| panic!("{name:?} needs {:?}", needed.0));
            assert!(needed.1["condition"] != "service_healthy" || !other["healthcheck"].is_null());
        }
        if !is_ours(service["image"].as_str().unwrap()) {
            continue;
        }
        ours += 1;
        assert!(root().join(directory).join(service["build"].as_str().unwrap()).join("Dockerfile").exists());
        let arguments = words(&service["command"]);
        let variables = variables(service["environment"].as_mapping().unwrap());
        taken(&arguments, &variables);
        assert!(variables.iter().all(|(name, _)| name.starts_with("CHAOS_PROXY_")));
        assert!(
            variables.iter().any(|(name, value)| name == "CHAOS_PROXY_TOKEN" && value.contains(":?")),
            "a token"
        );
        let mounts: Vec<(PathBuf, String)> = words(&service["volumes"])
            .iter()
            .map(|mount| mount.strip_suffix(":ro").expect("for reading").split_once(':').unwrap())
            .map(|(here, there)| (directory.join(here.strip_prefix("./").unwrap()), there.to_owned()))
            .collect();
        let config = mounted(&arguments, &mounts);
        let grace = seconds(service["stop_grace_period"].as_str().unwrap());
        assert!(grace >= stops_within(&config) + MARGIN, "{grace} s are not enough");
        let health = words(&service["healthcheck"]["test"]);
        assert_eq!(health[..2], ["CMD", "/chaos-proxy"]);
        taken(&health[2..], &[]);
        // The route stands where the service stood.
        for route in &config.routes {
            let upstream = route.upstream.endpoints[0].endpoint.to_string();
            let (host, _) = upstream.split_once(':').unwrap();
            assert!(services.contains_key(host), "{upstream}");
        }
    }
    assert_eq!(ours, 1);
}

fn variables(mapping: &serde_yaml::Mapping) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    mapping.iter().map(|(name, value)| (text(name), text(value))).collect()
}

fn kubernetes(file: &Path, document: &Value) {
    let directory = file.parent().unwrap();
    match document["kind"].as_str().unwrap() {
        "Kustomization" => {
            for resource in words(&document["resources"]) {
                assert!(root().join(directory).join(&resource).exists(), "{resource}");
            }
            for image in document["images"].as_sequence().unwrap() {
                let text = |key: &str| image[key].as_str().unwrap();
                assert!(is_ours(text("name")));
                check_image(&format!("{}:{}", text("newName"), text("newTag")));
            }
        }
        "Deployment" => deployment(directory, &document["spec"]["template"]["spec"]),
        // Whole configurations may also stand in a manifest.
        "ConfigMap" => {
            for (name, text) in document["data"].as_mapping().unwrap() {
                configuration(text.as_str().unwrap(), name.as_str().unwrap());
            }
        }
        other => panic!("{}: nothing is known of a {other}", file.display()),
    }
}

fn deployment(directory: &Path, pod: &Value) {
    let kustomization = yaml(directory.join("kustomization.yaml")).remove(0);
    let sidecar = &pod["initContainers"][0];
    assert_eq!(sidecar["restartPolicy"], "Always", "that makes it a sidecar");
    assert!(is_ours(sidecar["image"].as_str().unwrap()));
    let arguments = words(&sidecar["args"]);
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let environment = sidecar["env"].as_sequence().unwrap();
    let variables: Vec<(String, String)> =
        environment.iter().map(|entry| (text(&entry["name"]), text(&entry["value"]))).collect();
    taken(&arguments, &variables);
    assert!(arguments.contains(&"--watch".to_owned()));
    for probe in ["startupProbe", "readinessProbe"] {
        let command = words(&sidecar[probe]["exec"]["command"]);
        assert_eq!(command[0], "/chaos-proxy");
        taken(&command[1..], &variables);
    }

    // The volume is the generated ConfigMap, which keeps its name and holds the files that are named there.
    let mount = &sidecar["volumeMounts"][0];
    assert!(mount["subPath"].is_null(), "it would never be renewed");
    let volume =
        pod["volumes"].as_sequence().unwrap().iter().find(|volume| volume["name"] == mount["name"]).unwrap();
    let generated = &kustomization["configMapGenerator"][0];
    assert_eq!(volume["configMap"]["name"], generated["name"]);
    assert_eq!(kustomization["generatorOptions"]["disableNameSuffixHash"], true);
    assert_eq!(words(&generated["files"]), ["routes.yaml"]);
    let config = mounted(&arguments, &[(directory.to_owned(), text(&mount["mountPath"]))]);

    let grace = pod["terminationGracePeriodSeconds"].as_u64().unwrap();
    assert!(grace >= stops_within(&config) + MARGIN, "{grace} s are not enough");

    // As the restricted policy for pods wants it.
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
    for containers in [&pod["initContainers"], &pod["containers"]] {
        for container in containers.as_sequence().unwrap() {
            let security = &container["securityContext"];
            assert_eq!(security["allowPrivilegeEscalation"], false);
            assert_eq!(security["readOnlyRootFilesystem"], true);
            assert_eq!(words(&security["capabilities"]["drop"]), ["ALL"]);
            assert!(!container["resources"]["limits"]["memory"].is_null());
            if !is_ours(container["image"].as_str().unwrap()) {
                check_image(container["image"].as_str().unwrap());
            }
        }
    }
}

fn unit(file: &Path) {
    let text = read(file);
    let values = |key: &str| -> Vec<String> {
        text.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('=')).map(str::to_owned).collect()
    };
    let variables: Vec<(String, String)> = values("Environment")
        .iter()
        .map(|pair| pair.split_once('=').unwrap())
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let words: Vec<String> = values("ExecStart")[0].split_whitespace().map(str::to_owned).collect();
    assert!(words[0].ends_with("/chaos-proxy"));
    taken(&words[1..], &variables);
    assert_eq!(values("KillSignal"), ["SIGTERM"]);
    assert!(values("ExecReload")[0].contains("-HUP"));
    let drain = variables.iter().find(|(name, _)| name == "CHAOS_PROXY_DRAIN_TIMEOUT").unwrap();
    assert!(seconds(&values("TimeoutStopSec")[0]) >= seconds(&drain.1) + MARGIN);

    if !there_is("systemd-analyze") {
        eprintln!("SKIPPED in part: there is no systemd-analyze here");
        return;
    }
    // It asks whether the program can be executed.
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path().join("chaos-proxy.service");
    std::fs::write(&here, text.replace("/usr/local/bin/chaos-proxy", env!("CARGO_BIN_EXE_chaos-proxy")))
        .unwrap();
    let output = Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&here).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !said.contains("chaos-proxy.service"), "{said}");
}
