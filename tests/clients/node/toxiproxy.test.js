// The package toxiproxy-node-client drives chaos-proxy as it drives Toxiproxy, and what it asks for is felt in real
// connections. A daemon runs already: `chaos-proxy -host=127.0.0.1 -port=8474`, or wherever TOXIPROXY says.

import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";

import ToxiproxyClient from "toxiproxy-node-client";

import { Upstream, connect, timed } from "./tcp.js";

const { Toxiproxy } = ToxiproxyClient;
const [, HOST, PORT] = /^(.*):(\d+)$/.exec(process.env.TOXIPROXY ?? "127.0.0.1:8474");
// In a container a proxy listens on every address, and is reached by the container's.
const LISTEN = process.env.TOXIPROXY_LISTEN ?? "127.0.0.1:0";

const toxiproxy = new Toxiproxy(`http://${HOST}:${PORT}`);
const place = (proxy) => ({ host: HOST, port: Number(/:(\d+)$/.exec(proxy.listen)[1]) });
const status = (code) => ({ name: "Error", message: `Request failed with status code ${code}` });
const toxic = (type, attributes, more = {}) =>
  ({ name: type, type, stream: "downstream", toxicity: 1, attributes, ...more });

let upstream, proxy;

/** Both ends of a connection through the proxy. */
async function ends() {
  const client = await connect(place(proxy));
  return [client, await upstream.accept()];
}

/** How many milliseconds a byte takes from the one to the other. */
const takes = (from, to) => timed(async () => assert.equal(await from.send("x") && await to.receive(1), "x"));

before(async () => assert.match(await toxiproxy.getVersion(), /^\{"version": "2\.\d+\.\d+"\}\n$/));

beforeEach(async () => {
  upstream = await Upstream.start();
  proxy = await toxiproxy.createProxy({ name: "node", listen: LISTEN, upstream: upstream.address });
});

afterEach(async () => {
  upstream.stop();
  await Promise.all(Object.values(await toxiproxy.getAll()).map((proxy) => proxy.remove()));
});

describe("proxies", () => {
  it("are made, listed and taken away", async () => {
    assert.ok(place(proxy).port > 0, "the port that the system chose is told");
    assert.equal(proxy.enabled, true);
    assert.deepEqual(Object.keys(await toxiproxy.getAll()), ["node"]);
    assert.deepEqual((await toxiproxy.get("node")).toJson(), proxy.toJson());

    const [client, server] = await ends();
    client.send("question");
    assert.equal(await server.receive(8), "question");
    server.send("answer");
    assert.equal(await client.receive(6), "answer");

    await proxy.remove();
    assert.equal(await client.ending(), "FIN");
    await assert.rejects(connect(place(proxy)), { code: "ECONNREFUSED" });
    assert.deepEqual(await toxiproxy.getAll(), {});
  });

  it("are disabled and enabled", async () => {
    const [client, server] = await ends();
    const down = await proxy.update({ ...proxy.toJson(), enabled: false });
    assert.equal(down.enabled, false);
    assert.equal(await client.ending(), "FIN");
    assert.equal(await server.ending(), "FIN");
    await assert.rejects(connect(place(proxy)), { code: "ECONNREFUSED" });

    const up = await proxy.update({ enabled: true });
    assert.equal(up.listen, proxy.listen, "it comes back where it was");
    await takes(...(await ends()));
  });

  it("are led to another upstream", async () => {
    const [client] = await ends();
    const other = await Upstream.start();
    try {
      proxy = await proxy.update({ ...proxy.toJson(), upstream: other.address });
      assert.equal(await client.ending(), "FIN");
      const again = await connect(place(proxy));
      await takes(again, await other.accept());
    } finally {
      other.stop();
    }
  });

  it("are populated, and a second time nothing of them is touched", async () => {
    const list = [
      { name: "node", listen: proxy.listen, upstream: upstream.address },
      { name: "other", listen: LISTEN, upstream: upstream.address, enabled: false },
    ];
    await proxy.addToxic(toxic("latency", { latency: 1, jitter: 0 }));
    const [client, server] = await ends();
    const all = await toxiproxy.populate(list);
    assert.deepEqual(Object.keys(all), ["node", "other"]);
    assert.equal(all.other.enabled, false);
    await toxiproxy.populate([list[0]]);
    await takes(client, server);
    assert.equal((await proxy.getToxic("latency")).attributes.latency, 1);
    assert.deepEqual(await toxiproxy.populate([]), {});
  });

  it("are reset: all listen, and none has toxics", async () => {
    await proxy.addToxic(toxic("bandwidth", { rate: 0 }));
    const [client, server] = await ends();
    server.send("held");
    assert.ok(await client.isSilent(100));
    const other = await toxiproxy.createProxy(
      { name: "other", listen: LISTEN, upstream: upstream.address, enabled: false });
    await toxiproxy.reset();
    assert.equal(await client.receive(4), "held");
    await assert.rejects(proxy.getToxic("bandwidth"), status(404));
    assert.equal((await toxiproxy.get(other.name)).enabled, true);
  });
});

