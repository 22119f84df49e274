"""What schemathesis cannot know of chaos-proxy: whose route is to be left alone, what there is, and what only meaning
can refuse."""

import itertools
import json
import os
import re
import socket
import time
import urllib.error
import urllib.request
from urllib.parse import unquote

import schemathesis
from schemathesis.core.parameters import ParameterLocation
from schemathesis.generation.meta import TestPhase
from schemathesis.openapi.checks import RejectedPositiveData

API = os.environ["CONTRACT_API"]
# The route and the connection that a transfer goes through while everything else is tried; none in the second run.
ROUTE = os.environ.get("CONTRACT_ROUTE")
CONNECTION = os.environ.get("CONTRACT_CONNECTION")

# A schema says what a value may be, not what it may be beside others or at this moment. What is refused in these words,
# and in no others, was right by itself.
MEANING = re.compile(
    "|".join(
        [
            r"^two (routes|faults of this route) are called ",
            r"^there is a (route|fault) .* already$",
            r"^localPort \d+ is (taken by|the port of the control API)",
            r"^the upstream of .* is the route itself$",
            r"^these routes lead in a circle: ",
            r"^two endpoints of this upstream are the same$",
            r"^a breaker has `failures` or a `share`, not both$",
            r"^`[a-z: ]+` has no meaning without `",
            r"^`.*` is no endpoint of this route$",
            r"^(health\.interval|pool\.maxAge) must be at least ",
            r"^keepalive\.(idle|interval) must be whole seconds, at most 9h$",
            r"^keepalive\.userTimeout must be within 1ms\.\.576h$",
            r"^`at` is beyond the \d+ faults of the route$",
            r"^the name of the (route|fault) .* cannot change$",
            r"^`?(seed|admin|log\.format)`? cannot change while the daemon runs: ",
            r"^a route has at most 64 faults$",
            r" is a link-local or metadata address, which the control API may use only where ",
            r" is not among `allowedUpstreams`$",
            r" has bits set beyond its length$",
            r" varies by as much as its size$",
            # Those beyond 16 bits, which no pattern names in a way that all readers of patterns know.
            r" holds a control or invisible character$",
        ]
    )
)

# A patch of a fault may speak of any effect; which it has, and what is left of all in the end, no schema says.
PATCH_OF_FAULT = "PATCH /v1/routes/{route}/faults/{fault}"
MEANING_OF_PATCH = re.compile(
    r"^the fault .* is a |^the document is empty$| begins a second fault in one item$|^`\w+` is missing$"
)

turns = itertools.count()


def ask(path, method="GET"):
    request = urllib.request.Request(API + path, method=method)
    with urllib.request.urlopen(request, timeout=10) as reply:
        return json.load(reply)


def visited():
    """The id of a connection that lives, as long as its client does; none if the route to visit is closed."""
    try:
        address = ask("/v1/routes/hole")["state"]["listen"]
    except urllib.error.HTTPError:
        address = None
    if address is None:
        ask("/v1/restore", "POST")
        return None
    host, _, port = address.rpartition(":")
    visited.client = socket.create_connection((host.strip("[]"), int(port)), timeout=5)
    for _ in range(20):
        live = ask("/v1/connections?route=hole")["connections"]
        if live:
            return live[-1]["id"]
        time.sleep(0.005)
    return None


@schemathesis.hook
def before_call(context, case, kwargs):
    """Speaks of what there is more often than chance would; never of what the transfer needs."""
    parameters = case.path_parameters or {}
    if is_drawn(case) and next(turns) % 4:
        negative = {at for at, part in case.meta.components.items() if part.mode.is_negative}
        if ParameterLocation.PATH not in negative:
            if "route" in parameters:
                parameters["route"] = "web"
            if "fault" in parameters:
                parameters["fault"] = "latency"
            if "id" in parameters:
                parameters["id"] = visited() or parameters["id"]
            if case.operation.label == PATCH_OF_FAULT and isinstance(case.body, dict):
                if ParameterLocation.BODY not in negative:
                    case.body = {key: value for key, value in case.body.items() if key in ("latency", "state")}
        if ParameterLocation.HEADER not in negative:
            # A tag that is not in force ends a call before anything else of it is looked at.
            case.headers.pop("If-Match", None)
    if ROUTE is not None:
        spare(case, parameters)


def is_drawn(case):
    """Whether it stands for itself. In a sequence of calls, one speaks of what another made."""
    return case.meta is not None and case.meta.phase.name in (TestPhase.COVERAGE, TestPhase.FUZZING)


def spare(case, parameters):
    """Turns what would touch the transfer to something else, so that no operation need be left out."""
    for name, spared in [("route", ROUTE), ("id", CONNECTION)]:
        if name in parameters and unquote(str(parameters[name])) == spared:
            parameters[name] = "999999999"
    if case.operation.label == "PUT /v1/config":
        keep = {"name": ROUTE, "localPort": "auto", "bind": "127.0.0.1", "upstream": "builtin:echo"}
        routes = case.body.get("routes") if isinstance(case.body, dict) else case.body
        if isinstance(routes, list):
            routes[:] = [keep] + [route for route in routes if name_of(route) != ROUTE]


def name_of(route):
    return route.get("name") if isinstance(route, dict) else None


@schemathesis.hook
def after_call(context, case, response):
    """What is spoken of is there again."""
    if is_drawn(case) and response.status_code == 404 and (case.path_parameters or {}).get("route") == "web":
        ask("/v1/restore", "POST")


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """Refusals that only meaning could foresee are no failures."""
    if not isinstance(failure, RejectedPositiveData) or response.status_code != 422:
        return True
    problem = response.json()
    errors = problem.get("errors") or [problem]
    patch = case.operation.label == PATCH_OF_FAULT
    return not all(
        MEANING.search(error["detail"])
        or (patch and MEANING_OF_PATCH.search(error["detail"]))
        # What is in force may be repeated, and nothing else be said: no schema can tell that.
        or error.get("pointer", "").startswith("/allowedUpstreams")
        for error in errors
    )
