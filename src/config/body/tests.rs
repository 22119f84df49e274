use proptest::prelude::*;

use super::*;

const RUNNING: &str = r#"{"bind": "0.0.0.0", "admin": "127.0.0.1:8474", "routes": [
    {"name": "web", "localPort": 15001, "upstream": "x:1", "dropRate": 0.1, "latencyMs": 200, "jitterMs": 50,
        "faults": [{"latency": {"delay": "1s"}}, {"reset": {"name": "cut"}}]},
    {"name": "db", "localPort": 15002, "upstream": "127.0.0.1:15003"}]}"#;

fn running() -> Config {
    Config::from_text(RUNNING).unwrap()
}

fn web() -> RouteConfig {
    running().routes.remove(0)
}

/// How a body was refused: the kind, and for each problem the pointer and the title.
fn told<T: std::fmt::Debug>(read: Result<T, BodyError>) -> Vec<String> {
    let error = read.unwrap_err();
    let kind = match &error {
        BodyError::NotJson(_) => "not JSON",
        BodyError::Refused(_) => "refused",
        BodyError::Conflict(_) => "conflict",
    };
    let problems = error.refused().problems();
    let each = problems.iter().map(|problem| format!("{} {}", problem.pointer, problem.title));
    [kind.to_owned()].into_iter().chain(each).collect()
}

fn new_route(text: &str) -> Result<RouteConfig, BodyError> {
    route(text.as_bytes(), &running(), None)
}

fn briefs(route: &RouteConfig) -> Vec<String> {
    route.faults.iter().map(Fault::brief).collect()
}

#[test]
fn what_is_not_json_is_told_apart_from_what_cannot_be() {
    assert_eq!(told(config(b"routes: []")), ["not JSON", " JSON text stands in double quotes"]);
    assert_eq!(told(config(b"")), ["not JSON", " the document ends too early"]);
    assert_eq!(told(config(b"{\"a\": \xff}"))[0], "not JSON");
    assert_eq!(told(config(&[b' '; (1 << 20) + 1]))[0], "not JSON");
    assert_eq!(told(config("[".repeat(40).as_bytes()))[0], "not JSON");
    assert_eq!(
        told(new_route("{\"localPort\": 0x10}")),
        ["not JSON", "/localPort this is not a number of JSON"]
    );
    let Err(BodyError::NotJson(refused)) = new_route("{} # routes") else { panic!() };
    assert!(!refused.to_string().contains("YAML"), "{refused}");
    assert_eq!(told(config(b"{}")), ["refused", " `routes` is missing"]);
    assert_eq!(told(new_route("7"))[0], "refused");
    assert_eq!(told(fault(b"null", &web(), None))[0], "refused");
}

#[test]
fn a_number_is_whole_however_it_is_written() {
    let written = r#"{"name": "n", "localPort": 80.0, "upstream": "x:1", "latencyMs": 2e1, "faults": [{"limit": {"bytes": 5.0}}]}"#;
    let meant = r#"{"name": "n", "localPort": 80, "upstream": "x:1", "latencyMs": 20, "faults": [{"limit": {"bytes": 5}}]}"#;
    assert_eq!(new_route(written).unwrap(), new_route(meant).unwrap());
    let halves = r#"{"name": "n", "localPort": 80.5, "upstream": "x:1", "latencyMs": 1e300}"#;
    assert_eq!(told(new_route(halves)).len(), 3);
}

