"""RFC 3161 responses: those of others are judged as `openssl ts` judges them, ours as they were asked for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from schemas.errors import CheckFailed, InvalidValue, SettingsError
from schemas.standalone import openssl_timestamp
from storage.log.stamps import check_files, check_response, make_request, parse_certificates, trusted_roots
from tests.support.authority import TimeAuthority

TEXT = b"pressmark.invalid/test\n13\nroot\n"
#: Fixture of rfc3161-client -> whether it is a timestamp over `hello` by the chain beside it.
FIXTURES = {
    "identrust__issue-104": True,
    "sigstage__response-invalid-signature": False,
    "sigstage__response-no-embedded-cert": True,  # its signer's certificate is in the chain beside it
    "sigstage__response-sha256": True,
    "sigstage__response-sha384": True,
    "sigstage__response-sha512": True,
    "sigstore.mock__response-expired": False,  # over another text
    "test_tsa__other_response": False,  # of another authority
    "test_tsa__response": True,
    "test_tsa__response-injected-certs": True,  # certificates of strangers beside the signer's change nothing
}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TimeAuthority]:
    with TimeAuthority(tmp_path_factory.mktemp("tsa")) as running:
        yield running


def pem_of(data: bytes) -> bytes:
    """One of the chains is a single certificate in DER."""
    if b"-----BEGIN" in data:
        return data
    from cryptography.hazmat.primitives.serialization import Encoding
    from cryptography.x509 import load_der_x509_certificate

    return load_der_x509_certificate(data).public_bytes(Encoding.PEM)


@pytest.mark.shared
def test_the_fixtures_are_judged_right(shared: Path) -> None:
    folder = shared / "vectors" / "rfc3161"
    assert {path.stem for path in folder.glob("*.tsr")} == set(FIXTURES)
    for name, right in FIXTURES.items():
        chain = pem_of((folder / f"{name.partition('__')[0]}__ts_chain.pem").read_bytes())
        files = {"response.tsr": (folder / f"{name}.tsr").read_bytes(), "chain.pem": chain}
        for judge in (check_files, openssl_timestamp):
            try:
                instant = judge(b"hello", files)
            except CheckFailed:
                assert not right, (name, judge)
                continue
            assert right, (name, judge)
            assert instant.year in (2024, 2025)
        with pytest.raises(CheckFailed):
            check_files(b"hullo", files)


def test_a_response_to_our_request_holds_and_openssl_agrees(authority: TimeAuthority) -> None:
    roots = trusted_roots(authority.ca_file)
    request = make_request(TEXT)
    reply = authority.reply(request.data)
    stamp = check_response(TEXT, reply, roots, nonce=request.nonce)
    assert len(parse_certificates(stamp.chain)) == 2
    files = {"response.tsr": reply, "request.tsq": request.data, "chain.pem": stamp.chain}
    assert check_files(TEXT, files) == openssl_timestamp(TEXT, files) == stamp.instant
    pinned = authority.ca_file.read_bytes()
    assert check_files(TEXT, files, anchors=pinned) == openssl_timestamp(TEXT, files, pinned) == stamp.instant


def test_what_does_not_fit_is_refused_by_both(authority: TimeAuthority, tmp_path: Path) -> None:
    request, other = make_request(TEXT), make_request(TEXT)
    reply = authority.reply(request.data)
    roots = trusted_roots(authority.ca_file)
    chain = check_response(TEXT, reply, roots).chain
    with TimeAuthority(tmp_path, "stranger") as other_authority:
        stranger = other_authority
    right = {"response.tsr": reply, "request.tsq": request.data, "chain.pem": chain}
    wrong = {
        "another text": (TEXT + b"x", right, None),
        "another nonce": (TEXT, {**right, "request.tsq": other.data}, None),
        "another root": (TEXT, right, stranger.ca_file.read_bytes()),
        "no chain": (TEXT, {**right, "chain.pem": b""}, None),
        "a cut response": (TEXT, {**right, "response.tsr": reply[:-1]}, None),
        "a flipped bit": (TEXT, {**right, "response.tsr": reply[:-9] + bytes([reply[-9] ^ 1]) + reply[-8:]}, None),
        "no response": (TEXT, {"chain.pem": chain}, None),
    }
    for name, (text, files, anchors) in wrong.items():
        for judge in (check_files, openssl_timestamp):
            with pytest.raises(CheckFailed):
                print(name, judge(text, files, anchors))
    with pytest.raises(CheckFailed, match="Nonce"):
        check_response(TEXT, reply, roots, nonce=other.nonce)


def test_an_authority_that_refuses_is_told_so(authority: TimeAuthority) -> None:
    refusal = authority.reply(b"\x30\x03\x02\x01\x01")
    with pytest.raises(CheckFailed, match="did not grant the timestamp: rejected"):
        check_response(TEXT, refusal, trusted_roots(authority.ca_file))


def test_roots_come_from_a_file_or_the_system(tmp_path: Path) -> None:
    for path in (tmp_path / "none.pem", tmp_path):
        with pytest.raises(SettingsError, match="timestamp_ca_file"):
            trusted_roots(path)
    (tmp_path / "x.pem").write_bytes(b"nothing")
    with pytest.raises(SettingsError, match="no certificates"):
        trusted_roots(tmp_path / "x.pem")
    with pytest.raises(InvalidValue):
        parse_certificates(b"")
    assert isinstance(trusted_roots(None), list)
