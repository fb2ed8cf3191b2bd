"""Where is a vCenter, and what stands in the way of talking to it?

An `Endpoint` is what govc reads from GOVC_*. `open_stub` finds the API version that both sides
know and returns the pyVmomi stub, whose every read of a socket is bounded in time. `reaching`
turns what goes wrong on the way into Unreachable, with what to do about it; `as_fault` turns what
a vCenter refuses into a Fault.
"""

import contextlib
import http.client
import ssl
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

from pyVmomi import VmomiSupport
from pyVmomi import vim as typed_vim
from pyVmomi import vmodl as typed_vmodl
from pyVmomi.SoapAdapter import SoapStubAdapter

from vmsim.actions import Fault
from vmsim.problems import BadInput, Problem, Unreachable

vim: Any = typed_vim  # the published types are partial, so Any at this border
vmodl: Any = typed_vmodl
stub_type: Any = SoapStubAdapter
versions: Any = VmomiSupport
POOL_SIZE = 8  # connections kept open; a ninth thread would open and close its own for each call


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a vCenter listens and how to log in; `url` holds no user and no password."""

    url: str
    user: str = ""
    password: str = field(default="", repr=False)
    insecure: bool = False
    datacenter: str = ""

    @classmethod
    def from_environment(cls, env: Mapping[str, str]) -> "Endpoint":
        """The endpoint that govc would take from GOVC_*; BadInput names every unusable value."""
        problems: list[Problem] = []
        address = env.get("GOVC_URL", "").strip()
        url, user, password = "", "", ""
        try:
            url, user, password = _split_url(address)
        except ValueError as error:
            hint = "a host, host:port or https://user:password@host/sdk"
            problems.append(Problem(str(error), field="GOVC_URL", hint=hint))
        insecure = env.get("GOVC_INSECURE", "").strip().lower()
        if insecure not in ("", "0", "1", "true", "false"):
            problem = Problem(f"{insecure!r} is neither true nor false", field="GOVC_INSECURE")
            problems.append(problem)
        if problems:
            raise BadInput(problems)
        return cls(
            url=url,
            user=env.get("GOVC_USERNAME") or user,
            password=env.get("GOVC_PASSWORD") or password,
            insecure=insecure in ("1", "true"),
            datacenter=env.get("GOVC_DATACENTER", ""),
        )


def _split_url(address: str) -> tuple[str, str, str]:
    """URL with scheme and path, user and password of a GOVC_URL; ValueError says what is wrong."""
    if not address:
        raise ValueError("is not set")
    parts = urlsplit(address if "://" in address else f"https://{address}")
    if parts.scheme not in ("http", "https"):
        raise ValueError(f"scheme {parts.scheme!r} is neither http nor https")
    if not parts.hostname or any(letter.isspace() for letter in address):
        raise ValueError("names no host")
    place = parts.netloc.rpartition("@")[2]
    assert parts.port is None or parts.port >= 0  # reading .port checks it: ValueError
    path = parts.path if parts.path not in ("", "/") else "/sdk"
    url = f"{parts.scheme}://{place}{path.rstrip('/')}"
    return url, unquote(parts.username or ""), unquote(parts.password or "")


@contextlib.contextmanager
def reaching(endpoint: Endpoint) -> Iterator[None]:
    """Turns what can go wrong on the way to `endpoint` into Unreachable."""
    try:
        yield
    except ssl.SSLCertVerificationError as error:
        hint = "install its CA certificate or set GOVC_INSECURE=1"
        raise Unreachable(f"{endpoint.url}: certificate: {error.verify_message}; {hint}") from error
    except TimeoutError as error:
        message = "did not answer in time; it may hang: restart it, or look at the network"
        raise Unreachable(f"{endpoint.url} {message}") from error
    except (OSError, http.client.HTTPException) as error:
        message = f"cannot be reached ({error}); is GOVC_URL right, and does it run?"
        raise Unreachable(f"{endpoint.url} {message}") from error
    except vim.fault.InvalidLogin as error:
        message = f"refuses user {endpoint.user!r}; check GOVC_USERNAME and GOVC_PASSWORD"
        raise Unreachable(f"{endpoint.url} {message}") from error
    except vim.fault.NotAuthenticated as error:
        raise Unreachable(f"{endpoint.url} ended our session; connect again") from error
    except (vmodl.MethodFault, Unreachable):
        raise
    except Exception as error:  # pyvmomi raises what its parser raises
        message = f"answered what pyvmomi cannot read: {type(error).__name__}: {error}"
        raise Unreachable(f"{endpoint.url} {message}") from error


def as_fault(error: Any) -> Fault:
    """The Fault of a vSphere fault, by the last part of its type's name."""
    if error is None:
        return Fault("SystemError", "no reason is given")
    name = type(error).__name__.rpartition(".")[2]
    keys = tuple(str(said.key) for said in getattr(error, "faultMessage", None) or ())
    return Fault(name, str(getattr(error, "msg", "") or ""), keys)


def _api_version(endpoint: Endpoint, context: ssl.SSLContext, timeout_s: float) -> str:
    """The newest API version that both sides know, as pyvmomi names it."""
    parts = urlsplit(endpoint.url)
    host = str(parts.hostname)
    connection = (
        http.client.HTTPSConnection(host, parts.port, timeout=timeout_s, context=context)
        if parts.scheme == "https"
        else http.client.HTTPConnection(host, parts.port, timeout=timeout_s)
    )
    with contextlib.closing(connection):
        connection.request("GET", f"{parts.path}/vimServiceVersions.xml")
        with contextlib.closing(connection.getresponse()) as answer:
            body = answer.read(1_000_000)
    try:
        known = {node.text for node in ElementTree.fromstring(body).iter("version")}
    except ElementTree.ParseError:
        known = set()
    for version in versions.GetServiceVersions("vim25"):
        if answer.status == 200 and versions.versionIdMap[version] in known:
            return str(version)
    message = f"answers (HTTP {answer.status}) but is no vSphere API; GOVC_URL wants a vCenter"
    raise Unreachable(f"{endpoint.url} {message}")


def open_stub(endpoint: Endpoint, timeout_s: float) -> Any:
    """A pyVmomi stub that is not logged in; TLS is verified unless the endpoint is insecure."""
    context = ssl.create_default_context()
    if endpoint.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    parts = urlsplit(endpoint.url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    with reaching(endpoint):
        return stub_type(
            host=parts.hostname,
            port=port if parts.scheme == "https" else -port,
            path=parts.path,
            version=_api_version(endpoint, context, timeout_s),
            sslContext=context,
            httpConnectionTimeout=timeout_s,
            poolSize=POOL_SIZE,
        )
