"""The package toxiproxy-python drives chaos-proxy as it drives Toxiproxy, and what it asks for is felt in real connections.

A daemon runs already: `chaos-proxy -host=127.0.0.1 -port=8474`, or wherever TOXIPROXY says.
"""

import faulthandler
import json
import multiprocessing
import os
import sys
import time
import unittest
from urllib.parse import quote

from toxiproxy.api import APIConsumer
from toxiproxy.exceptions import InvalidToxic, NotFound, ProxyExists
from toxiproxy.server import Toxiproxy

from tcp import Upstream, connect, ending, is_silent, receive, takes_at_least

HOST, PORT = os.environ.get("TOXIPROXY", "127.0.0.1:8474").rsplit(":", 1)
# In a container a proxy listens on every address, and is reached by the container's.
LISTEN = os.environ.get("TOXIPROXY_LISTEN", "127.0.0.1:0")


def place(proxy):
    return HOST, int(proxy.listen.rsplit(":", 1)[1])


def told(error):
    """What the daemon says is wrong."""
    return json.loads(error.exception.args[0])


class Case(unittest.TestCase):
    def setUp(self):
        self.toxiproxy = Toxiproxy()
        self.toxiproxy.update_api_consumer(HOST, int(PORT))
        self.upstream = Upstream()
        self.addCleanup(self.upstream.stop)
        self.addCleanup(self.toxiproxy.destroy_all)
        self.proxy = self.toxiproxy.create(name="python", listen=LISTEN, upstream=self.upstream.address)

    def connect(self, proxy=None):
        connection = connect(place(proxy or self.proxy))
        self.addCleanup(connection.close)
        return connection

    def ends(self, proxy=None):
        """Both ends of a connection through the proxy."""
        client, server = self.connect(proxy), self.upstream.accept()
        self.addCleanup(server.close)
        return client, server

    def passes(self, sender, receiver):
        sender.sendall(b"x")
        self.assertEqual(receive(receiver, 1), b"x")

    def assert_refused(self):
        with self.assertRaises(ConnectionRefusedError):
            self.connect()


class Proxies(Case):
    def test_are_made_listed_and_taken_away(self):
        self.assertTrue(self.toxiproxy.running())
        self.assertRegex(json.loads(self.toxiproxy.version())["version"], r"^2\.\d+\.\d+$")
        self.assertEqual(list(self.toxiproxy.proxies()), ["python"])
        found = self.toxiproxy.get_proxy("python")
        self.assertEqual((found.listen, found.enabled), (self.proxy.listen, True))
        client, server = self.ends()
        self.passes(client, server)
        self.passes(server, client)
        self.assertTrue(self.toxiproxy.destroy(self.proxy))
        self.assertEqual((ending(client), ending(server)), ("FIN", "FIN"))
        self.assert_refused()
        self.assertIsNone(self.toxiproxy.get_proxy("python"))

    def test_are_down_for_a_while(self):
        client, server = self.ends()
        with self.proxy.down():
            self.assertFalse(self.toxiproxy.get_proxy("python").enabled)
            self.assertEqual((ending(client), ending(server)), ("FIN", "FIN"))
            self.assert_refused()
        self.passes(*self.ends())

    def test_without_a_word_where_to_listen_have_a_port_of_their_own(self):
        other = self.toxiproxy.create(name="other", upstream=self.upstream.address)
        self.assertRegex(other.listen, r"^127\.0\.0\.1:[1-9]\d*$")

    def test_are_populated_and_left_alone_where_they_are_the_same(self):
        self.proxy.add_toxic(type="noop")
        ends = self.ends()
        same = {"name": "python", "listen": self.proxy.listen, "upstream": self.upstream.address}
        other = {"name": "other", "listen": LISTEN, "upstream": self.upstream.address, "enabled": False}
        self.assertEqual([made.name for made in self.toxiproxy.populate([same, other])], ["other"])
        # The package compares by itself; so does the daemon.
        answer = APIConsumer.post("/populate", json=[same, other])
        self.assertEqual(answer.status_code, 201)
        self.assertEqual([proxy["name"] for proxy in answer.json()["proxies"]], ["python", "other"])
        self.passes(*ends)
        self.assertEqual(list(self.proxy.toxics()), ["noop_downstream"])

        elsewhere = Upstream()
        self.addCleanup(elsewhere.stop)
        (moved,) = self.toxiproxy.populate([{**same, "upstream": elsewhere.address}])
        self.assertEqual(ending(ends[0]), "FIN")
        self.assertEqual((moved.listen, moved.toxics()), (self.proxy.listen, {}))
        client, server = self.connect(), elsewhere.accept()
        self.addCleanup(server.close)
        self.passes(client, server)

    def test_are_reset(self):
        self.proxy.add_toxic(type="latency", attributes={"latency": 60_000})
        client, server = self.ends()
        server.sendall(b"held")
        self.assertTrue(is_silent(client, 0.1))
        self.toxiproxy.create(name="other", listen=LISTEN, upstream=self.upstream.address, enabled=False)
        self.assertTrue(self.toxiproxy.reset())
        self.assertEqual(receive(client, 4), b"held")
        self.assertEqual(self.proxy.toxics(), {})
        self.passes(*self.ends(self.toxiproxy.get_proxy("other")))

    def test_of_any_name(self):
        for name in ["a b", "a/b", "a%20b", "ü?#+"]:
            self.toxiproxy.create(name=name, listen=LISTEN, upstream=self.upstream.address)
            # The package puts names into paths as they are.
            path = "/proxies/" + quote(name, safe="")
            self.assertEqual(APIConsumer.get(path).json()["name"], name)
            self.assertEqual(APIConsumer.delete(path).status_code, 204)
            self.assertIsNone(self.toxiproxy.get_proxy(name))

    @unittest.skipUnless(LISTEN.startswith("0.0.0.0:"), "names are for a daemon that listens on every address")
    def test_are_asked_for_by_the_name_of_a_container(self):
        for host in ["toxiproxy:8474", "localhost:49153", "[::1]:8474"]:
            self.assertEqual(APIConsumer.get("/proxies", headers={"Host": host}).status_code, 200, host)

    def test_come_and_go_at_once_from_several_processes(self):
        processes = multiprocessing.get_context("spawn")
        with processes.Pool(4) as pool:
            work = pool.map_async(come_and_go, [(n, self.upstream.address) for n in range(4)])
            self.assertEqual(work.get(60), [5] * 4)
        self.assertEqual(list(self.toxiproxy.proxies()), ["python"])


