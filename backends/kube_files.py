"""Which certificates and kubeconfigs does an API server of our own need?

An authority of the data folder signs all of them: for the server's end and the store's, for the
webhook's, and one for each user, who also gets a kubeconfig. `prepare` makes what is missing and
leaves what is there, so that a kubeconfig stays good over restarts. Files have mode 0600.
"""

import base64
import ipaddress
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from vmsim.problems import BadInput, Problem

LIFETIME = timedelta(days=3650)
CLOCKS_DIFFER = timedelta(hours=1)
ADDRESSES = ("127.0.0.1", "10.0.0.1")
NAMES = ("localhost", "kubernetes.default.svc", "kubernetes")
SUBJECTS: Mapping[str, tuple[str, str]] = {
    "server": ("kubeone", ""),
    "webhook": ("vmsim-webhook", ""),
    "etcd-client": ("kube-apiserver", ""),
    "admin": ("vmsim-admin", "system:masters"),
    "controller": ("vmsim-controller", ""),
    "user": ("vmsim-user", "vmsim:users"),
}
"""By the file's stem: common name and organization, which are the user and the group."""
KUBECONFIGS: Mapping[str, str] = {
    "admin": "kubeconfig",
    "controller": "controller.kubeconfig",
    "user": "user.kubeconfig",
}


@dataclass(frozen=True, slots=True)
class Pair:
    """The files of a certificate and its key."""

    folder: Path
    stem: str

    @property
    def certificate(self) -> Path:
        """Signed by the authority of the folder."""
        return self.folder / f"{self.stem}.crt"

    @property
    def key(self) -> Path:
        """The private key."""
        return self.folder / f"{self.stem}.key"


def pair(folder: Path, stem: str) -> Pair:
    """The pair of a data folder: "ca" is the authority's, "accounts" has a key only."""
    return Pair(folder / "pki", stem)


def prepare(folder: Path, port: int) -> None:
    """Make what the data folder lacks, and kubeconfigs for a server on this port.

    BadInput when a file that is there cannot be read.
    """
    (folder / "pki").mkdir(mode=0o700, parents=True, exist_ok=True)
    authority = _authority(pair(folder, "ca"))
    _key(pair(folder, "accounts").key)
    for stem, (name, group) in SUBJECTS.items():
        _sign(pair(folder, stem), _subject(name, group), authority)
    for stem, file in KUBECONFIGS.items():
        text = json.dumps(_kubeconfig(folder, stem, port), indent=2) + "\n"
        _write(folder / file, text.encode())


@dataclass(frozen=True, slots=True)
class _Authority:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def _authority(at: Pair) -> _Authority:
    key = _key(at.key)
    if at.certificate.exists():
        try:
            return _Authority(x509.load_pem_x509_certificate(at.certificate.read_bytes()), key)
        except ValueError as error:
            raise _unusable(at.certificate, error) from None
    subject = _subject("vmsim", "")
    own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    certificate = (
        _blank(subject, subject, key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(own, critical=False)
        .sign(key, hashes.SHA256())
    )
    _write(at.certificate, certificate.public_bytes(serialization.Encoding.PEM))
    return _Authority(certificate, key)


def _sign(at: Pair, subject: x509.Name, authority: _Authority) -> None:
    """Make a certificate for loopback, for both ends of a connection, unless it is there."""
    if at.certificate.exists():
        return
    issued_by = authority.key.public_key()
    ends = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    addresses = [x509.IPAddress(ipaddress.ip_address(text)) for text in ADDRESSES]
    names = [x509.DNSName(text) for text in NAMES]
    certificate = (
        _blank(subject, authority.certificate.subject, _key(at.key))
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(ends), critical=False)
        .add_extension(x509.SubjectAlternativeName([*addresses, *names]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issued_by), critical=False
        )
        .sign(authority.key, hashes.SHA256())
    )
    _write(at.certificate, certificate.public_bytes(serialization.Encoding.PEM))


def _blank(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCKS_DIFFER)
        .not_valid_after(now + LIFETIME)
    )


def _subject(name: str, group: str) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, name)]
    if group:
        parts.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, group))
    return x509.Name(parts)


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    words = ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
             "crl_sign", "encipher_only", "decipher_only")  # fmt: skip
    return x509.KeyUsage(
        digital_signature=True, key_cert_sign=signs_certificates, **dict.fromkeys(words, False)
    )


def _key(path: Path) -> ec.EllipticCurvePrivateKey:
    """The key in the file, made when there is none."""
    if path.exists():
        try:
            key = serialization.load_pem_private_key(path.read_bytes(), password=None)
        except ValueError as error:
            raise _unusable(path, error) from None
        assert isinstance(key, ec.EllipticCurvePrivateKey), f"{path} is of another kind"
        return key
    made = ec.generate_private_key(ec.SECP256R1())
    text = made.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    _write(path, text)
    return made


def _kubeconfig(folder: Path, stem: str, port: int) -> dict[str, object]:
    user, name = pair(folder, stem), "vmsim"
    cluster = {
        "server": f"https://127.0.0.1:{port}",
        "certificate-authority-data": _base64(pair(folder, "ca").certificate),
    }
    proof = {
        "client-certificate-data": _base64(user.certificate),
        "client-key-data": _base64(user.key),
    }
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": stem, "user": proof}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": stem}}],
    }


def _base64(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def _write(path: Path, text: bytes) -> None:
    """Write the file so that it is never seen half written, nor by others."""
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(text)
    fresh.rename(path)


def _unusable(path: Path, error: Exception) -> BadInput:
    hint = "remove the data folder to start anew"
    return BadInput([Problem(f"cannot be used: {error}", file=str(path), hint=hint)])