#[test]
fn a_daemon_can_be_given_no_routes() {
    assert_eq!(config(br#"{"routes": []}"#).unwrap(), Config::default());
    assert!(Config::from_text(r#"{"routes": []}"#).is_err());
}

#[test]
fn nothing_is_substituted() {
    let route =
        new_route(r#"{"name": "$${HOME}", "localPort": "auto", "upstream": "builtin:echo"}"#).unwrap();
    assert_eq!(&*route.name, "$${HOME}");
    let told = told(new_route(r#"{"localPort": 1, "upstream": "${HOME}:1"}"#));
    assert_eq!(told[0], "refused");
    assert!(told[1].starts_with("/upstream "), "{told:?}");
}

#[test]
fn the_state_that_was_read_is_passed_over() {
    let whole = r#"{"state": {"a": [1]}, "name": "n", "localPort": 15009, "state2": 1, "upstream": "x:1",
        "faults": [{"state": {}, "noop": {}}, {"latency": {"delay": "1s"}, "state": null}]}"#;
    assert_eq!(told(new_route(whole)), ["refused", "/state2 unknown key `state2`"]);
    let whole = whole.replace("\"state2\": 1,", "");
    assert_eq!(new_route(&whole).unwrap().faults.len(), 2);
    let config_body = format!("{{\"routes\": [{whole}]}}");
    assert_eq!(config(config_body.as_bytes()).unwrap().routes[0].faults.len(), 2);
    assert_eq!(told(config(br#"{"routes": [], "state": {}}"#)), ["refused", "/state unknown key `state`"]);
    let one = fault(br#"{"state": {"fired": 1}, "noop": {}}"#, &web(), None).unwrap();
    assert_eq!(one.brief(), "noop");
    // What follows a key that was passed over keeps its own place.
    let text = r#"{"state": {}, "name": "n", "localPort": 15009, "upstream": 1}"#;
    assert!(told(new_route(text))[1].starts_with("/upstream "));
}

#[test]
fn a_route_is_held_against_the_others() {
    let of = |rest: &str| told(new_route(&format!("{{\"upstream\": \"x:1\", {rest}}}")));
    assert_eq!(
        of(r#""name": "n", "localPort": 15001"#),
        ["conflict", "/localPort localPort 15001 is taken by the route `web`"]
    );
    assert_eq!(
        of(r#""name": "web", "localPort": 15009"#),
        ["conflict", "/name there is a route `web` already"]
    );
    assert_eq!(of(r#""name": "web", "localPort": 15009, "dropRate": 2"#)[0], "refused");
    assert_eq!(
        of(r#""name": "n", "localPort": 8474"#),
        ["refused", "/localPort localPort 8474 is the port of the control API"]
    );
    assert_eq!(
        of(r#""localPort": "auto""#),
        ["refused", "/localPort a route with `localPort: auto` needs a name"]
    );
    assert_eq!(of(r#""x-mine": 1, "localPort": 15009"#), ["refused", "/x-mine unknown key `x-mine`"]);
    let circle = r#"{"name": "n", "localPort": 15003, "upstream": "localhost:15002"}"#;
    assert_eq!(told(new_route(circle)), ["refused", "/upstream these routes lead in a circle: n → db → n"]);
    let zero = r#"{"localPort": 15009, "upstream": "x:1", "timeouts": {"idle": "0s"}}"#;
    assert_eq!(told(new_route(zero)), ["refused", "/timeouts/idle timeouts.idle must be more than zero"]);
    let twins = r#"{"localPort": 15009, "upstream": "x:1", "faults": ["noop", "noop", "noop"]}"#;
    assert_eq!(
        told(new_route(twins)),
        ["refused", "/faults/2 two faults of this route are called `noop-downstream`"]
    );
}

#[test]
fn a_new_route_takes_the_address_of_the_configuration() {
    let route = new_route(r#"{"localPort": 15009, "upstream": "x:1"}"#).unwrap();
    assert_eq!((route.bind.to_string(), &*route.name), ("0.0.0.0".to_owned(), "port-15009"));
}

#[test]
fn a_route_put_in_place_of_another_keeps_its_name_and_may_keep_its_port() {
    let put = |text: &str| route(text.as_bytes(), &running(), Some("web"));
    let same = put(r#"{"localPort": 15001, "upstream": "y:1"}"#).unwrap();
    assert_eq!((&*same.name, same.upstream.to_string()), ("web", "y:1".to_owned()));
    assert_eq!(&*put(r#"{"localPort": "auto", "upstream": "y:1"}"#).unwrap().name, "web");
    assert!(put(r#"{"name": "web", "localPort": 15001, "upstream": "y:1"}"#).is_ok());
    assert_eq!(
        told(put(r#"{"name": "other", "localPort": 15001, "upstream": "y:1"}"#)),
        ["refused", "/name the name of the route `web` cannot change"]
    );
    assert_eq!(told(put(r#"{"localPort": 15002, "upstream": "y:1"}"#))[0], "conflict");
}

#[test]
fn a_fault_is_held_against_the_others_of_its_route() {
    let new = |text: &str| fault(text.as_bytes(), &web(), None);
    assert_eq!(&*new("\"noop\"").unwrap().name, "noop");
    assert_eq!(&*new(r#"{"latency": {"delay": "1s"}}"#).unwrap().name, "latency-downstream");
    assert_eq!(told(new("\"drop\"")), ["conflict", " there is a fault `drop` already"]);
    assert_eq!(
        told(new(r#"{"noop": {"name": "cut"}}"#)),
        ["conflict", "/noop/name there is a fault `cut` already"]
    );
    assert_eq!(told(new(r#"{"latency": {"delay": 5}}"#)), ["refused", "/latency/delay delay 5 has no unit"]);
    assert_eq!(told(new("{}"))[0], "refused");
    assert_eq!(told(new("[\"noop\"]"))[0], "refused");
    let mut full = web();
    full.faults = (0..64).map(|n| Fault { name: n.to_string().into(), ..new("\"noop\"").unwrap() }).collect();
    assert_eq!(told(fault(b"\"noop\"", &full, None)), ["refused", " a route has at most 64 faults"]);
    assert!(fault(b"\"noop\"", &full, Some("3")).is_ok());
}

#[test]
fn a_fault_put_in_place_of_another_keeps_its_name() {
    let put = |text: &str| fault(text.as_bytes(), &web(), Some("cut"));
    assert_eq!(&*put(r#"{"reset": {"after": "1s"}}"#).unwrap().name, "cut");
    assert_eq!(&*put("\"stall\"").unwrap().name, "cut");
    assert_eq!(
        told(put(r#"{"reset": {"name": "other"}}"#)),
        ["refused", "/reset/name the name of the fault `cut` cannot change"]
    );
}

fn patched(patch: &str) -> RouteConfig {
    patched_route(patch.as_bytes(), &web(), &running()).unwrap_or_else(|error| panic!("{error}"))
}

fn refused_patch(patch: &str) -> Vec<String> {
    told(patched_route(patch.as_bytes(), &web(), &running()))
}

#[test]
fn a_patch_changes_what_it_says_and_nothing_else() {
    assert_eq!(patched("{}"), web());
    assert_eq!(patched(&serde_json::to_string(&RouteSpec::from(&web())).unwrap()), web());
    assert_eq!(patched(r#"{"name": null, "state": {"x": 1}}"#), web());
    let route = patched(r#"{"timeouts": {"idle": "5m"}, "enabled": false, "bind": null}"#);
    assert_eq!(route.timeouts.idle, Some(std::time::Duration::from_secs(300)));
    assert_eq!((route.enabled, route.bind), (false, running().bind));
    assert_eq!(route.faults, web().faults);
    assert_eq!(patched(r#"{"faults": null}"#).faults, []);
    assert_eq!(briefs(&patched(r#"{"faults": ["noop"], "dropRate": 0.5}"#)), ["drop 50%", "noop"]);
}

#[test]
fn a_patch_is_refused_like_what_it_makes() {
    assert_eq!(refused_patch("[]"), ["refused", " a patch must be an object"]);
    assert_eq!(refused_patch("{"), ["not JSON", " a bracket is not closed"]);
    let twice = refused_patch(r#"{"enabled": true, "enabled": true}"#);
    assert_eq!(twice, ["refused", " the key `enabled` is there twice"]);
    assert_eq!(refused_patch(r#"{"upstream": null}"#), ["refused", " `upstream` is missing"]);
    assert_eq!(refused_patch(r#"{"localPort": 15002}"#)[0], "conflict");
    assert_eq!(
        refused_patch(r#"{"timeouts": {"idle": "0s"}}"#),
        ["refused", "/timeouts/idle timeouts.idle must be more than zero"]
    );
    assert_eq!(
        refused_patch(r#"{"faults": [{"noop": null}, null]}"#)[1].split(' ').next(),
        Some("/faults/1")
    );
    assert_eq!(refused_patch(r#"{"dropRate": 1e999}"#)[1].split(' ').next(), Some("/dropRate"));
    assert_eq!(refused_patch(r#"{"name": "other"}"#)[1].split(' ').next(), Some("/name"));
}

#[test]
fn a_shorthand_in_a_patch_replaces_the_fault_it_stands_for() {
    let rest = ["latency 1s", "reset after 0s"];
    let all = |first: &[&'static str]| [first, &rest[..]].concat();
    assert_eq!(briefs(&web()), all(&["drop 10%", "delay 200ms ±50ms"]));
    assert_eq!(briefs(&patched(r#"{"dropRate": 0.5}"#)), all(&["drop 50%", "delay 200ms ±50ms"]));
    assert_eq!(briefs(&patched(r#"{"dropRate": 0}"#)), all(&["delay 200ms ±50ms"]));
    assert_eq!(briefs(&patched(r#"{"dropRate": null, "latencyMs": null}"#)), all(&[]));
    assert_eq!(briefs(&patched(r#"{"latencyMs": 300}"#)), all(&["drop 10%", "delay 300ms ±50ms"]));
    assert_eq!(briefs(&patched(r#"{"jitterMs": 5}"#)), all(&["drop 10%", "delay 200ms ±5ms"]));
    assert_eq!(briefs(&patched(r#"{"jitterMs": 0}"#)), all(&["drop 10%", "delay 200ms"]));
    assert_eq!(briefs(&patched(r#"{"latencyMs": 1, "jitterMs": 1}"#)), all(&["drop 10%", "delay 1ms ±1ms"]));
    // It stands where it would in a file, or where the old one stood.
    assert_eq!(
        briefs(&patched(r#"{"timeoutMs": 5}"#)),
        all(&["drop 10%", "hang, closed after 5ms", "delay 200ms ±50ms"])
    );
    let mut turned = web();
    turned.faults.reverse();
    let patched = patched_route(br#"{"dropRate": 0.5, "latencyMs": 1}"#, &turned, &running()).unwrap();
    assert_eq!(briefs(&patched), ["reset after 0s", "latency 1s", "delay 1ms ±50ms", "drop 50%"]);
    let taken = r#"{"faults": [{"noop": {"name": "drop"}}], "dropRate": 0.5}"#;
    assert_eq!(refused_patch(taken), ["refused", "/faults/0 two faults of this route are called `drop`"]);
}

#[test]
fn a_fault_can_be_patched() {
    let web = web();
    let latency = &web.faults[2];
    let patched = |patch: &str| patched_fault(patch.as_bytes(), latency, &web);
    assert_eq!(&patched("{}").unwrap(), latency);
    assert_eq!(patched(r#"{"latency": {"jitter": "5ms"}}"#).unwrap().brief(), "latency 1s ±5ms");
    assert_eq!(&patched(r#"{"latency": {"name": null}, "state": {}}"#).unwrap(), latency);
    assert_eq!(
        told(patched(r#"{"latency": {"delay": null}}"#)),
        ["refused", "/latency `delay` is missing in `latency`"]
    );
    assert_eq!(told(patched(r#"{"reset": {}}"#)), ["refused", "/reset the fault `latency` is a latency"]);
    let turned = patched(r#"{"latency": null, "reset": {}}"#).unwrap();
    assert_eq!((&*turned.name, turned.brief()), ("latency", "reset after 0s".to_owned()));
    assert_eq!(told(patched("\"noop\"")), ["refused", " a patch must be an object"]);
    assert_eq!(
        told(patched(r#"{"latency": {"name": "x"}}"#)),
        ["refused", "/latency/name the name of the fault `latency` cannot change"]
    );
}

#[test]
fn a_patch_of_an_upstream_is_laid_over_its_long_form() {
    let plain = patched(r#"{"upstream": {"breaker": {}}}"#);
    assert_eq!((plain.upstream.to_string(), plain.upstream.breaker.is_some()), ("x:1".to_owned(), true));
    let patched = |current: &RouteConfig, patch: &str| patched_route(patch.as_bytes(), current, &running());
    let more =
        patched(&plain, r#"{"upstream": {"health": {"rise": 5}, "breaker": {"failures": 2}}}"#).unwrap();
    assert_eq!(more.upstream.health.as_ref().map(|health| (health.rise, health.fall)), Some((5, 3)));
    assert_eq!(patched(&more, r#"{"upstream": {"health": null, "breaker": null}}"#).unwrap(), web());
    assert_eq!(patched(&more, r#"{"upstream": ["x:1"]}"#).unwrap(), web());
    let two = patched(&web(), r#"{"upstream": ["x:1", "y:1"]}"#).unwrap();
    let two = patched(&two, r#"{"upstream": {"balance": "random"}}"#).unwrap();
    assert_eq!(two.upstream.to_string(), "x:1, y:1");
    assert_eq!(
        refused_patch(r#"{"upstream": {"endpoints": null}}"#),
        ["refused", "/upstream `endpoints` is missing in `upstream`"]
    );
    assert_eq!(
        refused_patch(r#"{"upstream": {"breaker": {"failures": 3, "share": 0.5}}}"#),
        ["refused", "/upstream/breaker/share a breaker has `failures` or a `share`, not both"]
    );
}

#[test]
fn a_fault_is_aimed_at_an_endpoint_of_its_route() {
    let aimed = |at: &str| fault(format!(r#"{{"noop": {{"endpoint": "{at}"}}}}"#).as_bytes(), &web(), None);
    assert!(aimed("x:1").is_ok());
    assert_eq!(told(aimed("x:2")), ["refused", "/noop/endpoint `x:2` is no endpoint of this route"]);
    let mut route = web();
    route.faults.push(aimed("x:1").unwrap());
    let moved = patched_route(br#"{"upstream": "y:1"}"#, &route, &running());
    assert_eq!(told(moved), ["refused", "/faults/4/noop/endpoint `x:1` is no endpoint of this route"]);
}

/// Something that may stand where a value belongs, good or bad.
fn any_value() -> impl Strategy<Value = String> {
    let scalar = prop_oneof![
        Just("null"),
        Just("true"),
        Just("0"),
        Just("15002"),
        Just("15009"),
        Just("-1"),
        Just("1e400"),
        Just("0.5"),
        Just("\"1s\""),
        Just("\"x:1\""),
        Just("[\"x:1\", \"y:1\"]"),
        Just("\"9/s\""),
        Just("\"web\""),
        Just("\"noop\""),
        Just("\"auto\""),
        Just("\"none\""),
        Just("99999999999999999999999999999999999999999"),
    ]
    .prop_map(str::to_owned);
    scalar.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(|items| format!("[{}]", items.join(","))),
            any_object(inner),
        ]
    })
}

fn any_object(value: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    let keys = [
        "name",
        "localPort",
        "upstream",
        "bind",
        "enabled",
        "faults",
        "timeouts",
        "limits",
        "dropRate",
        "timeoutMs",
        "latencyMs",
        "jitterMs",
        "latency",
        "reset",
        "noop",
        "drop",
        "delay",
        "state",
        "idle",
        "held",
        "after",
        "probability",
        "for",
        "every",
        "x-y",
        "endpoints",
        "health",
        "breaker",
        "pool",
        "share",
        "rate",
        "burst",
        "keepalive",
        "endpoint",
        "routes",
        "admin",
        "seed",
    ];
    prop::collection::vec((prop::sample::select(keys.to_vec()), value), 0..5).prop_map(|entries| {
        let entries: Vec<String> = entries.iter().map(|(key, value)| format!("\"{key}\": {value}")).collect();
        format!("{{{}}}", entries.join(", "))
    })
}

proptest! {
    #[test]
    fn no_body_is_too_odd_and_what_passes_fits(text in any_object(any_value())) {
        let (running, web, text) = (running(), web(), text.as_bytes());
        let fits = |route: RouteConfig, replacing: bool| {
            let mut config = running.clone();
            if replacing { config.routes[0] = route } else { config.routes.push(route) }
            config.check().unwrap_or_else(|refused| panic!("{refused}"));
        };
        let _ = config(text).map(|config| config.check().unwrap());
        let _ = route(text, &running, None).map(|route| fits(route, false));
        let _ = route(text, &running, Some("web")).map(|route| fits(route, true));
        let _ = patched_route(text, &web, &running).map(|route| fits(route, true));
        let with = |at: usize, fault: Fault| {
            let mut route = web.clone();
            if at < route.faults.len() { route.faults[at] = fault } else { route.faults.push(fault) }
            fits(route, true);
        };
        let _ = fault(text, &web, None).map(|fault| with(9, fault));
        let _ = fault(text, &web, Some("latency")).map(|fault| with(2, fault));
        let _ = patched_fault(text, &web.faults[2], &web).map(|fault| with(2, fault));
    }
}