def come_and_go(task):
    """Makes five proxies, toggles them, and takes them away; tells how many there were of its own."""
    number, upstream = task
    toxiproxy = Toxiproxy()
    toxiproxy.update_api_consumer(HOST, int(PORT))
    names = ["process %d proxy %d" % (number, n) for n in range(5)]
    made = [toxiproxy.create(name=name, listen=LISTEN, upstream=upstream) for name in names]
    for proxy in made:
        proxy.add_toxic(type="latency", attributes={"latency": 10})
        with proxy.down():
            pass
        connect(place(proxy)).close()
    there = sum(name in names for name in toxiproxy.proxies())
    for proxy in made:
        proxy.destroy()
    return there


class Toxics(Case):
    def update(self, name, body):
        """The package has no word for this: a toxic is changed while connections feel it."""
        return APIConsumer.post("/proxies/python/toxics/" + name, json=body).json()

    def test_latency(self):
        self.proxy.add_toxic(type="latency", name="slow", attributes={"latency": 200})
        client, server = self.ends()
        with takes_at_least(0.199):
            self.passes(server, client)
        changed = self.update("slow", {"attributes": {"jitter": 10}})
        self.assertEqual(changed["attributes"], {"latency": 200, "jitter": 10})
        with takes_at_least(0.189):
            self.passes(server, client)
        slow = self.proxy.get_toxic("slow")
        self.assertEqual((slow.type, slow.stream, slow.toxicity), ("latency", "downstream", 1))
        self.assertTrue(self.proxy.destroy_toxic("slow"))
        self.assertIsNone(self.proxy.get_toxic("slow"))
        self.passes(server, client)

    def test_latencies_add_up(self):
        for name in ["one", "two"]:
            self.proxy.add_toxic(type="latency", name=name, stream="upstream", attributes={"latency": 100})
        with takes_at_least(0.199):
            self.passes(*self.ends())

    def test_bandwidth(self):
        self.proxy.add_toxic(type="bandwidth", attributes={"rate": 100})
        client, server = self.ends()
        with takes_at_least(0.45):
            server.sendall(bytes(50_000))
            self.assertEqual(len(receive(client, 50_000)), 50_000)

    def test_bandwidth_of_nothing_holds_all_until_there_is_some(self):
        self.proxy.add_toxic(type="bandwidth", attributes={"rate": 0})
        client, server = self.ends()
        server.sendall(b"held")
        self.assertTrue(is_silent(client, 0.1))
        self.update("bandwidth_downstream", {"attributes": {"rate": 1000}})
        self.assertEqual(receive(client, 4), b"held")

    def test_slow_close(self):
        self.proxy.add_toxic(type="slow_close", attributes={"delay": 300})
        client, server = self.ends()
        with takes_at_least(0.299):
            server.sendall(b"last words")
            server.close()
            self.assertEqual(receive(client, 10), b"last words")
            self.assertEqual(ending(client), "FIN")

    def test_timeout(self):
        self.proxy.add_toxic(type="timeout", stream="upstream", attributes={"timeout": 300})
        with takes_at_least(0.299):
            client, server = self.ends()
            client.sendall(b"lost")
            self.assertEqual(receive(server, 4), b"")
            self.assertEqual(ending(client), "FIN")

    def test_timeout_of_nothing_lasts_until_it_is_removed(self):
        self.proxy.add_toxic(type="timeout", attributes={"timeout": 0})
        client, server = self.ends()
        server.sendall(b"lost")
        self.assertTrue(is_silent(client, 0.2))
        self.proxy.destroy_toxic("timeout_downstream")
        self.assertEqual(receive(client, 4), b"")

    def test_reset_peer(self):
        self.proxy.add_toxic(type="reset_peer", attributes={"timeout": 300})
        with takes_at_least(0.299):
            client, server = self.ends()
            self.passes(client, server)
            self.assertEqual((ending(client), ending(server)), ("RST", "RST"))

    def test_slicer(self):
        self.proxy.add_toxic(type="slicer", attributes={"average_size": 10, "size_variation": 2, "delay": 20_000})
        client, server = self.ends()
        with takes_at_least(0.139):
            server.sendall(b"abcdefghij" * 10)
            slices = [client.recv(100)]
            while sum(map(len, slices)) < 100:
                slices.append(client.recv(100))
        self.assertEqual(b"".join(slices), b"abcdefghij" * 10)
        self.assertGreater(len(slices), 1)

    def test_limit_data(self):
        self.proxy.add_toxic(type="limit_data", attributes={"bytes": 7})
        client, server = self.ends()
        server.sendall(b"and no more than that")
        self.assertEqual(receive(client, 100), b"and no ")

    def test_packet_loss(self):
        self.proxy.add_toxic(type="packet_loss")
        default = {"loss_rate": 0.1, "correlation": 0}
        self.assertEqual(self.proxy.get_toxic("packet_loss_downstream").attributes, default)
        client, server = self.ends()
        with takes_at_least(0.199):
            for _ in range(300):
                begun = time.monotonic()
                self.passes(server, client)
                # What is lost is sent again.
                if time.monotonic() - begun >= 0.199:
                    break

    def test_noop_and_toxicity_of_nothing_change_nothing(self):
        self.proxy.add_toxic(type="noop")
        self.proxy.add_toxic(type="reset_peer", toxicity=0, attributes={"timeout": 0})
        client, server = self.ends()
        self.passes(server, client)
        client.close()
        self.assertEqual(ending(server), "FIN")


