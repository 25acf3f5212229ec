"""Signed notes, verifier keys and checkpoints: strict both ways, and only the right key opens them."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from schemas.checkpoints import (
    MAX_SIGNATURES,
    Checkpoint,
    Note,
    NoteSignature,
    VerifierKey,
    note_signature_line,
    open_checkpoint,
    verify_note,
)
from schemas.errors import CheckFailed, InvalidValue

# The example of golang.org/x/mod/sumdb/note, which the specification grew from.
PETER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
PETERS_NOTE = """\
If you think cryptography is the answer to your problem,
then you don't know what your problem is.

— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=
""".encode()

ORIGIN = "pressmark.invalid/test"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
VKEY = VerifierKey(name=ORIGIN, public=KEY.public_key().public_bytes_raw())
OTHER = VerifierKey(name=ORIGIN, public=Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key().public_bytes_raw())


def signed(text: str, vkey: VerifierKey = VKEY) -> bytes:
    return f"{text}\n{note_signature_line(vkey.name, vkey.key_id, KEY.sign(text.encode()))}".encode()


names = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zs", "Zl", "Zp")), min_size=1, max_size=20).filter(
    lambda name: "+" not in name and not any(char.isspace() for char in name)
)
signatures = st.builds(
    NoteSignature, name=names, key_id=st.binary(min_size=4, max_size=4), signature=st.binary(min_size=1, max_size=80)
)
lines = st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=40)


@given(st.lists(lines, min_size=1), st.lists(signatures, min_size=1, max_size=MAX_SIGNATURES))
def test_a_note_reads_back(text: list[str], marks: list[NoteSignature]) -> None:
    note = Note(text="\n".join(text) + "\n", signatures=tuple(marks))
    assert Note.parse(note.encode()) == note


@given(names, st.binary(min_size=32, max_size=32))
def test_a_verifier_key_reads_back(name: str, public: bytes) -> None:
    key = VerifierKey(name=name, public=public)
    assert VerifierKey.parse(str(key)) == key


@given(lines.filter(bool), st.integers(0, 2**63 - 1), st.binary(min_size=32, max_size=32), st.lists(lines.filter(bool)))
def test_a_checkpoint_reads_back(origin: str, size: int, root: bytes, extensions: list[str]) -> None:
    checkpoint = Checkpoint(origin=origin, size=size, root=root, extensions=tuple(extensions))
    assert Checkpoint.parse(checkpoint.text) == checkpoint


def test_a_note_by_another_implementation_verifies() -> None:
    verify_note(Note.parse(PETERS_NOTE), VerifierKey.parse(PETER))
    assert Note.parse(PETERS_NOTE).encode() == PETERS_NOTE
    changed = PETERS_NOTE.replace(b"problem is", b"problem was")
    with pytest.raises(CheckFailed, match="not that of this text"):
        verify_note(Note.parse(changed), VerifierKey.parse(PETER))


MARK = note_signature_line("a.example", b"1234", b"signature")


@pytest.mark.parametrize(
    "text",
    [
        "", "\n", "text", "text\n", "text\n\n", f"text\n{MARK}", f"text\n\n{MARK}\n",
        f"text\n\n{MARK[:-1]}",
        f"te\rxt\n\n{MARK}", f"te\txt\n\n{MARK}", f"text\n\n-{MARK[1:]}", f"text\n\n{MARK}junk\n",
        "text\n\n— a.example\n", "text\n\n— a b MTIzNHg=\n", "text\n\n— a+b MTIzNHg=\n", "text\n\n—  MTIzNHg=\n",
        "text\n\n— a MTIzNA==\n", "text\n\n— a MTIzNHg\n", "text\n\n— a MTIzNHh=\n", "text\n\n— a MTIzNHg= \n",
        f"text\n\n{MARK * (MAX_SIGNATURES + 1)}",
    ],
)  # fmt: skip
def test_what_is_no_note_is_refused(text: str) -> None:
    with pytest.raises(InvalidValue):
        Note.parse(text.encode())


def test_bytes_that_are_no_note_are_refused() -> None:
    for data in (b"te\xffxt\n\n" + MARK.encode(), b"x" * 2_000_000):
        with pytest.raises(InvalidValue):
            Note.parse(data)


@pytest.mark.parametrize(
    "text",
    ["", "a", "a+b", "a+c74f20a3+", PETER[:-1], PETER + "A", PETER.replace("c74f20a3", "c74f20a4"), PETER.upper(),
     PETER.replace("Peter", "Petra"), "+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"],
)  # fmt: skip
def test_what_is_no_verifier_key_is_refused(text: str) -> None:
    with pytest.raises(InvalidValue):
        VerifierKey.parse(text)


ROOT = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I="


@pytest.mark.parametrize(
    "text",
    [
        "", "\n\n\n", f"{ORIGIN}\n1\n", f"{ORIGIN}\n1\n{ROOT}", f"{ORIGIN}\n01\n{ROOT}\n", f"{ORIGIN}\n-1\n{ROOT}\n",
        f"{ORIGIN}\n+1\n{ROOT}\n", f"{ORIGIN}\n\n{ROOT}\n", f"{ORIGIN}\n1\n{ROOT[:-1]}\n", f"{ORIGIN}\n1\nAAAA\n",
        f"\n1\n{ROOT}\n", f"{ORIGIN}\n1\n{ROOT}\n\n", f"{ORIGIN}\n99999999999999999999\n{ROOT}\n",
        f"{ORIGIN}\n١\n{ROOT}\n",
        f"{ORIGIN}\n9999999999999999999\n{ROOT}\n", f"{ORIGIN}\n1 \n{ROOT}\n",
    ],
)  # fmt: skip
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(InvalidValue):
        Checkpoint.parse(text)


def test_a_checkpoint_that_would_not_read_back_is_not_printed() -> None:
    for checkpoint in (
        Checkpoint(origin="a\nb", size=1, root=bytes(32)),
        Checkpoint(origin="a", size=-1, root=bytes(32)),
        Checkpoint(origin="a", size=1, root=b""),
        Checkpoint(origin="a", size=1, root=bytes(32), extensions=("",)),
    ):
        with pytest.raises(InvalidValue):
            _ = checkpoint.text


CHECKPOINT = Checkpoint(origin=ORIGIN, size=7, root=bytes(range(32)))


def test_only_the_right_key_opens_a_checkpoint() -> None:
    data = signed(CHECKPOINT.text)
    assert open_checkpoint(data, VKEY) == CHECKPOINT
    with pytest.raises(CheckFailed, match="no signature by the key"):
        open_checkpoint(data, OTHER)


def test_lines_by_others_are_ignored_but_none_by_the_key_may_be_wrong() -> None:
    data = signed(CHECKPOINT.text)
    witness = note_signature_line("witness.example", b"1234", b"whatever").encode()
    same_id = note_signature_line("witness.example", VKEY.key_id, b"whatever").encode()
    assert open_checkpoint(data + witness + same_id, VKEY) == CHECKPOINT
    own = note_signature_line(VKEY.name, VKEY.key_id, KEY.sign(CHECKPOINT.text.encode())).encode()
    with pytest.raises(CheckFailed, match="two signatures"):
        open_checkpoint(data + own, VKEY)
    with pytest.raises(CheckFailed, match="not that of this text"):
        open_checkpoint(signed(CHECKPOINT.text).replace(b"\n7\n", b"\n8\n"), VKEY)


def test_a_key_signs_for_its_own_log_only() -> None:
    elsewhere = Checkpoint(origin="another.example/log", size=7, root=bytes(32))
    with pytest.raises(CheckFailed, match="the key of"):
        open_checkpoint(signed(elsewhere.text), VKEY)


def test_fingerprints_tell_keys_apart() -> None:
    assert len(VKEY.fingerprint) == 64
    assert VKEY.fingerprint != OTHER.fingerprint
    with pytest.raises(InvalidValue):
        VerifierKey(name=ORIGIN, public=b"short")
