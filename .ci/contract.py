"""Runs a daemon, a transfer through it, and schemathesis against its control API; then the same without the transfer."""

import hashlib
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
CONFIG = """\
seed: 4
admin: 127.0.0.1:0
routes:
  - {name: transfer, localPort: auto, bind: 127.0.0.1, upstream: "builtin:echo"}
  - name: web
    localPort: auto
    upstream: builtin:http
    faults:
      - latency: {delay: 20ms}
      - reset: {probability: 0.1, after: 1KiB}
  - {name: hole, localPort: auto, upstream: "builtin:discard", dropRate: 0.1, faults: [noop]}
"""
# The boundaries of each schema are most of the cases, and the same ones every time. On a change each of the two runs has them
# for one part of the paths; with --at-least both have all.
PARTS = {True: "^/v1/(config|routes/{route}/faults)", False: "^/(?!v1/config|v1/routes/{route}/faults)"}
# The longest a transfer may stand still on a busy machine.
STILL = 5.0


class Daemon:
    """The program under test, from its start to its end."""

    def __init__(self, program, directory):
        config = Path(directory, "config.yaml")
        config.write_text(CONFIG)
        self.log = Path(directory, "log")
        arguments = [program, "--config", config, "--log-format", "json"]
        self.process = subprocess.Popen(arguments, stderr=self.log.open("wb"))
        self.api = f"http://{self.listens('control.opened')}"
        self.transfer = self.listens("route.opened", "transfer")
        self.listens("route.opened", "hole")

    def listens(self, event, route=None):
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and self.process.poll() is None:
            for line in self.log.read_text().splitlines():
                told = json.loads(line)
                if told["event"] == event and told.get("route") == route:
                    return told["listen"]
            time.sleep(0.05)
        self.process.kill()
        raise AssertionError(f"the daemon did not tell {event} {route or ''}:\n{self.log.read_text()}")

    def get(self, path):
        with urllib.request.urlopen(self.api + path, timeout=10) as reply:
            return reply.read().decode()

    def connection(self, route):
        """The number of the one connection of a route: a client is connected before the daemon has taken it in."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            live = json.loads(self.get(f"/v1/connections?route={route}"))["connections"]
            if live:
                [connection] = live
                return connection["id"]
            time.sleep(0.05)
        raise AssertionError(f"no connection of {route} was taken in")

    def check(self):
        """Alive, without a panic, and without a reply that blames the server."""
        assert self.process.poll() is None, f"the daemon is gone: {self.process.returncode}"
        self.get("/livez")
        metrics = self.get("/metrics")
        panics = re.search(r"^chaos_proxy_panics_total (\d+)$", metrics, re.M)
        assert panics and panics[1] == "0", f"panics: {panics and panics[1]}"
        calls = dict(re.findall(r'^chaos_proxy_control_calls_total{code="(\d+)"} (\d+)$', metrics, re.M))
        assert calls, "no call was counted"
        blamed = {code: count for code, count in calls.items() if code.startswith("5")}
        assert not blamed, f"replies that blame the server: {blamed}"
        return "calls by status: " + ", ".join(f"{code}: {count}" for code, count in sorted(calls.items()))

    def stop(self):
        # The configuration that was fuzzed last may want to wait for years before it stops.
        urllib.request.urlopen(urllib.request.Request(self.api + "/v1/restore", method="POST"), timeout=10)
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(timeout=40) == 0, f"exit code {self.process.returncode}"


class Transfer(threading.Thread):
    """Bytes that go through an echo without end, hashed on both sides."""

    def __init__(self, address):
        super().__init__(daemon=True)
        host, _, port = address.rpartition(":")
        self.socket = socket.create_connection((host, int(port)), timeout=STILL)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sent, self.came = hashlib.sha256(), hashlib.sha256()
        self.bytes, self.slowest, self.failed, self.over = 0, 0.0, None, threading.Event()

    def run(self):
        draws = random.Random(4)
        try:
            while not self.over.is_set():
                piece = draws.randbytes(draws.randrange(1, 60_000))
                begun = time.monotonic()
                self.socket.sendall(piece)
                self.sent.update(piece)
                self.take(len(piece))
                self.slowest = max(self.slowest, time.monotonic() - begun)
                time.sleep(0.002)
            self.socket.shutdown(socket.SHUT_WR)
            assert self.socket.recv(1) == b"", "there came more than was sent"
        except (OSError, AssertionError) as error:
            self.failed = repr(error)

    def take(self, count):
        while count > 0:
            piece = self.socket.recv(min(count, 1 << 16))
            assert piece, "it was ended"
            self.came.update(piece)
            self.bytes += len(piece)
            count -= len(piece)

    def end(self):
        self.over.set()
        self.join(timeout=3 * STILL)
        assert not self.is_alive(), "the transfer does not end"
        assert self.failed is None, f"the transfer was disturbed: {self.failed}"
        assert self.sent.digest() == self.came.digest(), "not the same bytes came as were sent"
        return f"transfer: {self.bytes / 1e6:.0f} MB, the same both ways; the slowest piece took {self.slowest:.3f} s"


def fuzz(schemathesis, daemon, directory, environment, beside, least, options):
    """All operations and checks, the boundaries of schemas for its part of the paths; at least so many cases."""
    config = (HERE / "schemathesis.toml").read_text()
    if least is None:
        least = 1000
        config += f"\n[[operations]]\ninclude-path-regex = '{PARTS[not beside]}'\nphases.coverage.enabled = false\n"
    Path(directory, "schemathesis.toml").write_text(config)
    command = [schemathesis, "--config-file", Path(directory, "schemathesis.toml"), "run", daemon.api + "/openapi.json"]
    environment = os.environ | {"CONTRACT_API": daemon.api, "PYTHONPATH": f"{HERE}:{os.environ.get('PYTHONPATH', '')}"} | environment
    with Path(directory, "report").open("w+") as report:
        code = subprocess.call(
            [*command, "--no-color", *options], cwd=directory, env=environment, stdout=report, stderr=report
        )
        report.seek(0)
        said = report.read()
    assert code == 0, f"the API is not what its description says:\n{said}"
    summary = said[said.rindex("= SUMMARY =") :].partition("\n")[2]
    cases = re.search(r"(\d+) generated", summary)
    assert cases and int(cases[1]) >= least, f"too few cases, {least} are wanted:\n{summary}"
    return summary


def run(program, schemathesis, beside, least, options):
    """What was done, in words. It raises whatever is wrong."""
    with tempfile.TemporaryDirectory() as directory:
        daemon = Daemon(program, directory)
        try:
            environment, transfer, done = {}, None, []
            if beside:
                transfer = Transfer(daemon.transfer)
                transfer.start()
                live = daemon.connection("transfer")
                environment = {"CONTRACT_ROUTE": "transfer", "CONTRACT_CONNECTION": str(live)}
            done.append(fuzz(schemathesis, daemon, directory, environment, beside, least, options))
            if transfer:
                done.append(transfer.end())
            done.append(daemon.check())
            daemon.stop()
            return "\n".join(done)
        except BaseException as error:
            last = "\n".join(daemon.log.read_text().splitlines()[-20:])
            raise AssertionError(f"{error}\nthe end of the daemon's log:\n{last}") from error
        finally:
            daemon.process.kill()


def main():
    program, schemathesis, *options = sys.argv[1:]
    program = str(Path(program).resolve())
    least = None
    if options[:1] == ["--at-least"]:
        least, options = int(options[1]), options[2:]
    runs = {"beside a transfer that must not notice": True, "everything": False}
    failed = False
    # Each has a core to itself where there are two.
    with ThreadPoolExecutor() as both:
        futures = {name: both.submit(run, program, schemathesis, beside, least, options) for name, beside in runs.items()}
        for name, future in futures.items():
            try:
                print(f"\n-- {name}\n{future.result()}", flush=True)
            except AssertionError as error:
                failed = True
                print(f"\n-- {name}: FAILED\n{error}", flush=True)
    if failed:
        sys.exit(1)
    print("contract: the control API is what its description says")


if __name__ == "__main__":
    main()
