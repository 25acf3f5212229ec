"""A certificate authority that lives as long as a test or a demonstration, and TLS contexts for servers.

One authority, one key, a certificate for each host made when a client asks for it by name (SNI). Nothing here
is for use beyond loopback: the keys lie in a folder of the caller's and are thrown away with it.
"""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

#: Names in every certificate, for clients that come by address and so send no server name.
LOCAL_NAMES = ("localhost", "127.0.0.1")
#: How long before now a certificate begins: clocks of two processes may differ a little.
BACKDATED = datetime.timedelta(days=1)
#: How long a certificate holds; CA rules for public servers do not matter here, a long test run does.
LIFETIME = datetime.timedelta(days=30)
#: Characters of a host name that fit into a common name (RFC 5280, ub-common-name).
MAX_COMMON_NAME = 64


class HostContext(ssl.SSLContext):
    """A server context that remembers for which name it was made."""

    server_name: str | None = None


class Authority:
    """A private CA. `ca_file` is what a client trusts; `context()` is what a server speaks with."""

    def __init__(self, folder: Path) -> None:
        """Make the keys and write `ca.pem` into the folder (which must exist)."""
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._leaf_key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Loopback test authority")])
        self._certificate = self._make_root()
        self._contexts: dict[str, HostContext] = {}
        self.ca_file = folder / "ca.pem"
        self.ca_file.write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))
        self._key_file = folder / "leaf-key.pem"
        self._key_file.write_bytes(
            self._leaf_key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        self._key_file.chmod(0o600)

    def context(self, *, only: Sequence[str] | None = None, expired: bool = False) -> ssl.SSLContext:
        """A server context that answers any name with a certificate of its own.

        With `only`, every client gets one certificate for just these names (to play a host with a wrong one);
        with `expired`, that certificate has run out.
        """
        if only is not None or expired:
            return self._load(tuple(only or LOCAL_NAMES), expired=expired)
        base = self._load(LOCAL_NAMES)
        base.sni_callback = self._choose
        return base

    def _choose(self, tls: ssl.SSLObject, name: str | None, base: ssl.SSLContext) -> None:
        if name is None:
            return
        if name not in self._contexts:
            self._contexts[name] = self._load((name,))
        tls.context = self._contexts[name]

    def _load(self, names: Sequence[str], *, expired: bool = False) -> HostContext:
        context = HostContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_alpn_protocols(["http/1.1"])
        context.server_name = names[0] if len(names) == 1 else None
        chain = self._folder / "chain.pem"
        pem = self.issue(names, expired=expired).public_bytes(serialization.Encoding.PEM)
        chain.write_bytes(pem + self.ca_file.read_bytes())
        context.load_cert_chain(chain, self._key_file)
        return context

    def issue(self, names: Sequence[str], *, expired: bool = False) -> x509.Certificate:
        """A certificate for these names (or addresses)."""
        now = datetime.datetime.now(datetime.UTC)
        end = now - BACKDATED / 2 if expired else now + LIFETIME
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:MAX_COMMON_NAME])])
        builder = self._begin(subject, self._leaf_key.public_key(), now - BACKDATED, end)
        return (
            builder.add_extension(x509.SubjectAlternativeName([_general(name) for name in names]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )

    def _make_root(self) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        public = self._key.public_key()
        usage = x509.KeyUsage(
            digital_signature=True, key_cert_sign=True, crl_sign=True, content_commitment=False,
            key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False,
            decipher_only=False,
        )  # fmt: skip
        return (
            self._begin(self._name, public, now - BACKDATED, now + LIFETIME)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .sign(self._key, hashes.SHA256())
        )

    def _begin(
        self,
        subject: x509.Name,
        public: ec.EllipticCurvePublicKey,
        start: datetime.datetime,
        end: datetime.datetime,
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(end)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        )


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