class Refusals(Case):
    def test_what_is_there_twice(self):
        body = {"name": "python", "upstream": "127.0.0.1:9"}
        with self.assertRaises(ProxyExists) as error:
            APIConsumer.post("/proxies", json=body)
        self.assertEqual(told(error), {"error": "proxy already exists", "status": 409})
        self.proxy.add_toxic(type="noop", name="it")
        with self.assertRaises(ProxyExists) as error:
            self.proxy.add_toxic(type="latency", name="it", stream="upstream")
        self.assertEqual(told(error), {"error": "toxic already exists", "status": 409})

    def test_what_is_not_there(self):
        with self.assertRaises(NotFound) as error:
            self.proxy.destroy_toxic("nothing")
        self.assertEqual(told(error), {"error": "toxic not found", "status": 404})
        self.proxy.destroy()
        for work in [self.proxy.destroy, self.proxy.disable, self.proxy.toxics]:
            with self.assertRaises(NotFound) as error:
                work()
            self.assertEqual(told(error), {"error": "proxy not found", "status": 404})

    def test_what_cannot_be(self):
        for toxic, words in [
            ({"type": "laency"}, "invalid toxic type"),
            ({"type": "noop", "stream": "sideways"}, "stream was invalid, can be either upstream or downstream"),
            ({"type": "latency", "attributes": {"latency": "much"}}, "bad request body: "),
            # These end the original's process.
            ({"type": "slicer"}, "bad request body: "),
            ({"type": "slicer", "attributes": {"average_size": 10, "size_variation": 100}}, "bad request body: "),
            ({"type": "bandwidth", "attributes": {"rate": -1}}, "bad request body: "),
        ]:
            with self.subTest(toxic), self.assertRaises(InvalidToxic) as error:
                self.proxy.add_toxic(**toxic)
            self.assertEqual((told(error)["status"], told(error)["error"][: len(words)]), (400, words))
        self.assertEqual(self.proxy.toxics(), {})

    def test_a_change_with_something_wrong_in_it_changes_nothing(self):
        self.proxy.add_toxic(type="latency", name="it", attributes={"latency": 5, "jitter": 2})
        with self.assertRaises(InvalidToxic):
            APIConsumer.post("/proxies/python/toxics/it", json={"attributes": {"latency": 9, "jitter": "much"}})
        self.assertEqual(self.proxy.get_toxic("it").attributes, {"latency": 5, "jitter": 2})


if __name__ == "__main__":
    faulthandler.dump_traceback_later(100, exit=True)
    unittest.main(argv=[sys.argv[0], "-v"])
