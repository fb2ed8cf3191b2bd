"""What if the way from any client to a vSphere API cannot be trusted?

A `SoapProxy` listens on this machine, sends what it gets to an endpoint, and lets calls and
answers go wrong by chance: lost on the way there or back, late, done twice, or false. It stands
outside the client's process, so it also tries clients that are not ours. The chance is drawn from
one named stream, in the order in which the calls arrive: a client that makes one call after the
other meets the same mishaps again. Listening is plain HTTP, on the loopback address only.
"""

import http.client
import re
import ssl
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from backends.unreliable import Mishap, Odds, Strikes
from backends.vsphere_endpoint import Endpoint
from vmsim.problems import BadInput, Problem, Unreachable

STREAM = "soap-proxy"
CHECK_S = 10.0
CALL = re.compile(rb"<(?:\w+:)?Body[^>]*>\s*<(?:\w+:)?(\w+)")
CHANGES = re.compile(r"\w+_Task|(?:Create|Destroy|Rename|Set|Update|Register|Remove|Add)\w*")
READ_ALL_THE_SAME = ("CreateFilter", "CreateContainerView", "DestroyPropertyFilter", "DestroyView")
HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "host"}
OTHER_STATES = (
    (rb">poweredOn<", rb">poweredOff<"),
    (rb">poweredOff<", rb">poweredOn<"),
    (rb">success<", rb">error<"),
    (rb">true</", rb">false</"),
)
NAMES = {mishap.name.lower(): mishap for mishap in Mishap}


Headers = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP request as the client made it."""

    method: str
    path: str
    headers: Headers = ()
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the endpoint said."""

    status: int
    headers: Headers
    body: bytes


def ask(endpoint: Endpoint, call: Call, patience_s: float) -> Answer:
    """The endpoint's own answer; OSError or HTTPException when there is none."""
    parts = urlsplit(endpoint.url)
    place = (str(parts.hostname), parts.port)
    connection = http.client.HTTPConnection(*place, timeout=patience_s)
    if parts.scheme == "https":
        context = ssl.create_default_context()
        context.check_hostname = not endpoint.insecure
        context.verify_mode = ssl.CERT_NONE if endpoint.insecure else ssl.CERT_REQUIRED
        connection = http.client.HTTPSConnection(*place, timeout=patience_s, context=context)
    with closing(connection):
        connection.request(call.method, call.path, call.body or None, dict(call.headers))
        answer = connection.getresponse()
        return Answer(answer.status, answer.getheaders(), answer.read())


def check(endpoint: Endpoint) -> None:
    """Raise `Unreachable` unless something answers at the endpoint."""
    try:
        ask(endpoint, Call("GET", urlsplit(endpoint.url).path), CHECK_S)
    except (OSError, http.client.HTTPException) as error:
        raise Unreachable(f"{endpoint.url} cannot be reached ({error})") from error


class SoapProxy:
    """The proxy, from entering the context until its end; `struck` counts what went wrong."""

    def __init__(self, endpoint: Endpoint, odds: Odds, seed: int = 0, port: int = 0) -> None:
        self.endpoint = endpoint
        self.odds = odds
        self.strikes = Strikes(seed, STREAM)
        self._lock = threading.Lock()
        handler = type("_Bound", (_Handler,), {"proxy": self})
        self._server = _Server(("127.0.0.1", port), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"http://127.0.0.1:{self._server.server_port}{urlsplit(self.endpoint.url).path}"

    def strike(self, name: str) -> Mishap | None:
        """What goes wrong with this call; '' is a request without one."""
        with self._lock:
            return self.strikes.strike(self.odds.requests if changes(name) else self.odds.reads)

    def __enter__(self) -> "SoapProxy":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is none of our business."""


class _Handler(BaseHTTPRequestHandler):
    proxy: SoapProxy
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._pass(b"")

    def do_POST(self) -> None:
        self._pass(self.rfile.read(int(self.headers.get("Content-Length") or 0)))

    def _pass(self, body: bytes) -> None:
        proxy = self.proxy
        mishap = proxy.strike(called(body))
        self.close_connection = mishap in (Mishap.LOST, Mishap.MUTE)
        if mishap is Mishap.LOST:
            return
        headers = [(name, value) for name, value in self.headers.items() if name.lower() not in HOP]
        call = Call(self.command, self.path, headers, body)
        try:
            for _ in range(2 if mishap is Mishap.TWICE else 1):
                answer = ask(proxy.endpoint, call, proxy.odds.patience_s)
        except (OSError, http.client.HTTPException):
            self.close_connection = True  # to the client it is as if the endpoint itself were gone
            return
        if mishap is Mishap.LATE:
            time.sleep(proxy.odds.late_s)
        if mishap is not Mishap.MUTE:
            self._tell(answer, falsified(answer.body) if mishap is Mishap.LIE else answer.body)

    def _tell(self, answer: Answer, body: bytes) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers:
            if name.lower() not in HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def called(body: bytes) -> str:
    """The method that a SOAP envelope calls, '' for none."""
    found = CALL.search(body)
    return found.group(1).decode() if found else ""


def changes(name: str) -> bool:
    """Whether the method asks for a change, and does not only read."""
    return name not in READ_ALL_THE_SAME and CHANGES.fullmatch(name) is not None


def falsified(body: bytes) -> bytes:
    """The answer with another state than the true one; one that tells no state is cut short."""
    for true, false in OTHER_STATES:
        if true in body:
            return body.replace(true, false)
    return body[: len(body) // 2]


def odds(shares: Sequence[str], late_s: float = 2.0) -> Odds:
    """The odds of `lost=0.1` and the like, for requests and reads; `BadInput` names every error."""
    found: dict[Mishap, float] = {}
    problems: list[Problem] = []
    for text in shares:
        name, _, share = text.partition("=")
        try:
            found[NAMES[name]] = float(share)
        except (KeyError, ValueError):
            hint = "such as lost=0.1; " + ", ".join(NAMES)
            problems.append(Problem(f"{text!r} is no fault with its share", hint=hint))
    if not problems and not (found and min(found.values()) > 0 and sum(found.values()) <= 1):
        problems.append(Problem("the shares are above 0, and together at most 1"))
    if problems:
        raise BadInput(problems)
    return Odds(found, found, late_s)