describe("toxics", () => {
  it("latency, changed while a connection feels it", async () => {
    const latency = await proxy.addToxic(toxic("latency", { latency: 200, jitter: 0 }));
    const [client, server] = await ends();
    assert.ok((await takes(server, client)) >= 199);
    const quicker = await latency.update({ attributes: { latency: 50 } });
    assert.deepEqual(quicker.attributes, { latency: 50, jitter: 0 });
    const now = await takes(server, client);
    assert.ok(now >= 49, `${now}`);
    const upward = await proxy.addToxic(
      { ...toxic("latency", { latency: 100, jitter: 0 }), name: "upward", stream: "upstream" });
    assert.ok((await takes(client, server)) >= 99);
    await upward.remove();
    await latency.remove();
    await assert.rejects(latency.update({ attributes: { latency: 1 } }), status(404));
    await takes(server, client);
  });

  it("bandwidth", async () => {
    await proxy.addToxic(toxic("bandwidth", { rate: 100 }));
    const [client, server] = await ends();
    const took = await timed(async () => {
      server.send("x".repeat(50_000));
      assert.equal((await client.receive(50_000)).length, 50_000);
    });
    assert.ok(took >= 450, `50 kB at 100 kB/s took ${took} ms`);
  });

  it("slow_close: the end comes late, and what goes the other way does not", async () => {
    await proxy.addToxic(toxic("slow_close", { delay: 300 }));
    const [client, server] = await ends();
    const took = await timed(async () => {
      server.send("last words").socket.end();
      assert.equal(await client.receive(10), "last words");
      await takes(client, server);
      assert.equal(await client.ending(), "FIN");
    });
    assert.ok(took >= 299, `${took}`);
  });

  it("timeout: nothing comes through, and then the connection is closed", async () => {
    await proxy.addToxic(toxic("timeout", { timeout: 300 }));
    const took = await timed(async () => {
      const [client, server] = await ends();
      server.send("lost");
      assert.equal(await client.receive(4), "");
      assert.equal(await client.ending(), "FIN");
    });
    assert.ok(took >= 299, `${took}`);
  });

  it("timeout 0: nothing comes through until it is removed, which closes the connection", async () => {
    const timeout = await proxy.addToxic(toxic("timeout", { timeout: 0 }));
    const [client, server] = await ends();
    server.send("lost");
    assert.ok(await client.isSilent(200));
    await timeout.remove();
    assert.equal(await client.ending(), "FIN");
  });

  it("reset_peer", async () => {
    await proxy.addToxic(toxic("reset_peer", { timeout: 300 }));
    const took = await timed(async () => {
      const [client, server] = await ends();
      await takes(client, server);
      assert.equal(await client.ending(), "ECONNRESET");
      assert.equal(await server.ending(), "ECONNRESET");
    });
    assert.ok(took >= 299, `${took}`);
  });

  it("slicer", async () => {
    await proxy.addToxic(toxic("slicer", { average_size: 10, size_variation: 2, delay: 20_000 }));
    const [client, server] = await ends();
    const text = "abcdefghij".repeat(10);
    const took = await timed(async () => assert.equal(await server.send(text) && await client.receive(100), text));
    assert.ok(took >= 139, `at least eight slices came within ${took} ms`);
    assert.ok(client.reads > 1, "they are separate");
  });

  it("limit_data", async () => {
    await proxy.addToxic(toxic("limit_data", { bytes: 7 }));
    const [client, server] = await ends();
    server.send("and no more than that");
    assert.equal(await client.receive(100), "and no ");
    assert.equal(await client.ending(), "FIN");
  });

  it("noop and packet_loss, which the package has no types for", async () => {
    await proxy.addToxic(toxic("noop", {}));
    const [client, server] = await ends();
    await takes(server, client);
    const loss = await proxy.addToxic(toxic("packet_loss", {}));
    assert.deepEqual(loss.attributes, { loss_rate: 0.1, correlation: 0 });
    // What is lost is sent again, later.
    let slowest = 0;
    for (let n = 0; n < 300 && slowest < 199; n++) {
      slowest = Math.max(slowest, await takes(server, client));
    }
    assert.ok(slowest >= 199, `no byte of 300 took longer than ${slowest} ms`);
  });

  it("of toxicity 0 befall nobody", async () => {
    await proxy.addToxic(toxic("reset_peer", { timeout: 0 }, { toxicity: 0 }));
    const [client, server] = await ends();
    await takes(server, client);
    server.socket.end();
    assert.equal(await client.ending(), "FIN");
  });

  it("are named after themselves", async () => {
    const made = await proxy.addToxic({ type: "latency", attributes: {} });
    assert.deepEqual(made.toJson(), {
      name: "latency_downstream", type: "latency", stream: "downstream", toxicity: 1,
      attributes: { latency: 0, jitter: 0 },
    });
    assert.deepEqual((await proxy.getToxic(made.name)).toJson(), made.toJson());
  });
});

