"""A way to an API server on which things go wrong when a test says so."""

import json
import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import urllib3

from backends.kube_api import KubeApi

GONE = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"}


@dataclass
class Mishap:
    """What is answered to the next `times` requests that match `pattern` ("PATCH /apis/...").

    `status` 0 is no answer at all; `in_stream` puts the refusal into a watch that began well.
    """

    pattern: str
    status: int
    times: int = 1
    headers: Mapping[str, str] = field(default_factory=dict)
    in_stream: bool = False
    met: int = 0

    def strikes(self, request: str) -> bool:
        """Whether this request is one of those."""
        if self.met < self.times and re.search(self.pattern, request):
            self.met += 1
            return True
        return False


class Proxy:
    """Plain HTTP on loopback before `upstream`; counts what is asked, and knows one token."""

    def __init__(self, upstream: KubeApi) -> None:
        self.upstream = upstream
        self.mishaps: list[Mishap] = []
        self.asked: list[tuple[float, str]] = []
        self.token = ""
        self.years_ahead = 0
        self.refuses = False
        self._streams: set[Any] = set()
        self.lock = threading.Lock()
        self._server = ThreadingHTTPServer(
            ("127.0.0.1", 0), type("Handler", (_Handler,), {"proxy": self})
        )
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def kubeconfig(self, path: Path, token: str = "") -> Path:
        """A kubeconfig that leads here, with this token."""
        user = {"token": token} if token else {}
        path.write_text(
            json.dumps(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "current-context": "proxy",
                    "clusters": [{"name": "proxy", "cluster": {"server": self.url}}],
                    "users": [{"name": "proxy", "user": user}],
                    "contexts": [
                        {"name": "proxy", "context": {"cluster": "proxy", "user": "proxy"}}
                    ],
                }
            )
        )
        return path

    def count(self, pattern: str, since_s: float = 0.0) -> int:
        """How many requests matched since that second of the monotonic clock."""
        with self.lock:
            return sum(when >= since_s and bool(re.search(pattern, what))
                       for when, what in self.asked)  # fmt: skip

    def cut(self) -> int:
        """Break every watch in the middle; how many there were."""
        with self.lock:
            streams, self._streams = self._streams, set()
        for stream in streams:
            with suppress(OSError):
                stream.shutdown(2)
        return len(streams)

    @contextmanager
    def streaming(self, connection: Any) -> Iterator[None]:
        """While a watch is open on the connection."""
        with self.lock:
            self._streams.add(connection)
        try:
            yield
        finally:
            with self.lock:
                self._streams.discard(connection)

    def close(self) -> None:
        """Listen no more."""
        self.cut()
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    proxy: Proxy
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        request = f"{self.command} {self.path}"
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with self.proxy.lock:
            self.proxy.asked.append((time.monotonic(), request))
            mishap = next((each for each in self.proxy.mishaps if each.strikes(request)), None)
        if self.proxy.refuses or (mishap is not None and not mishap.status):
            self.close_connection = True
        elif self.proxy.token and self.headers.get("Authorization") != f"Bearer {self.proxy.token}":
            self._refuse(401, {})
        elif mishap is not None and mishap.in_stream:
            line = json.dumps({"type": "ERROR", "object": GONE}).encode() + b"\n"
            self._say(200, line, {})
        elif mishap is not None:
            self._refuse(mishap.status, mishap.headers)
        else:
            self._pass_on(body)

    do_POST = do_PATCH = do_PUT = do_DELETE = do_GET

    def _refuse(self, status: int, headers: Mapping[str, str]) -> None:
        told = {"kind": "Status", "code": status, "reason": "Test", "message": f"no ({status})"}
        self._say(status, json.dumps(told).encode(), headers)

    def _say(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _pass_on(self, body: bytes) -> None:
        kept = ("Accept", "Content-Type")
        answer = self.proxy.upstream._pool.request(
            self.command,
            self.proxy.upstream.url + self.path,
            body=body or None,
            headers={name: self.headers[name] for name in kept if name in self.headers},
            preload_content=False,
            timeout=urllib3.Timeout(connect=5.0, read=300.0),
            retries=False,
        )
        if "watch=1" in self.path and answer.status == 200:
            with self.proxy.streaming(self.connection):
                self._stream(answer)
        else:
            self._say(answer.status, self._skewed(answer.read()), {})
        answer.close()

    def _stream(self, answer: urllib3.BaseHTTPResponse) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for part in answer.stream(amt=None, decode_content=False):
            text = self._skewed(part)
            self.wfile.write(b"%x\r\n%b\r\n" % (len(text), text))
        self.wfile.write(b"0\r\n\r\n")

    def _skewed(self, text: bytes) -> bytes:
        """The text with the server's clock put forward by years."""
        if not self.proxy.years_ahead:
            return text
        return re.sub(
            rb'("creationTimestamp":")(\d{4})',
            lambda found: found[1] + b"%d" % (int(found[2]) + self.proxy.years_ahead),
            text,
        )

    def log_message(self, format: str, *args: Any) -> None:
        """Tests are told by `asked`."""

    def handle(self) -> None:
        with suppress(OSError, urllib3.exceptions.HTTPError):
            super().handle()
