//! The crate `toxiproxy_rust` drives chaos-proxy as it drives Toxiproxy, and what it asks for is felt in real connections.
//!
//! A daemon runs already: `chaos-proxy -host=127.0.0.1 -port=8474`, or wherever `TOXIPROXY` says.

mod api;
mod tcp;

use std::io::{ErrorKind, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::json;
use tcp::{Ending, Upstream, connect, ending, is_silent, receive, takes};
use toxiproxy_rust::client::Client;
use toxiproxy_rust::proxy::{Proxy, ProxyPack};

/// `/reset` speaks of all proxies there are, so the tests come one after another.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// A proxy before an upstream that the test holds in its hands.
struct Scene {
    client: Client,
    proxy: Proxy,
    upstream: Upstream,
    _turn: MutexGuard<'static, ()>,
}

impl Scene {
    fn new() -> Scene {
        let turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let (client, upstream) = (Client::new(api::daemon()), Upstream::start());
        // Before anything is listed: the crate cannot read a toxic whose attributes are no whole numbers.
        client.reset().unwrap();
        client.all().unwrap().values().for_each(|left| left.delete().unwrap());
        let proxy = client.populate(vec![pack("rust", &upstream)]).unwrap().remove(0);
        Scene { client, proxy, upstream, _turn: turn }
    }

    /// Both ends of a connection through the proxy.
    fn ends(&self) -> (TcpStream, TcpStream) {
        (connect(place(&self.proxy)).unwrap(), self.upstream.accept())
    }

    /// The proxy as it is now.
    fn now(&self) -> ProxyPack {
        self.client.find_proxy("rust").unwrap().proxy_pack
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.client.all().unwrap().into_keys().collect();
        names.sort();
        names
    }
}

fn pack(name: &str, upstream: &Upstream) -> ProxyPack {
    // In a container a proxy listens on every address, and is reached by the container's.
    let listen = std::env::var("TOXIPROXY_LISTEN").unwrap_or_else(|_| "127.0.0.1:0".into());
    ProxyPack::new(name.into(), listen, upstream.address.to_string())
}

fn place(proxy: &Proxy) -> SocketAddr {
    let (_, port) = proxy.proxy_pack.listen.rsplit_once(':').unwrap();
    SocketAddr::new(api::daemon().ip(), port.parse().unwrap())
}

fn down() -> String {
    "downstream".into()
}

fn up() -> String {
    "upstream".into()
}

/// How long a byte takes from the one to the other.
fn passes(mut from: &TcpStream, to: &TcpStream) -> Duration {
    takes(|| {
        from.write_all(b"x").unwrap();
        assert_eq!(receive(to, 1), b"x");
    })
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[test]
fn proxies_are_made_listed_and_taken_away() {
    let scene = Scene::new();
    assert!(scene.client.is_running());
    assert!(scene.client.version().unwrap().starts_with(r#"{"version": "2."#));
    let found = scene.now();
    assert_eq!((&found.listen, found.enabled), (&scene.proxy.proxy_pack.listen, true));
    assert_eq!(scene.names(), ["rust"]);
    let (client, server) = scene.ends();
    passes(&client, &server);
    passes(&server, &client);
    scene.proxy.delete().unwrap();
    assert_eq!((ending(&client), ending(&server)), (Ending::Fin, Ending::Fin));
    assert_eq!(connect(place(&scene.proxy)).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    assert!(scene.client.find_proxy("rust").is_err());
}

#[test]
fn a_proxy_that_is_down_refuses_and_comes_back_where_it_was() {
    let scene = Scene::new();
    let (client, server) = scene.ends();
    let while_down = || {
        assert!(!scene.now().enabled);
        assert_eq!((ending(&client), ending(&server)), (Ending::Fin, Ending::Fin));
        assert_eq!(connect(place(&scene.proxy)).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    };
    scene.proxy.with_down(while_down).unwrap();
    let (client, server) = scene.ends();
    passes(&client, &server);
}

#[test]
fn populating_twice_leaves_connections_and_toxics_alone() {
    let scene = Scene::new();
    scene.proxy.with_latency(down(), 1, 0, 1.0);
    let (client, server) = scene.ends();
    let listen = scene.proxy.proxy_pack.listen.clone();
    let list = || {
        vec![
            ProxyPack { listen: listen.clone(), ..pack("rust", &scene.upstream) },
            pack("other", &scene.upstream),
        ]
    };
    let all = scene.client.populate(list()).unwrap();
    assert_eq!(all.iter().map(|proxy| &*proxy.proxy_pack.name).collect::<Vec<_>>(), ["rust", "other"]);
    assert_eq!(all[0].proxy_pack.toxics.len(), 1);
    passes(&server, &client);
    assert_eq!(scene.names(), ["other", "rust"]);

    let elsewhere = Upstream::start();
    let moved = ProxyPack { listen: listen.clone(), ..pack("rust", &elsewhere) };
    let moved = scene.client.populate(vec![moved]).unwrap().remove(0);
    assert_eq!(ending(&client), Ending::Fin);
    assert_eq!((&moved.proxy_pack.listen, moved.proxy_pack.toxics.len()), (&listen, 0));
    passes(&connect(place(&moved)).unwrap(), &elsewhere.accept());
    assert!(scene.client.populate(Vec::new()).unwrap().is_empty());
}

#[test]
fn reset_enables_all_and_removes_all_toxics() {
    let scene = Scene::new();
    scene.proxy.with_bandwidth(down(), 0, 1.0);
    let (client, mut server) = scene.ends();
    server.write_all(b"held").unwrap();
    assert!(is_silent(&client, millis(100)));
    let other = scene.client.populate(vec![pack("other", &scene.upstream)]).unwrap().remove(0);
    other.disable().unwrap();
    scene.client.reset().unwrap();
    assert_eq!(receive(&client, 4), b"held");
    assert!(scene.now().toxics.is_empty());
    passes(&connect(place(&other)).unwrap(), &scene.upstream.accept());

    scene.proxy.with_timeout(down(), 0, 1.0).disable().unwrap();
    let again = scene.client.find_and_reset_proxy("rust").unwrap();
    assert!(scene.now().enabled && again.toxics().unwrap().is_empty());
}

#[test]
fn latency_is_felt_and_changed_while_it_is() {
    let scene = Scene::new();
    let body = || {
        let (client, server) = scene.ends();
        assert!(passes(&server, &client) >= millis(199));
        // The crate has no word for a change.
        let change = json!({"attributes": {"latency": 50}, "toxicity": 1.0});
        let changed = api::post("/proxies/rust/toxics/latency_downstream", &change);
        assert_eq!(
            (changed.status, &changed.body["attributes"]),
            (200, &json!({"latency": 50, "jitter": 0}))
        );
        assert!(passes(&server, &client) >= millis(49));
        scene.proxy.with_latency(up(), 100, 0, 1.0);
        assert!(passes(&client, &server) >= millis(99));
    };
    scene.proxy.with_latency(down(), 200, 0, 1.0).apply(body).unwrap();
    assert!(scene.proxy.toxics().unwrap().is_empty());
}

#[test]
fn bandwidth_is_kept_to() {
    let scene = Scene::new();
    scene.proxy.with_bandwidth(down(), 100, 1.0);
    let (client, mut server) = scene.ends();
    let took = takes(|| {
        server.write_all(&[0; 50_000]).unwrap();
        assert_eq!(receive(&client, 50_000).len(), 50_000);
    });
    assert!(took >= millis(450), "50 kB at 100 kB/s: {took:?}");
}

#[test]
fn slow_close_holds_the_end_and_nothing_else() {
    let scene = Scene::new();
    scene.proxy.with_slow_close(down(), 300, 1.0);
    let (client, mut server) = scene.ends();
    let took = takes(|| {
        server.write_all(b"last words").unwrap();
        server.shutdown(Shutdown::Write).unwrap();
        assert_eq!(receive(&client, 10), b"last words");
        passes(&client, &server);
        assert_eq!(ending(&client), Ending::Fin);
    });
    assert!(took >= millis(299), "{took:?}");
}

#[test]
fn timeout_lets_nothing_through_and_then_closes() {
    let scene = Scene::new();
    scene.proxy.with_timeout(down(), 300, 1.0);
    let took = takes(|| {
        let (client, mut server) = scene.ends();
        server.write_all(b"lost").unwrap();
        assert_eq!(receive(&client, 4), b"");
    });
    assert!(took >= millis(299), "{took:?}");

    scene.proxy.delete_all_toxics().unwrap();
    scene.proxy.with_timeout(down(), 0, 1.0);
    let (client, mut server) = scene.ends();
    server.write_all(b"lost").unwrap();
    assert!(is_silent(&client, millis(200)));
    scene.proxy.delete_all_toxics().unwrap();
    assert_eq!(receive(&client, 4), b"", "a connection that has lost bytes is ended");
}

#[test]
fn slices_arrive_one_by_one() {
    let scene = Scene::new();
    scene.proxy.with_slicer(down(), 10, 2, 20_000, 1.0);
    let (client, mut server) = scene.ends();
    let text = b"abcdefghij".repeat(10);
    let took = takes(|| {
        server.write_all(&text).unwrap();
        assert_eq!(receive(&client, 100), text);
    });
    assert!(took >= millis(139), "at least eight slices came within {took:?}");
}

#[test]
fn limit_data_lets_so_much_through_and_closes() {
    let scene = Scene::new();
    scene.proxy.with_limit_data(down(), 7, 1.0);
    let (client, mut server) = scene.ends();
    server.write_all(b"and no more than that").unwrap();
    assert_eq!(receive(&client, 100), b"and no ");
}

#[test]
fn toxics_that_the_crate_has_no_words_for() {
    let scene = Scene::new();
    let add = |body| api::post("/proxies/rust/toxics", &body);
    let reset = add(json!({"type": "reset_peer", "name": "reset", "attributes": {"timeout": 300}}));
    assert_eq!((reset.status, &reset.body["stream"]), (200, &json!("downstream")));
    let took = takes(|| {
        let (client, server) = scene.ends();
        passes(&client, &server);
        assert_eq!((ending(&client), ending(&server)), (Ending::Reset, Ending::Reset));
    });
    assert!(took >= millis(299), "{took:?}");
    let toxics = scene.proxy.toxics().unwrap();
    assert_eq!((&*toxics[0].name, toxics[0].attributes["timeout"]), ("reset", 300));
    assert_eq!(api::delete("/proxies/rust/toxics/reset").status, 204);

    assert_eq!(add(json!({"type": "noop"})).body["name"], "noop_downstream");
    let loss = add(json!({"type": "packet_loss"}));
    assert_eq!(loss.body["attributes"], json!({"loss_rate": 0.1, "correlation": 0}));
    let (client, server) = scene.ends();
    let sent_again = (0..300).any(|_| passes(&server, &client) >= millis(199));
    assert!(sent_again, "what is lost is sent again, later");
}

#[test]
fn a_toxicity_of_nothing_befalls_nobody() {
    let scene = Scene::new();
    scene.proxy.with_limit_data(down(), 0, 0.0).with_timeout(up(), 0, 0.0);
    let (client, server) = scene.ends();
    passes(&server, &client);
    passes(&client, &server);
}

/// The crate itself looks at no status.
#[test]
fn what_is_wrong_is_refused() {
    let scene = Scene::new();
    let proxy = |name: &str| json!({"name": name, "upstream": "127.0.0.1:9"});
    let latency = |body| json!({"type": "latency", "attributes": body});
    api::post("/proxies/rust/toxics", &latency(json!({"latency": 5})));
    for (path, body, status, error) in [
        ("/proxies", proxy("rust"), 409, "proxy already exists"),
        ("/proxies/rust/toxics", latency(json!({})), 409, "toxic already exists"),
        ("/proxies/nobody", json!({"enabled": false}), 404, "proxy not found"),
        ("/proxies/rust/toxics/nothing", json!({}), 404, "toxic not found"),
        ("/proxies", json!({"upstream": "127.0.0.1:9"}), 400, "missing required field: name"),
        ("/populate", json!([proxy("a"), {"name": "b"}]), 400, "missing required field: upstream at proxy 2"),
        ("/proxies/rust/toxics", json!({"type": "laency"}), 400, "invalid toxic type"),
        (
            "/proxies/rust/toxics/latency_downstream",
            latency(json!({"latency": 9, "jitter": -1})),
            400,
            "bad request body: ",
        ),
    ] {
        let refused = api::post(path, &body);
        assert_eq!(
            (refused.status, refused.body["status"].as_u64()),
            (status, Some(status.into())),
            "{path} {body}"
        );
        assert!(refused.body["error"].as_str().unwrap().starts_with(error), "{}", refused.body);
    }
    let attributes = scene.proxy.toxics().unwrap().remove(0).attributes;
    assert_eq!((attributes["latency"], attributes["jitter"]), (5, 0));
    assert_eq!(scene.names(), ["rust"]);
}

#[test]
fn names_may_hold_blanks() {
    let scene = Scene::new();
    let spaced = scene.client.populate(vec![pack("a b ü", &scene.upstream)]).unwrap().remove(0);
    spaced.with_latency(down(), 1, 0, 1.0);
    assert_eq!(scene.client.find_proxy("a b ü").unwrap().proxy_pack.toxics.len(), 1);
    spaced.delete().unwrap();
    assert_eq!(scene.names(), ["rust"]);
}
