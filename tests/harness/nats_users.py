"""Certificates for a NATS server, and users of it whose JWTs an operator and an account vouch for."""

import base64
import datetime
import ipaddress
import json
import secrets
import time
from pathlib import Path
from typing import Any

import nkeys
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

EVERYTHING = {"subs": -1, "data": -1, "payload": -1}
SYSTEM = {**EVERYTHING, **dict.fromkeys(("imports", "exports", "conn", "leaf"), -1), "wildcards": True}
ACCOUNT = {**SYSTEM, **dict.fromkeys(("mem_storage", "disk_storage", "streams", "consumer"), -1)}

INBOX = ["_INBOX.>"]


class Key:
    """An nkey: `kind` is one of nkeys.PREFIX_BYTE_*."""

    def __init__(self, kind: int) -> None:
        self.seed: bytes = nkeys.encode_seed(secrets.token_bytes(32), kind)
        self.public: str = nkeys.from_seed(bytearray(self.seed)).public_key.decode()

    def vouch(self, subject: "Key", name: str, kind: str, about: dict[str, Any]) -> str:
        """A JWT about another key."""
        claims = {
            "jti": secrets.token_hex(8),
            "iat": int(time.time()),
            "iss": self.public,
            "name": name,
            "sub": subject.public,
            "nats": {**about, "type": kind, "version": 2},
        }
        said = f"{_encoded({'typ': 'JWT', 'alg': 'ed25519-nkey'})}.{_encoded(claims)}"
        return f"{said}.{_base64(nkeys.from_seed(bytearray(self.seed)).sign(said.encode()))}"


class Operator:
    """Of a server with an account for us, and one for itself."""

    def __init__(self) -> None:
        self._key, self._account, system = (
            Key(kind) for kind in (nkeys.PREFIX_BYTE_OPERATOR, nkeys.PREFIX_BYTE_ACCOUNT, nkeys.PREFIX_BYTE_ACCOUNT)
        )
        preloaded = {
            self._account.public: self._key.vouch(self._account, "observatory", "account", {"limits": ACCOUNT}),
            system.public: self._key.vouch(system, "SYS", "account", {"limits": SYSTEM}),
        }
        lines = "\n".join(f"  {public}: {jwt}" for public, jwt in preloaded.items())
        own = self._key.vouch(self._key, "operator", "operator", {})
        self.config = (
            f"operator: {own}\nsystem_account: {system.public}\nresolver: MEMORY\nresolver_preload: {{\n{lines}\n}}\n"
        )

    def user(self, file: Path, *, publish: list[str] | None = None) -> Path:
        """The credentials of a user that may do all; or publish to these subjects alone, and hear answers."""
        key = Key(nkeys.PREFIX_BYTE_USER)
        allowed = {"pub": {}, "sub": {}} if publish is None else {"pub": {"allow": publish}, "sub": {"allow": INBOX}}
        jwt = self._account.vouch(key, file.stem, "user", {**EVERYTHING, **allowed})
        file.write_text(
            f"-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n"
            f"-----BEGIN USER NKEY SEED-----\n{key.seed.decode()}\n------END USER NKEY SEED------\n"
        )
        return file


def _encoded(value: dict[str, Any]) -> str:
    return _base64(json.dumps(value).encode())


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def certified(folder: Path) -> str:
    """A server's configuration with a certificate for 127.0.0.1, for which `folder`/ca.pem vouches."""
    key, ca = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    found = {
        "ca": _certificate("ca", ca, ca, x509.BasicConstraints(ca=True, path_length=0)),
        "server": _certificate("server", key, ca, address),
    }
    for name, certificate in found.items():
        (folder / f"{name}.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    form = serialization.PrivateFormat.PKCS8
    (folder / "server.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    )
    return f"tls {{ cert_file: '{folder}/server.pem', key_file: '{folder}/server.key' }}\n"


def _certificate(
    name: str, key: ec.EllipticCurvePrivateKey, ca: ec.EllipticCurvePrivateKey, what: x509.ExtensionType
) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca.public_key())
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ca")]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(what, critical=isinstance(what, x509.BasicConstraints))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(identifier, critical=False)
        .sign(ca, hashes.SHA256())
    )
