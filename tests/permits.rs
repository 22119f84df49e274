//! What the control API may have dialled: by default no link-local address, under a list nothing that is not on it, and
//! everything that the author of the file wrote.

#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "over real sockets time is real")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so loudly")]

mod support;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use serde_json::json;
use support::*;

fn new_route(name: &str, upstream: &str) -> String {
    json!({"name": name, "localPort": "auto", "upstream": upstream}).to_string()
}

/// What is refused is refused whole, with the place in the body, and by whatever call it is tried.
#[test]
fn metadata_addresses_are_refused_whatever_the_call() {
    within(secs(30), || {
        let daemon = Setup::route("it", "builtin:echo", "").admin().start();
        let api = daemon.api();
        let before = api.get("/v1/config").json();
        for upstream in ["169.254.169.254:80", "[fe80::1]:80", "[fd00:ec2::254]:80", "[::ffff:169.254.1.1]:1"]
        {
            let problem = api.post("/v1/routes", &new_route("new", upstream)).expect(422);
            assert_eq!(problem["pointer"], "/upstream", "{problem}");
            let detail = problem["detail"].as_str().unwrap();
            assert!(detail.contains("`new`") && detail.contains("allowedUpstreams"), "{detail}");
            let patch = json!({ "upstream": upstream }).to_string();
            assert_eq!(api.patch("/v1/routes/it", &patch).expect(422)["pointer"], "/upstream");
            let among = json!({"upstream": ["127.0.0.1:1", upstream]}).to_string();
            assert_eq!(api.patch("/v1/routes/it", &among).status, 422);
            assert_eq!(api.put("/v1/routes/it", &new_route("it", upstream)).status, 422);
            let mut whole = before.clone();
            whole["routes"][0]["upstream"] = json!(upstream);
            assert_eq!(
                api.put("/v1/config", &whole.to_string()).expect(422)["pointer"],
                "/routes/0/upstream"
            );
            assert_eq!(api.post("/v1/config/check", &whole.to_string()).status, 422);
        }
        assert_eq!(api.get("/v1/config").json(), before);
        // Names are not resolved before they are dialled.
        api.post("/v1/routes", &new_route("named", "no.such.name.invalid:80")).expect(201);
    });
}

/// With a list, the API may point to what is on it; the file to whatever it likes, also again after it was taken away.
#[test]
fn with_a_list_the_api_stays_on_it_and_the_file_need_not() {
    within(secs(30), || {
        let upstream = Upstream::echo();
        let listed = upstream.address;
        let daemon = Setup::route("own", unused_address(), "")
            .top(&format!("allowedUpstreams: [\"{listed}\", \"*.internal\"]"))
            .admin()
            .start();
        let api = daemon.api();
        let own = api.get("/v1/routes/own").json();
        api.post("/v1/routes", &new_route("listed", &listed.to_string())).expect(201);
        api.post("/v1/routes", &new_route("named", "db.internal:5432")).expect(201);
        api.post("/v1/routes", &new_route("inside", "builtin:echo")).expect(201);
        let problem = api.post("/v1/routes", &new_route("other", "127.0.0.2:1")).expect(422);
        assert!(problem["detail"].as_str().unwrap().contains("is not among `allowedUpstreams`"), "{problem}");
        assert_eq!(api.post("/v1/routes", &new_route("other", "internal:1")).status, 422);

        // What the file says is nobody's question, and comes back.
        api.delete("/v1/routes/own").expect(204);
        api.post("/v1/routes", &own.to_string()).expect(201);
        api.post("/v1/restore", "").expect(200);

        // The list itself is the file's.
        let mut whole = api.get("/v1/config").json();
        assert_eq!(whole["allowedUpstreams"], json!([listed.to_string(), "*.internal"]));
        api.put("/v1/config", &whole.to_string()).expect(200);
        whole["allowedUpstreams"] = json!(["0.0.0.0/0"]);
        let problem = api.put("/v1/config", &whole.to_string()).expect(422);
        assert_eq!(problem["pointer"], "/allowedUpstreams");
        whole.as_object_mut().unwrap().remove("allowedUpstreams");
        api.put("/v1/config", &whole.to_string()).expect(200);
        assert_eq!(
            api.post("/v1/routes", &new_route("other", "127.0.0.2:1")).status,
            422,
            "it is still there"
        );

        // A reload brings another list.
        let setup = Setup::route("own", "builtin:echo", "").top("allowedUpstreams: [127.0.0.2]").admin();
        std::fs::write(daemon.config(), setup.text()).unwrap();
        api.post("/v1/reload", "").expect(200);
        api.post("/v1/routes", &new_route("other", "127.0.0.2:1")).expect(201);
        assert_eq!(api.post("/v1/routes", &new_route("listed", &listed.to_string())).status, 422);
    });
}

/// A name that leads to a link-local address is held when it is dialled, on a route of the API's; on one of the file's it is
/// not. In a network of the test's own, where somebody does listen there.
#[test]
#[cfg(target_os = "linux")]
fn a_name_that_leads_there_is_not_dialled_for_the_api() {
    const METADATA: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);
    within(secs(60), || {
        let Some(network) = Namespace::new() else { return };
        assert!(network.run("ip address add 169.254.169.254/32 dev lo"), "an address");
        let listener = network.inside(|| TcpListener::bind((METADATA, 0)).unwrap());
        let port = listener.local_addr().unwrap().port();
        let secrets = Upstream::serve_on(listener, |mut stream, _| stream.write_all(b"secret").unwrap());

        // Names as this daemon alone knows them.
        let hosts = tempfile::NamedTempFile::new().unwrap();
        let lines = "127.0.0.1 localhost\n169.254.169.254 innocent.test own.test\n";
        std::fs::write(hosts.path(), lines).unwrap();
        let mount = format!("mount --bind {} /etc/hosts && exec \"$0\" \"$@\"", hosts.path().display());
        let mut wrapper = network.wrapper();
        wrapper.extend(["unshare", "-m", "sh", "-c", &mount].map(str::to_owned));
        let words: Vec<&str> = wrapper.iter().map(String::as_str).collect();
        let upstream = format!("own.test:{port}");
        let daemon = Setup::route("own", &upstream, "").admin().wrapper(&words).start();

        let listen = daemon.api().0;
        let ask = |request: String| {
            network.inside(move || {
                let mut stream = std::net::TcpStream::connect(listen).unwrap();
                stream.write_all(request.as_bytes()).unwrap();
                read_answer(&mut std::io::BufReader::new(stream))
            })
        };
        let body = new_route("lured", &format!("innocent.test:{port}"));
        let created = ask(format!(
            "POST /v1/routes HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ));
        assert_eq!(created.status, 201, "{}", created.text());

        let said = |at: SocketAddr| {
            network.inside(move || {
                let mut text = String::new();
                let mut stream = std::net::TcpStream::connect(at).unwrap();
                stream.set_read_timeout(Some(secs(10))).unwrap();
                let _ = stream.read_to_string(&mut text);
                text
            })
        };
        assert_eq!(said(daemon.address("own")), "secret");
        assert_eq!(said(daemon.address("lured")), "");
        assert_eq!(secrets.accepted(), 1);
        let failed = daemon.wait_for("it is told", secs(5), |event| event.is("upstream.failed", "lured"));
        assert!(failed.text("error").contains("allowedUpstreams"), "{}", failed.fields);
        // The harness's farewell to its upstream goes to an address of the other network.
        std::mem::forget(secrets);
    });
}
