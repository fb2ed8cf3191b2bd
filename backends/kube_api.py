"""How is a Kubernetes API server asked, and how does it tell what changes?

`KubeApi` is one connection pool to one server, over the official client: its kubeconfigs, its
certificates, its authentication. Bodies are JSON, not the client's classes, so that any kind goes
the same way. A refusal is a `Denial` with the server's own words; what is worth another attempt
(429, 5xx, a lost connection) is attempted again with pauses, and then `Unreachable`. Credentials
that are not accepted are read again: whoever exchanged them wrote new ones there.
`watched` yields what happens to one kind of object, for as long as it is wanted: a list, then its
changes, resumed after a break, and a list again when the server has forgotten where we were.
"""

import contextlib
import random
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import urllib3
import yaml
from kubernetes import client, config

from vmsim.kube import Change, Denial
from vmsim.problems import Unreachable

PAGE = 500
WATCH_S = 290
CONNECT_S, READ_S = 5.0, 30.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 5.0
ATTEMPTS = 8
MOST_WARNINGS = 100
RETRIED = (429, 500, 502, 503, 504)
UNUSABLE = (config.ConfigException, yaml.YAMLError, OSError, ValueError, TypeError, AttributeError)
"""What the client raises for a kubeconfig that is none."""
CONFLICT, GONE, UNAUTHORIZED = 409, 410, 401
TROUBLE = 4
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"


@dataclass(slots=True)
class _Place:
    """How far a watch has come ('': nowhere), and how often it failed in a row."""

    version: str = ""
    failures: int = 0

    def told(self, error: Exception) -> Iterator[Change]:
        """Why nothing comes, once it failed so often that somebody should know."""
        if self.failures == TROUBLE:
            yield Change("BROKEN", (), str(error))


