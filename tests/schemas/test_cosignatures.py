"""Cosignatures: what verifies, what is refused, and what each type of key covers."""

import struct

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import mldsa
from hypothesis import given
from hypothesis import strategies as st

from schemas.checkpoints import (
    ALGORITHM_ED25519,
    ALGORITHM_MLDSA44,
    Checkpoint,
    Note,
    NoteSignature,
    VerifierKey,
    note_signature_line,
    parse_signature_lines,
)
from schemas.cosignatures import (
    WITNESS_TYPES,
    TimedSignature,
    cosigned_message,
    subtree_message,
    verify_cosignature,
    with_signatures,
)
from schemas.errors import CheckFailed, InvalidValue, ServiceError
from tests.schemas.evidence import Key, Witness, capture_world

WITNESS = Witness.make(9, "witness.example/w1")
CHECKPOINT = capture_world().checkpoint()
TIME = 1_679_315_147


def noted(*lines: bytes) -> Note:
    return Note.parse(CHECKPOINT + b"".join(lines))


def verify_with_library(public: bytes, signature: bytes, message: bytes) -> bool:
    try:
        mldsa.MLDSA44PublicKey.from_public_bytes(public).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def test_the_message_is_that_of_the_specification() -> None:
    text = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    assert cosigned_message(text, TIME) == b"cosignature/v1\ntime 1679315147\n" + text.encode()
    message = subtree_message(Checkpoint.parse(text), "w", 7)
    assert message[:12] == b"subtree/v1\n\0"
    assert message[12:14] == b"\x01w"
    assert message[14:22] == struct.pack(">Q", 7)
    assert message[22:50] == b"\x1bexample.com/behind-the-sofa"
    assert message[50:66] == struct.pack(">QQ", 0, 20852163)
    assert message[66:] == Checkpoint.parse(text).root


def test_the_example_of_the_specification_is_read() -> None:
    line = (
        "\u2014 witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZ"
        "qhf5nNo0xUe+mbIUBkBIfZ+qnA==\n"
    )
    (signature,) = parse_signature_lines(line.encode())
    assert TimedSignature.parse(signature.signature, WITNESS_TYPES[0]).time == TIME
    assert note_signature_line(signature.name, signature.key_id, signature.signature) == line


def test_an_ed25519_cosignature_verifies() -> None:
    assert verify_cosignature(noted(WITNESS.cosign(CHECKPOINT, TIME)), WITNESS.vkey) == TIME


def test_an_mldsa44_cosignature_verifies_where_a_library_is_handed_in() -> None:
    private = mldsa.MLDSA44PrivateKey.generate()
    vkey = VerifierKey(
        name="witness.example/q", public=private.public_key().public_bytes_raw(), algorithm=ALGORITHM_MLDSA44
    )
    assert VerifierKey.parse(str(vkey), types=WITNESS_TYPES) == vkey
    head = Checkpoint.parse(Note.parse(CHECKPOINT).text)
    signature = private.sign(subtree_message(head, vkey.name, TIME))
    timed = TimedSignature(time=TIME, signature=signature)
    note = noted(note_signature_line(vkey.name, vkey.key_id, timed.encode()).encode())
    assert verify_cosignature(note, vkey, verify_with_library) == TIME
    with pytest.raises(ServiceError, match="cannot be checked here"):
        verify_cosignature(note, vkey)
    later = TimedSignature(time=TIME + 1, signature=signature)
    with pytest.raises(CheckFailed, match="not that of this checkpoint"):
        verify_cosignature(
            noted(note_signature_line(vkey.name, vkey.key_id, later.encode()).encode()), vkey, verify_with_library
        )


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([], "no cosignatures"),
        ([WITNESS.cosign(CHECKPOINT, 1), WITNESS.cosign(CHECKPOINT, 2)], "2 cosignatures"),
        ([note_signature_line(WITNESS.vkey.name, WITNESS.vkey.key_id, b"short").encode()], "cannot be read"),
        ([note_signature_line(WITNESS.vkey.name, WITNESS.vkey.key_id, b"\xff" * 72).encode()], "beyond 2"),
        ([note_signature_line(WITNESS.vkey.name, WITNESS.vkey.key_id, bytes(72)).encode()], "not that of this"),
    ],
)
def test_what_is_no_cosignature_is_refused(lines: list[bytes], words: str) -> None:
    with pytest.raises(CheckFailed, match=words):
        verify_cosignature(noted(*lines), WITNESS.vkey)


def test_a_log_cannot_witness_itself_with_its_own_type_of_key() -> None:
    with pytest.raises(CheckFailed, match="no key of a witness"):
        verify_cosignature(noted(), Key.make().vkey)
    with pytest.raises(InvalidValue, match="another type than 0x01"):
        VerifierKey.parse(str(WITNESS.vkey))
    with pytest.raises(InvalidValue, match="another type than 0x04 or 0x06"):
        VerifierKey.parse(str(Key.make().vkey), types=WITNESS_TYPES)
    with pytest.raises(InvalidValue, match="no type of key"):
        VerifierKey(name="w", public=bytes(32), algorithm=0x05)
    assert Key.make().vkey.algorithm == ALGORITHM_ED25519


@given(st.integers(0, 2**63 - 1), st.binary(min_size=64, max_size=64))
def test_a_timed_signature_reads_back(time: int, signature: bytes) -> None:
    timed = TimedSignature(time=time, signature=signature)
    assert TimedSignature.parse(timed.encode(), WITNESS_TYPES[0]) == timed


def test_signature_lines_that_stand_alone_are_strict() -> None:
    line = WITNESS.cosign(CHECKPOINT, TIME)
    assert len(parse_signature_lines(line * 3)) == 3
    for wrong in (b"", line[:-1], line + b"\n", b"x" + line, line.replace(b"=", b""), b"\xff\n", line * 65):
        with pytest.raises(InvalidValue):
            parse_signature_lines(wrong)


def test_a_line_is_added_once() -> None:
    (line,) = parse_signature_lines(WITNESS.cosign(CHECKPOINT, TIME))
    once = with_signatures(noted(), (line, line))
    assert once.signatures[1:] == (line,)
    assert with_signatures(once, (line,)) == once
    assert isinstance(line, NoteSignature)