describe("what is wrong is refused", () => {
  it("what is there twice: 409", async () => {
    await assert.rejects(toxiproxy.createProxy({ name: "node", upstream: "127.0.0.1:9" }), status(409));
    await proxy.addToxic(toxic("noop", {}));
    await assert.rejects(proxy.addToxic(toxic("noop", {}, { stream: "upstream" })), status(409));
  });

  it("what is not there: 404", async () => {
    await assert.rejects(toxiproxy.get("nobody"), status(404));
    await assert.rejects(proxy.getToxic("nothing"), status(404));
    await proxy.remove();
    await assert.rejects(proxy.remove(), status(404));
    await assert.rejects(proxy.update({ enabled: false }), status(404));
    await assert.rejects(proxy.addToxic(toxic("noop", {})), status(404));
    proxy = await toxiproxy.createProxy(proxy.toJson());
  });

  it("what cannot be: 400, and nothing of it is done", async () => {
    await assert.rejects(toxiproxy.createProxy({ name: "", upstream: "127.0.0.1:9" }), status(400));
    await assert.rejects(toxiproxy.createProxy({ name: "b", upstream: "" }), status(400));
    await assert.rejects(toxiproxy.populate([{ name: "b", upstream: "127.0.0.1:9" }, { name: "c" }]), status(400));
    await assert.rejects(proxy.addToxic(toxic("laency", {})), status(400));
    await assert.rejects(proxy.addToxic(toxic("latency", {}, { stream: "sideways" })), status(400));
    // These end the original's process.
    await assert.rejects(proxy.addToxic(toxic("slicer", {})), status(400));
    await assert.rejects(proxy.addToxic(toxic("bandwidth", { rate: -1 })), status(400));
    const latency = await proxy.addToxic(toxic("latency", { latency: 5, jitter: 2 }));
    await assert.rejects(latency.update({ attributes: { latency: 9, jitter: "much" } }), status(400));
    assert.deepEqual((await proxy.getToxic("latency")).attributes, { latency: 5, jitter: 2 });
    assert.deepEqual(Object.keys(await toxiproxy.getAll()), ["node"]);
  });

  it("where nothing can listen: 500", async () => {
    await assert.rejects(
      toxiproxy.createProxy({ name: "b", listen: proxy.listen, upstream: upstream.address }), status(500));
  });
});

describe("names", () => {
  it("of any characters, when they are percent-encoded", async () => {
    for (const name of ["a b", "a/b", "ü%?#+"]) {
      const made = await toxiproxy.createProxy({ name, listen: LISTEN, upstream: upstream.address });
      assert.ok(name in (await toxiproxy.getAll()), name);
      // The package puts names into paths as they are.
      const encoded = encodeURIComponent(name);
      assert.deepEqual((await toxiproxy.get(encoded)).toJson(), made.toJson());
      await toxiproxy.getApi().delete(`${toxiproxy.host}/proxies/${encoded}`);
    }
  });
});
