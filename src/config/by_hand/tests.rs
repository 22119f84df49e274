use crate::config::Config;
use crate::fault::{Effect, Fault, Noop};
use crate::observe::Filter;
use crate::route::LocalPort;
use crate::upstream::Endpoint;

/// Two routes, `a` on 15001 and `b` on 15002.
fn config() -> Config {
    Config::from_text(
        r#"{"admin": "127.0.0.1:8474", "routes": [{"name": "a", "localPort": 15001, "upstream": "x:1"},
            {"name": "b", "localPort": 15002, "upstream": "x:1"}]}"#,
    )
    .unwrap()
}

fn said(change: impl FnOnce(&mut Config)) -> String {
    let mut config = config();
    change(&mut config);
    match config.check() {
        Ok(()) => "fine".to_owned(),
        Err(refused) => {
            assert!(refused.problems().iter().all(|problem| problem.line.is_none()));
            refused.problems().iter().map(|problem| problem.title.clone()).collect::<Vec<_>>().join("; ")
        }
    }
}

fn noop(name: &str) -> Fault {
    Fault { name: name.into(), ..Fault::new(Effect::Noop(Noop {})) }
}

#[test]
fn what_a_file_could_not_say_a_program_cannot_either() {
    assert_eq!(said(|_| {}), "fine");
    assert_eq!(said(|config| config.routes.clear()), "fine");
    assert_eq!(said(|config| config.routes[1].name = "a".into()), "two routes are called `a`");
    assert_eq!(
        said(|config| config.routes[1].local_port = LocalPort::Fixed(15001)),
        "localPort 15001 is taken by the route `a`"
    );
    assert_eq!(
        said(|config| config.routes[0].local_port = LocalPort::Fixed(8474)),
        "localPort 8474 is the port of the control API"
    );
    assert_eq!(
        said(|config| config.routes[0].local_port = LocalPort::Fixed(0)),
        "localPort 0 of the route `a` is not within 1..65535"
    );
    assert_eq!(
        said(|config| config.routes[0].upstream = "127.0.0.1:15001".parse().unwrap()),
        "the upstream of `a` is the route itself"
    );
    assert_eq!(
        said(|config| config.routes[0].name = "a\u{202e}".into()),
        "the name `a\\u{202e}` of a route holds a control or invisible character"
    );
    assert_eq!(
        said(|config| config.routes[0].timeouts.connect = std::time::Duration::ZERO),
        "timeouts.connect must be more than zero"
    );
    assert_eq!(said(|config| config.log.level = Filter("loud".to_owned())), "log.level has an unknown level");
}

#[test]
fn faults_made_by_hand_are_looked_at() {
    assert_eq!(
        said(|config| config.routes[0].faults = vec![noop("x"), noop("x")]),
        "two faults of this route are called `x`"
    );
    assert_eq!(
        said(|config| config.routes[0].faults = (0..65).map(|n| noop(&n.to_string())).collect()),
        "a route has at most 64 faults"
    );
    assert_eq!(
        said(|config| config.routes[0].faults = (0..64).map(|n| noop(&n.to_string())).collect()),
        "fine"
    );
    assert_eq!(said(|config| config.routes[0].faults = vec![noop("")]), "the name `` of a fault is empty");
    let mut never = noop("never");
    never.trigger.every = 0;
    assert_eq!(
        said(|config| config.routes[0].faults = vec![never]),
        "the fault `never` of the route `a` would take nobody"
    );
}

#[test]
fn upstreams_and_limits_made_by_hand_are_looked_at() {
    let endpoint = |text: &str| text.parse::<Endpoint>().unwrap();
    assert_eq!(
        said(|config| config.routes[0].upstream.endpoints.clear()),
        "an upstream needs at least one endpoint"
    );
    assert_eq!(
        said(|config| config.routes[0].upstream = vec![endpoint("x:1"), endpoint("x:1")].into()),
        "two endpoints of this upstream are the same"
    );
    assert_eq!(
        said(|config| config.routes[0].upstream.endpoints[0].weight = 0),
        "upstream[0].weight of the route `a`: weight 0 is not within 1..1000"
    );
    assert_eq!(
        said(|config| config.routes[0].limits.burst = Some(5)),
        "`burst` has no meaning without `rate`"
    );
    assert_eq!(
        said(|config| config.routes[0].limits.connections = Some(0)),
        "limits.connections of the route `a`: connections 0 is not within 1..1000000"
    );
    let mut aimed = noop("aimed");
    aimed.trigger.endpoint = Some(endpoint("y:1"));
    assert_eq!(said(|config| config.routes[0].faults = vec![aimed]), "`y:1` is no endpoint of this route");
}
