//! What is known of an endpoint outlives every change that is not about it, and what health says is obeyed.

#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "over real sockets time is real")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so loudly")]

mod support;

use std::io::{Read, Write};

use serde_json::Value;
use support::*;

fn endpoint(daemon: &Daemon, i: usize) -> Value {
    daemon.api().get("/v1/routes/it").expect(200)["state"]["endpoints"][i].clone()
}

fn change(daemon: &Daemon, upstream: &str) {
    daemon.api().patch("/v1/routes/it", &format!("{{\"upstream\": {upstream}}}")).expect(200);
}

/// With all down, `try` tries them all the same and `refuse` touches none of them: the client is closed at once.
#[test]
fn when_all_are_down_the_configuration_decides() {
    within(secs(30), || {
        let server = Upstream::serve(|mut stream, number| {
            // The first is the health check: it is heard, and gets no answer.
            let _ = if number == 1 { stream.read(&mut [0; 1024]) } else { stream.write(b"x") };
        });
        let health = "health: {interval: 1h, timeout: 1s, http: /}";
        let upstream = format!("{{endpoints: [\"{}\"], {health}}}", server.address);
        let daemon = Setup::route("it", upstream, "").admin().start();
        let down = daemon.wait_for("it is down", secs(5), |event| event.is("upstream.down", "it"));
        assert_eq!(down.text("error"), "closed without an answer");
        assert_eq!(read_byte(&connect(daemon.address("it"))), Ok(b'x'), "it is tried all the same");
        change(&daemon, "{\"whenAllDown\": \"refuse\"}");
        assert_eq!(endpoint(&daemon, 0)["health"], "down", "another key forgets nothing");
        let before = server.accepted();
        best_of_three("the refusal", ms(5), || {
            let (client, begun) = connect_timed(daemon.address("it"));
            assert_eq!(read_byte(&client), Err(End::Fin));
            begun.elapsed()
        });
        let closed = daemon.wait_closed("it", 2, secs(5));
        assert_eq!((closed.text("ending"), closed.text("error")), ("connect", "no endpoint is up"));
        assert_eq!(server.accepted(), before);
    });
}

/// An open breaker stays open when something else changes, and connections go on being counted; another breaker in its place
/// begins closed, and says so.
#[test]
fn a_change_keeps_what_it_is_not_about() {
    within(secs(30), || {
        let echo = Upstream::echo();
        let dead = unused_address();
        let upstream =
            format!("{{endpoints: [\"{dead}\", \"{}\"], breaker: {{failures: 1, open: 1h}}}}", echo.address);
        let daemon = Setup::route("it", upstream, "").admin().start();
        let client = connect(daemon.address("it"));
        daemon.wait_for("it opens", secs(5), |event| event.is("breaker.opened", "it"));
        daemon.wait_for("the other is reached", secs(5), |event| event.is("upstream.connected", "it"));
        change(&daemon, "{\"balance\": \"leastConnections\"}");
        daemon.api().patch("/v1/routes/it", "{\"proxyProtocol\": {\"send\": \"v1\"}}").expect(200);
        daemon.api().patch("/v1/routes/it", "{\"proxyProtocol\": null}").expect(200);
        assert_eq!(endpoint(&daemon, 0)["breaker"], "open");
        assert_eq!(endpoint(&daemon, 1)["connections"], 1);
        change(&daemon, "{\"breaker\": {\"failures\": 3}}");
        assert_eq!(endpoint(&daemon, 0)["breaker"], "closed");
        let closed = daemon.wait_for("that is told", secs(5), |event| event.is("breaker.closed", "it"));
        assert_eq!(closed.text("upstream"), dead.to_string());
        drop(client);
        daemon.wait_closed("it", 1, secs(5));
        assert_eq!(endpoint(&daemon, 1)["connections"], 0);
    });
}

/// A route that is closed asks nobody, and asks anew when it is opened; one that is removed leaves nobody behind who asks.
#[test]
fn who_does_not_listen_asks_nobody() {
    within(secs(60), || {
        let asked = Upstream::echo();
        let upstream =
            format!("{{endpoints: [\"{}\"], health: {{interval: 20ms}}, pool: {{}}}}", asked.address);
        let daemon = Setup::route("it", upstream, "").admin().start();
        let goes_on = || {
            let before = asked.accepted();
            eventually(secs(10), "it is asked", || asked.accepted() > before + 3);
        };
        // Five times the interval without a question.
        let silent = || {
            eventually(secs(10), "nobody asks any more", || {
                let before = asked.accepted();
                std::thread::sleep(ms(100));
                asked.accepted() == before
            });
        };
        goes_on();
        daemon.api().post("/v1/routes/it/close", "{\"connections\": \"keep\"}").expect(200);
        silent();
        daemon.api().post("/v1/routes/it/open", "").expect(200);
        goes_on();
        daemon.api().delete("/v1/routes/it").expect(204);
        silent();
    });
}

/// A client that is still waiting when its route is given another upstream goes to that one; one that is there already stays.
#[test]
fn who_still_waits_goes_where_the_route_leads_now() {
    within(secs(30), || {
        let (old, new) = (Upstream::banner("o"), Upstream::banner("n"));
        let daemon =
            Setup::route("it", old.address, "faults: [{delay: {delay: 1s, skip: 1}}]").admin().start();
        let there = connect(daemon.address("it"));
        assert_eq!(read_byte(&there), Ok(b'o'));
        let waiting = connect(daemon.address("it"));
        daemon.wait_for("it waits", secs(5), |event| event.is("fault.fired", "it"));
        daemon.api().patch("/v1/routes/it", &format!("{{\"upstream\": \"{}\"}}", new.address)).expect(200);
        assert_eq!(read_byte(&waiting), Ok(b'n'));
        shut(&there);
        assert_eq!(daemon.wait_closed("it", 1, secs(5)).text("ending"), "peer-fin");
        assert_eq!(old.accepted(), 1);
    });
}
