"""How does an API server reach us with a question?

`Webhook` listens, on loopback unless told otherwise, with a certificate of an authority that the
API server is told of, reads an
AdmissionReview from each request, and answers with what `judge` says. Connections stay open and
each has a thread; `judge` may be called from several at a time.
"""

import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec

from vmsim.problems import BadInput, Problem

LARGEST = 8 << 20
IDLE_S = 120.0

Judge = Callable[[Mapping[str, Any]], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Place:
    """Where to listen, and the files that prove it: the authority's, its certificate and key."""

    host: str
    authority: Path
    certificate: Path
    key: Path

    def context(self) -> ssl.SSLContext:
        """The server's side of TLS; BadInput when the files cannot be used."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            self.authority.read_bytes()
            context.load_cert_chain(self.certificate, self.key)
        except (OSError, ssl.SSLError) as error:
            names = f"{self.authority}, {self.certificate}, {self.key}"
            hint = "tls.crt, tls.key and ca.crt in one folder"
            raise BadInput(
                [Problem(f"{names}: {error}", field="--webhook-tls", hint=hint)]
            ) from None
        return context


class Webhook:
    """An HTTPS server on a free port, from `start` to `stop`."""

    def __init__(self, place: Place, judge: Judge) -> None:
        context = place.context()
        self._host = place.host
        try:
            self._server = _Server((place.host, 0), _handler(judge), context)
        except OSError as error:
            message = f"cannot listen on {place.host}: {error}"
            raise BadInput([Problem(message, field="--webhook-host")]) from None
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"https://{self._host}:{self._server.server_address[1]}"

    def start(self) -> "Webhook":
        """Answer from now on."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self) -> "Webhook":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


class _Server(ThreadingHTTPServer):
    """Greets each client in the client's own thread, so that a slow one holds up nobody."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self,
        address: tuple[str, int],
        handler: type[BaseHTTPRequestHandler],
        context: ssl.SSLContext,
    ) -> None:
        super().__init__(address, handler)
        self._context = context

    def get_request(self) -> tuple[Any, Any]:
        connection, address = super().get_request()
        connection.settimeout(IDLE_S)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        wrapped = self._context.wrap_socket(
            connection, server_side=True, do_handshake_on_connect=False
        )
        return wrapped, address

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no news."""


def _handler(judge: Judge) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            if not 0 < length <= LARGEST:
                self.send_error(413)
                return
            question = msgspec.json.decode(self.rfile.read(length))
            answer = msgspec.json.encode(
                {
                    "apiVersion": question["apiVersion"],
                    "kind": question["kind"],
                    "response": judge(question["request"]),
                }
            )
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)
            self.wfile.flush()

        def log_message(self, format: str, *args: Any) -> None:
            """Requests are not logged: they may hold secrets."""

    return Handler
