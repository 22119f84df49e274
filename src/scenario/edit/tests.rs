use super::*;
use crate::config::changes;

fn config() -> Config {
    Config::from_text(
        "routes:
          - name: db
            localPort: auto
            upstream: builtin:echo
            faults:
              - latency: {delay: 100ms, direction: both, probability: 0.5}
              - {noop: {name: marker}}
              - slice: {size: 10B}
          - {name: cache, localPort: auto, upstream: builtin:echo, enabled: false}",
    )
    .unwrap()
}

fn patch(json: Value) -> Map<String, Value> {
    json.as_object().cloned().unwrap()
}

/// Whatever an edit does, its undo leaves the configuration as it was, order and all.
#[test]
fn what_is_undone_was_never_done() {
    let (db, cache): (Arc<str>, Arc<str>) = ("db".into(), "cache".into());
    let set = |fault: &str, json| Action::Set { route: db.clone(), fault: fault.into(), patch: patch(json) };
    let actions = [
        Action::Add { route: db.clone(), fault: patch(json!({"reset": {"after": "1KiB"}})) },
        Action::Add { route: db.clone(), fault: patch(json!({"latency": {"delay": "1s"}})) },
        set("latency", json!({"delay": "1s", "jitter": "5ms"})),
        set("latency", json!({"probability": null, "direction": "upstream"})),
        set("marker", json!({"enabled": false, "times": 3})),
        Action::Remove { route: db.clone(), fault: "latency".into() },
        Action::Remove { route: db.clone(), fault: "slice".into() },
        Action::Close { route: db, live: Live::Reset },
        Action::Open { route: cache },
    ];
    for action in actions {
        let before = config();
        let edit = Edit::of(&action, &before).unwrap().unwrap();
        let mut after = before.clone();
        edit.make(&mut after).unwrap();
        assert_ne!(after, before, "{action:?}");
        let undo = edit.undo(&before).unwrap();
        undo.make(&mut after).unwrap();
        assert_eq!(after, before, "{action:?} {:?}", changes(&before, &after));
    }
}

#[test]
fn what_changes_nothing_is_not_undone() {
    let config = config();
    for what in [What::Open, What::Restore] {
        assert_eq!(Edit { route: Some("db".into()), what }.undo(&config), None);
    }
    assert_eq!(Edit { route: Some("cache".into()), what: What::Close(Live::Keep) }.undo(&config), None);
}

#[test]
fn what_is_not_there_cannot_be_changed() {
    let config = config();
    let set = |route: &str, fault: &str| Action::Set {
        route: route.into(),
        fault: fault.into(),
        patch: Map::default(),
    };
    let error = |action: &Action| Edit::of(action, &config).unwrap_err().to_string();
    assert_eq!(error(&set("web", "latency")), "there is no route `web`");
    assert_eq!(error(&set("db", "reset")), "route `db` has no fault `reset`");
    let twice =
        Action::Add { route: "db".into(), fault: patch(json!({"slice": {"size": "1B", "name": "slice"}})) };
    let edit = Edit::of(&twice, &config).unwrap().unwrap();
    assert!(matches!(edit.make(&mut config.clone()), Err(ControlError::Body(_))));
}
