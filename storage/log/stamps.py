"""RFC 3161 timestamps: what to ask an authority, and whether its answer holds.

`rfc3161-client` checks the token: the imprint is that of our text, the nonce that of our request, the signer is meant
for timestamps, and its certificates lead to a root at the time that it names. Sending, keeping and logging are left to
`storage.anchoring`; how a stranger checks one with `openssl ts` to `schemas.standalone`.
"""

from __future__ import annotations

import re
import ssl
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding
from rfc3161_client import (
    HashAlgorithm,
    TimestampRequestBuilder,
    TimeStampResponse,
    VerificationError,
    VerifierBuilder,
    decode_timestamp_response,
)
from rfc3161_client._rust import parse_timestamp_request  # the library reads requests, and does not say so

from schemas.errors import CheckFailed, InvalidValue, SettingsError

Certificate = x509.Certificate

#: Content types of RFC 3161 section 3.4.
QUERY_TYPE: Final = "application/timestamp-query"
REPLY_TYPE: Final = "application/timestamp-reply"
#: Bytes of a response: a token with its chain has a few thousand.
MAX_RESPONSE: Final = 1_000_000
#: Certificates between a signer and its root, both included; real chains have three or four.
MAX_CHAIN: Final = 10
_STATUS_WORDS: Final = {1: "granted with changes", 2: "rejected", 3: "waiting", 4: "revocation warning", 5: "revoked"}


@dataclass(frozen=True, kw_only=True, slots=True)
class StampRequest:
    """What an authority is asked."""

    data: bytes  # DER
    nonce: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Stamp:
    """A token that holds."""

    instant: datetime  # UTC
    chain: bytes  # PEM: the signer's certificate first, the root last


def make_request(text: bytes) -> StampRequest:
    """A request to stamp `text` (SHA-256), with a nonce of its own, asking for the certificates."""
    builder = TimestampRequestBuilder().data(text).hash_algorithm(HashAlgorithm.SHA256)
    made = builder.nonce(nonce=True).cert_request(cert_request=True).build()
    if made.nonce is None:  # the builder was asked for one
        raise CheckFailed("the request for a timestamp came out without a nonce")
    return StampRequest(data=made.as_bytes(), nonce=made.nonce)


def check_response(
    text: bytes, response: bytes, roots: Sequence[x509.Certificate], *, nonce: int | None = None
) -> Stamp:
    """Check a response over `text` by these roots, and by the nonce that was sent. Raises CheckFailed."""
    reply = _decode(response)
    if reply.status != 0:
        raise CheckFailed(f"the authority did not grant the timestamp: {_STATUS_WORDS.get(reply.status, 'no status')}")
    try:
        inside = [x509.load_der_x509_certificate(data) for data in reply.signed_data.certificates]
        signer = _signer_of(reply, [*inside, *roots])
        builder = VerifierBuilder(roots=list(roots), nonce=nonce)
        builder = builder if signer in inside else builder.tsa_certificate(signer)
        builder.build().verify_message(reply, text)
        instant = reply.tst_info.gen_time.astimezone(UTC)
        chain = _chain(signer, [*inside, *roots])
    except (VerificationError, ValueError, UnsupportedAlgorithm, x509.InvalidVersion) as error:
        raise CheckFailed(f"the timestamp does not hold: {_words(error)}") from error
    return Stamp(instant=instant, chain=b"".join(c.public_bytes(Encoding.PEM) for c in chain))


def check_files(text: bytes, files: Mapping[str, bytes], anchors: bytes | None = None) -> datetime:
    """Check the files of one timestamp as they lie in a bundle, by `anchors` (PEM) or else by its own chain.

    Gives the proven instant. Raises CheckFailed.
    """
    if not {"response.tsr", "chain.pem"} <= files.keys():
        raise CheckFailed("there is no response.tsr with a chain.pem")
    try:
        roots = parse_certificates(files["chain.pem"] if anchors is None else anchors)
    except InvalidValue as error:
        raise CheckFailed(f"its certificates cannot be read: {error.message}") from error
    stamp = check_response(text, files["response.tsr"], roots)
    if "request.tsq" in files:
        _check_request(files["request.tsq"], _decode(files["response.tsr"]))
    return stamp.instant