class KubeApi:
    """One server; may be used from several threads."""

    def __init__(
        self,
        kubeconfig: Path | None = None,
        context: str | None = None,
        *,
        attempts: int = ATTEMPTS,
        read_s: float = READ_S,
    ) -> None:
        self._named = (str(kubeconfig) if kubeconfig else None, context)
        self._attempts, self._read_s = attempts, read_s
        self._log_in()
        self.url: str = self._settings.host
        self.warnings: list[str] = []
        """Warnings of the server since somebody emptied the list, as their headers have them."""

    def is_ready(self) -> bool:
        """Whether the server says that it is ready."""
        try:
            return bool(self._send("GET", "/readyz").status == 200)
        except (urllib3.exceptions.HTTPError, OSError):
            return False

    def get(self, path: str) -> dict[str, Any]:
        """The object at the path."""
        return self.request("GET", path)

    def exists(self, path: str) -> bool:
        """Whether there is an object at the path."""
        try:
            self.get(path)
        except Denial as denial:
            if denial.status == 404:
                return False
            raise
        return True

    def items(self, path: str) -> list[dict[str, Any]]:
        """All objects at the path."""
        return self.listed(path)[0]

    def create(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Make the object."""
        return self.request("POST", path, body)

    def patch(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Merge `body` into the object at the path."""
        expected = {"uid", "resourceVersion"} & (body.get("metadata") or {}).keys()
        return self.request("PATCH", path, body, MERGE, () if expected else (CONFLICT,))

    def apply(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Server-side apply: make the object, or make it what `body` says."""
        return self.request("PATCH", f"{path}?fieldManager=vmsim&force=true", body, APPLY)

    def delete(self, path: str) -> None:
        """Ask for the object's deletion; one that is not there is no error."""
        try:
            self.request("DELETE", path)
        except Denial as denial:
            if denial.status != 404:
                raise

    def request(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        kind: str = "application/json",
        also: tuple[int, ...] = (),
    ) -> dict[str, Any]:
        """The answer to one request, tried again while the server is not up to it, or answers
        with one of the statuses `also`."""
        last: object = None
        for attempt in range(self._attempts):
            try:
                answer = self._send(method, path, body, kind)
            except (urllib3.exceptions.HTTPError, OSError) as error:
                last, wait_s = error, pause_s(attempt)
            else:
                told = answer.headers.getlist("Warning")
                self.warnings = [*self.warnings, *told][-MOST_WARNINGS:]
                if answer.status < 400:
                    return _slim(msgspec.json.decode(answer.data))
                last = denial = _denial(answer.status, answer.data)
                if denial.status == UNAUTHORIZED:
                    self._log_in()
                elif denial.status not in (*RETRIED, *also):
                    raise denial
                wait_s = _asked_for_s(answer) or pause_s(attempt)
            time.sleep(wait_s)
        raise Unreachable(f"{self.url} does not answer: {last}")

    def watched(self, path: str, stopped: threading.Event) -> Iterator[Change]:
        """What is there, then what changes, until `stopped`; see the module docstring."""
        place = _Place()
        while not stopped.is_set():
            try:
                yield from self._from(place, path)
            except Denial as denial:
                self._refused(place, denial)
                yield from place.told(denial)
            except (Unreachable, urllib3.exceptions.HTTPError, OSError) as error:
                place.failures += 1
                yield from place.told(error)
            except msgspec.DecodeError:
                place.failures += 1
            if place.failures:
                stopped.wait(pause_s(place.failures))

    def _refused(self, place: _Place, denial: Denial) -> None:
        """Begin with a list next time, and with the credentials that there are then."""
        place.version = ""
        place.failures += 1
        if denial.status == UNAUTHORIZED:
            with contextlib.suppress(Unreachable):
                self._log_in()

    def _from(self, place: _Place, path: str) -> Iterator[Change]:
        """A list if there is nothing to go on from, then changes until the stream ends."""
        if not place.version:
            found, place.version = self.listed(path)
            yield Change("LISTED", tuple(found))
        for change, version in self._watch(path, place.version):
            place.version, place.failures = version, 0
            if change is not None:
                yield change

    def close(self) -> None:
        """Let the connections go."""
        self._pool.clear()

    def __enter__(self) -> "KubeApi":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def listed(self, path: str) -> tuple[list[dict[str, Any]], str]:
        """All objects at the path, read page by page, and the version they are of.

        When the server forgets that version between two pages, it all begins again.
        """
        found: list[dict[str, Any]] = []
        token, again = "", ATTEMPTS
        while True:
            try:
                page = self.get(f"{path}?limit={PAGE}" + (f"&continue={token}" if token else ""))
            except Denial as denial:
                again -= 1
                if denial.status != GONE or not token or not again:
                    raise
                found, token = [], ""
                continue
            kind = {"apiVersion": page["apiVersion"], "kind": page["kind"].removesuffix("List")}
            found += [kind | _slim(item) for item in page.get("items") or ()]
            token = page["metadata"].get("continue", "")
            if not token:
                return found, page["metadata"]["resourceVersion"]

    def _log_in(self) -> None:
        """Read the kubeconfig, at first and whenever its credentials are not good any more."""
        settings = client.Configuration()
        try:
            load: Any = config.load_kube_config
            load(*self._named, settings, persist_config=False)
        except UNUSABLE as error:
            raise Unreachable(f"the kubeconfig cannot be used: {error}") from None
        settings.connection_pool_maxsize = 64
        settings.retries = False
        self._settings = settings
        self._client = client.ApiClient(settings)
        self._pool: urllib3.PoolManager = self._client.rest_client.pool_manager

    def _watch(self, path: str, version: str) -> Iterator[tuple[Change | None, str]]:
        """Changes after `version`, each with the version to go on from."""
        query = f"watch=1&allowWatchBookmarks=1&timeoutSeconds={WATCH_S}&resourceVersion={version}"
        answer = self._send("GET", f"{path}?{query}", stream=True)
        try:
            if answer.status >= 400:
                raise _denial(answer.status, answer.read())
            for line in _lines(answer):
                event = msgspec.json.decode(line)
                seen = event["object"]
                if event["type"] == "ERROR":
                    code = int(seen.get("code") or 500)
                    raise Denial(code, seen.get("reason", ""), seen.get("message", ""))
                version = seen["metadata"]["resourceVersion"]
                is_mark = event["type"] == "BOOKMARK"
                yield (None if is_mark else Change(event["type"], (_slim(seen),))), version
        finally:
            answer.close()

    def _send(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        kind: str = "application/json",
        stream: bool = False,
    ) -> urllib3.BaseHTTPResponse:
        headers = {"Accept": "application/json", "User-Agent": "vmsim"}
        if token := self._settings.get_api_key_with_prefix("BearerToken", "authorization"):
            headers["Authorization"] = token
        if body is not None:
            headers["Content-Type"] = kind
        read_s = WATCH_S + 30.0 if stream else self._read_s
        return self._pool.request(
            method,
            self.url + path,
            body=None if body is None else msgspec.json.encode(body),
            headers=headers,
            preload_content=not stream,
            timeout=urllib3.Timeout(connect=CONNECT_S, read=read_s),
            retries=False,
        )


def _slim(raw: dict[str, Any]) -> dict[str, Any]:
    """The object without who wrote which field when: half of its size, and of no use here."""
    raw.get("metadata", {}).pop("managedFields", None)
    return raw


def _lines(answer: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    """The lines of a stream, each as soon as it is there."""
    rest = b""
    for part in answer.stream(amt=None, decode_content=False):
        *whole, rest = (rest + part).split(b"\n")
        yield from (line for line in whole if line)


def pause_s(attempt: int) -> float:
    """The pause after so many failures: twice as long each time, shortened by chance."""
    longest = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0**attempt)
    return longest * random.uniform(0.5, 1.0)


def _asked_for_s(answer: urllib3.BaseHTTPResponse) -> float:
    try:
        return min(LONGEST_PAUSE_S, float(answer.headers.get("Retry-After") or 0))
    except ValueError:
        return 0.0


def _denial(status: int, data: bytes) -> Denial:
    try:
        told = msgspec.json.decode(data)
        message = str(told.get("message", ""))
        if status == UNAUTHORIZED:
            message = f"it does not accept our credentials: {message}"
        return Denial(status, str(told.get("reason", "")), message)
    except (msgspec.DecodeError, AttributeError):
        return Denial(status, "", data[:200].decode(errors="replace"))
