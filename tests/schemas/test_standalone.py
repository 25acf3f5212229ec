"""The stranger: `verify.py` alone, in a bare `python3 -I`, with a bundle and nothing of ours."""

import ast
import importlib.util
import os
import shutil
import subprocess
import sys
from datetime import UTC
from pathlib import Path
from random import Random

import pytest

from schemas import bundles
from schemas.bundle_layout import parse_zip
from schemas.checkpoints import Note
from schemas.errors import CheckFailed
from schemas.merkle import leaf_hash
from schemas.standalone import openssl_timestamp, verify_main, verify_source
from tests.schemas.evidence import ARTICLE, CAPTURE, Key, World, add_capture, article_world, capture_world, resealed

OPENSSL = shutil.which("openssl")
needs_openssl = pytest.mark.skipif(OPENSSL is None, reason="openssl is not installed")


def stranger(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the verify.py that lies in `folder`, isolated, with nothing on its path but the standard library."""
    # -S leaves out site-packages: what is installed beside the tests must not help.
    command = [sys.executable, "-I", "-S", "-W", "error", "verify.py", *arguments]
    path = {"PATH": os.environ["PATH"]}
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=path)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """An unpacked bundle with its zip beside it."""
    data = article_world().bundle(ARTICLE)
    (tmp_path / "x.zip").write_bytes(data)
    folder = tmp_path / "x"
    for name, part in parse_zip(data).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(part)
    return folder


def test_the_program_is_one_file_on_the_standard_library() -> None:
    tree = ast.parse(verify_source())
    imported = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(str(node.module))
    assert {name.split(".")[0] for name in imported} <= sys.stdlib_module_names
    assert verify_source() == verify_source()
    assert "schemas." not in "".join(line for line in verify_source().splitlines() if "import" in line)


def test_a_stranger_verifies_a_bundle(place: Path) -> None:
    for arguments in ((), ("../x.zip",), (".",), (str(place),)):
        done = stranger(place, *arguments)
        assert (done.returncode, done.stderr) == (0, ""), done.stdout
        assert done.stdout.startswith("VERIFIED\n")
        assert "not pinned" in done.stdout


def test_a_stranger_pins_the_key(place: Path) -> None:
    right, wrong = Key.make().vkey, Key.make(2).vkey
    (place / "key.txt").write_text(f"{right}\n")
    for key in (str(right), "key.txt"):
        done = stranger(place, "../x.zip", "--key", key)
        assert done.returncode == 0, done.stdout
        assert "not pinned" not in done.stdout
    done = stranger(place, "../x.zip", "--key", str(wrong))
    assert done.returncode == 1
    assert "wrong: log.vkey: signed by another key than yours" in done.stdout


def test_a_required_timestamp_that_is_not_there_fails(place: Path) -> None:
    done = stranger(place, "--require-timestamp")
    assert done.returncode == 1
    assert "a timestamp is required" in done.stdout


@pytest.mark.parametrize(
    "arguments", [("no-such-file",), ("--key", "nonsense"), ("--no-such-option",), ("a", "b"), ("records",)]
)
def test_wrong_usage_ends_with_two(place: Path, arguments: tuple[str, ...]) -> None:
    done = stranger(place, *arguments)
    assert done.returncode == 2
    assert done.stderr
    assert "Traceback" not in done.stderr


def test_what_is_no_bundle_is_not_verified(place: Path) -> None:
    done = stranger(place, "README.txt")
    assert (done.returncode, done.stderr) == (1, "")
    assert "wrong: bundle: the zip cannot be read" in done.stdout


def test_a_tampered_folder_is_found(place: Path) -> None:
    entry = next((place / "entries").iterdir())
    entry.write_bytes(entry.read_bytes() + b" ")
    (place / "proofs" / "stray").write_bytes(b"")
    done = stranger(place)
    assert done.returncode == 1
    assert f"wrong: entries/{entry.name}: its bytes are not those" in done.stdout
    assert "wrong: proofs/stray: a part that SHA256SUMS does not cover" in done.stdout


def test_flipped_bits_are_found_by_the_program_that_travels_along(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """200 flips, judged by the generated text itself, loaded once."""
    spec = importlib.util.spec_from_file_location("stranger", place / "verify.py")
    assert spec is not None
    assert spec.loader is not None
    program = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "stranger", program)
    spec.loader.exec_module(program)
    verify_parts = program.verify_parts
    assert verify_parts is not bundles.verify_parts
    parts = parse_zip((place / "../x.zip").read_bytes())
    assert verify_parts(parts).ok
    names, random = sorted(parts), Random(23)
    for _ in range(200):
        name = random.choice(names)
        data = bytearray(parts[name])
        data[random.randrange(len(data))] ^= 1 << random.randrange(8)
        report = verify_parts({**parts, name: bytes(data)})
        assert not report.ok
        assert name == "SHA256SUMS" or name in "\n".join(report.lines())


def test_what_a_bundle_says_does_not_steer_the_terminal(tmp_path: Path) -> None:
    parts = parse_zip(capture_world().bundle(CAPTURE))
    vkey = parts["log.vkey"].replace(b"pressmark.invalid/test", "\x1b[31mé".encode())
    (tmp_path / "x.zip").write_bytes(resealed(parts, **{"log.vkey": vkey}))
    (tmp_path / "verify.py").write_text(verify_source())
    done = stranger(tmp_path, "x.zip")
    assert done.returncode == 1
    assert "\x1b" not in done.stdout + done.stderr
    assert done.stdout.isascii()


def test_the_same_program_runs_inside_the_package(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify_main([], place) == 0
    assert verify_main([str(place / "../x.zip"), "--require-timestamp"], place) == 1
    assert "VERIFIED" in capsys.readouterr().out


CONFIG = """
[tsa]
default_tsa = here
[here]
dir = .
serial = ./serial
signer_cert = ./tsa.pem
signer_key = ./tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
ordering = no
tsa_name = no
ess_cert_id_chain = no
ess_cert_id_alg = sha256
"""


def openssl(folder: Path, *arguments: str) -> None:
    assert OPENSSL is not None
    done = subprocess.run([OPENSSL, *arguments], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A time-stamping authority of one certificate (RFC 3161), made with openssl."""
    folder = tmp_path_factory.mktemp("authority")
    (folder / "tsa.cnf").write_text(CONFIG)
    (folder / "serial").write_text("01\n")
    usage = ("-addext", "extendedKeyUsage=critical,timeStamping", "-addext", "keyUsage=critical,digitalSignature")
    files = ("-keyout", "tsa.key", "-out", "tsa.pem")
    openssl(folder, "req", "-x509", "-newkey", "rsa:2048", "-nodes", *files, "-subj", "/CN=Test authority", *usage)
    return folder


def stamped(authority: Path, text: bytes) -> dict[str, bytes]:
    (authority / "text").write_bytes(text)
    openssl(authority, "ts", "-query", "-data", "text", "-sha256", "-cert", "-out", "query.tsq")
    openssl(authority, "ts", "-reply", "-config", "tsa.cnf", "-queryfile", "query.tsq", "-out", "response.tsr")
    return {
        "response.tsr": (authority / "response.tsr").read_bytes(),
        "chain.pem": (authority / "tsa.pem").read_bytes(),
    }


@needs_openssl
def test_a_timestamp_is_checked_with_openssl(authority: Path, tmp_path: Path) -> None:
    for date, code in (("2020-01-01T00:00:00Z", 0), ("9000-01-01T00:00:00Z", 1)):
        world = World()
        add_capture(world, date=date)
        files = stamped(authority, Note.parse(world.checkpoint()).text.encode())
        (tmp_path / "x.zip").write_bytes(world.bundle(CAPTURE, timestamp=files))
        (tmp_path / "verify.py").write_text(verify_source())
        done = stranger(tmp_path, "x.zip", "--require-timestamp")
        assert done.returncode == code, done.stdout
        assert ("at the latest, by the timestamp" in done.stdout) == (code == 0)
        assert ("later than the timestamp" in done.stdout) == (code == 1)


@needs_openssl
def test_a_timestamp_of_another_text_is_refused(authority: Path) -> None:
    files = stamped(authority, b"text")
    assert openssl_timestamp(b"text", files).tzinfo is UTC
    with pytest.raises(CheckFailed, match="refuses"):
        openssl_timestamp(b"another text", files)
    with pytest.raises(CheckFailed):
        openssl_timestamp(b"text", {**files, "response.tsr": files["response.tsr"][:-5]})
    with pytest.raises(CheckFailed):
        openssl_timestamp(b"text", {**files, "response.tsr": b"nonsense"})
    with pytest.raises(CheckFailed):
        openssl_timestamp(b"text", {"response.tsr": files["response.tsr"]})


@needs_openssl
def test_the_words_by_hand_are_commands_that_run(tmp_path: Path) -> None:
    """Step 4 of the README as a shell runs it, on a checkpoint that is right and on one that is not."""
    parts = parse_zip(capture_world().bundle(CAPTURE))
    words = parts["README.txt"].decode("ascii")
    step = words[words.index("         sed '/^$/") : words.index("  5. Where")]
    (tmp_path / "log.vkey").write_bytes(parts["log.vkey"])
    for checkpoint, code in ((parts["checkpoint"], 0), (parts["checkpoint"].replace(b"\n13\n", b"\n14\n"), 1)):
        (tmp_path / "checkpoint").write_bytes(checkpoint)
        done = subprocess.run(["sh", "-c", step], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stderr
        assert ("Signature Verified Successfully" in done.stdout) == (code == 0)
    leaf = words[words.index("(printf '\\000'") : words.index("\n  4.")].replace("ENTRY", "entry")
    (tmp_path / "entry").write_bytes(parts["entries/3.json"])
    done = subprocess.run(["sh", "-c", leaf], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.split()[0] == leaf_hash(parts["entries/3.json"]).hex()