def parse_certificates(pem: bytes) -> list[x509.Certificate]:
    """The certificates in a PEM text, each once. Raises InvalidValue where there is none or one cannot be read."""
    try:
        found = x509.load_pem_x509_certificates(pem)
    except ValueError as error:
        raise InvalidValue(f"no certificates in PEM form: {error}") from error
    return list(dict.fromkeys(found))


def trusted_roots(ca_file: Path | None) -> list[x509.Certificate]:
    """The certificates in `ca_file`, or the system's authorities where None. Raises SettingsError."""
    try:
        if ca_file is not None:
            return parse_certificates(ca_file.read_bytes())
        return _system_roots()
    except (OSError, InvalidValue) as error:
        words = error.message if isinstance(error, InvalidValue) else error.strerror or str(error)
        raise SettingsError(
            f"the certificates in {ca_file} cannot be read: {words}",
            remedy="name a PEM file with the roots of the timestamp authorities as [log] timestamp_ca_file",
        ) from error


def _system_roots() -> list[x509.Certificate]:
    context = ssl.create_default_context()
    texts = [ssl.DER_cert_to_PEM_cert(data).encode() for data in context.get_ca_certs(binary_form=True)]
    folder = ssl.get_default_verify_paths().capath
    if not texts and folder is not None:  # OpenSSL reads a folder only as it needs it
        texts = [path.read_bytes() for path in sorted(Path(folder).glob("*.0"))]
    found: dict[x509.Certificate, None] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # what a system trusts may hold what a strict reader refuses, or soon will
        for text in texts:
            with suppress(InvalidValue, UserWarning):
                found |= dict.fromkeys(parse_certificates(text))
    return list(found)


def _decode(response: bytes) -> TimeStampResponse:
    if len(response) > MAX_RESPONSE:
        raise CheckFailed(f"a timestamp response has at most {MAX_RESPONSE} bytes")
    try:
        return decode_timestamp_response(response)
    except ValueError as error:
        raise CheckFailed(f"not a timestamp response: {error}") from error


def _signer_of(reply: TimeStampResponse, known: Sequence[x509.Certificate]) -> x509.Certificate:
    """The certificate that the token names as its signer's."""
    infos = list(reply.signed_data.signer_infos)
    if len(infos) != 1:
        raise CheckFailed(f"the timestamp is signed by {len(infos)}, not by one")
    for certificate in known:
        if (certificate.issuer, certificate.serial_number) == (infos[0].issuer, infos[0].serial_number):
            return certificate
    raise CheckFailed("the certificate of the timestamp's signer is not there")


def _chain(signer: x509.Certificate, known: Sequence[x509.Certificate]) -> list[x509.Certificate]:
    """From the signer's certificate up to one that issued itself. Raises CheckFailed where there is no such way."""
    chain = [signer]
    while len(chain) <= MAX_CHAIN:
        if _issued(chain[-1], chain[-1]):
            return chain
        above = next((c for c in known if c not in chain and _issued(c, chain[-1])), None)
        if above is None:
            break
        chain.append(above)
    raise CheckFailed("the certificates of the timestamp do not lead to a root")


def _issued(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def _check_request(request: bytes, reply: TimeStampResponse) -> None:
    """The response answers this request: same imprint, same nonce. Raises CheckFailed."""
    try:
        asked = parse_timestamp_request(request)
    except ValueError as error:
        raise CheckFailed(f"the request that lies beside the timestamp cannot be read: {error}") from error
    told, imprint = reply.tst_info, reply.tst_info.message_imprint
    wanted = (asked.message_imprint.hash_algorithm, asked.message_imprint.message, asked.nonce)
    if wanted != (imprint.hash_algorithm, imprint.message, told.nonce) or asked.as_bytes() != request:
        raise CheckFailed("the timestamp does not answer the request that lies beside it")


def _words(error: Exception) -> str:
    """What a library says, without its stack of OpenSSL's errors."""
    return re.split(r": ErrorStack|\[Error", str(error))[0][:200]
