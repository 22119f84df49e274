//! `--watch`: whatever way the file is changed, the running state follows once, and a bad moment is not told as an error.

#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "over real sockets time is real")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so loudly")]

mod support;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::thread::sleep;

use support::*;

fn text(connect: u64) -> String {
    format!(
        "admin: off\nroutes: [{{name: it, localPort: auto, upstream: 'builtin:echo', timeouts: {{connect: {connect}s}}}}]\n"
    )
}

fn watching(file: &Path) -> Daemon {
    let arguments = ["--config", file.to_str().unwrap(), "--watch"].map(str::to_owned);
    let daemon = Daemon::with_arguments(&arguments);
    daemon.wait_ready(1);
    daemon
}

/// Waits until the file's new value is in force; it took one reload, and none was refused.
fn follows(daemon: &Daemon, generation: u64, connect: u64) {
    let event = daemon.wait_for("it is reloaded", secs(10), |event| {
        event.text("event") == "config.applied" && event.number("generation") == generation
    });
    assert_eq!(event.text("by"), "file");
    let changes = event.fields["changes"].to_string();
    assert!(changes.contains(&format!("→ {connect}s")), "{changes}");
    assert_eq!(daemon.events.count(|event| event.text("event") == "config.refused"), 0);
    assert_eq!(daemon.events.count(|event| event.text("event") == "config.applied") as u64, generation);
}

#[test]
fn a_file_written_in_place_renamed_over_and_truncated_first() {
    within(secs(40), || {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("routes.yaml");
        fs::write(&file, text(1)).unwrap();
        let daemon = watching(&file);
        fs::write(&file, text(2)).unwrap();
        follows(&daemon, 2, 2);

        let beside = directory.path().join(".routes.yaml.swp");
        fs::write(&beside, text(3)).unwrap();
        fs::rename(&beside, &file).unwrap();
        follows(&daemon, 3, 3);

        fs::write(&file, "").unwrap();
        sleep(ms(300));
        fs::write(&file, text(4)).unwrap();
        follows(&daemon, 4, 4);

        fs::remove_file(&file).unwrap();
        sleep(ms(300));
        fs::write(&file, text(5)).unwrap();
        follows(&daemon, 5, 5);
    });
}

/// A mounted ConfigMap is a link to a link to a directory, and an update swaps the link in the middle.
#[test]
fn the_links_of_a_config_map() {
    within(secs(40), || {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        for version in 1..=3u64 {
            fs::create_dir(at(&format!("..{version}"))).unwrap();
            fs::write(at(&format!("..{version}")).join("routes.yaml"), text(version)).unwrap();
        }
        symlink("..1", at("..data")).unwrap();
        symlink("..data/routes.yaml", at("routes.yaml")).unwrap();
        let daemon = watching(&at("routes.yaml"));
        for version in 2..=3u64 {
            symlink(format!("..{version}"), at("..data_tmp")).unwrap();
            fs::rename(at("..data_tmp"), at("..data")).unwrap();
            follows(&daemon, version, version);
            fs::remove_dir_all(at(&format!("..{}", version - 1))).unwrap();
        }
    });
}

#[test]
fn a_bad_file_is_told_once_and_the_next_good_one_is_taken() {
    within(secs(40), || {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("routes.yaml");
        fs::write(&file, text(1)).unwrap();
        let daemon = watching(&file);
        fs::write(&file, "routes: [{localPort: 1, upstream: nowhere}]\n").unwrap();
        let refused =
            daemon.wait_for("it is refused", secs(10), |event| event.text("event") == "config.refused");
        assert!(refused.text("error").contains("routes.yaml:1:35"), "{}", refused.fields);
        assert_eq!(refused.text("by"), "file");
        fs::write(&file, text(2)).unwrap();
        daemon.wait_for("it is reloaded", secs(10), |event| {
            event.text("event") == "config.applied" && event.number("generation") == 2
        });
        assert_eq!(daemon.events.count(|event| event.text("event") == "config.refused"), 1);
    });
}
