"""Key files: one line as C2SP tools write it, or, under a passphrase, encrypted PKCS#8 that `openssl pkey` reads too.

Plain: `PRIVATE+KEY+<name>+<key id in hex>+<base64 of the type byte and the 32-byte seed>`. Encrypted: a line
`# <vkey>`, so that the public key is known without the passphrase, and a PEM block (RFC 5958; PBES2 with
PBKDF2-HMAC-SHA256 and AES-256-CBC, RFC 8018). What keys sign is left to `signing`.
"""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import padding, serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from schemas.checkpoints import ALGORITHM_COSIGNATURE, ALGORITHM_ED25519, VerifierKey
from schemas.digests import strict_base64
from schemas.errors import AlreadyExists, DiskError, InvalidValue, UsageError

#: First words of a plain key file.
PRIVATE_PREFIX: Final = "PRIVATE+KEY"
#: Bytes of an Ed25519 seed (RFC 8032 section 5.1.5).
SEED_SIZE: Final = 32
#: Bytes of a key file that are read: two names and some hundred characters; more is not a key.
MAX_KEY_FILE: Final = 8192
#: Owner may read and write, nobody else anything.
KEY_MODE: Final = 0o600
#: Types of keys that we hold: a log's and a witness's.
HELD_TYPES: Final = (ALGORITHM_ED25519, ALGORITHM_COSIGNATURE)
#: Rounds of PBKDF2-HMAC-SHA256: a third of a second for us, years for who guesses (OWASP asks for 600,000).
ROUNDS: Final = 600_000

_BEGIN: Final = "-----BEGIN ENCRYPTED PRIVATE KEY-----"
_END: Final = "-----END ENCRYPTED PRIVATE KEY-----"
_AES_BLOCK: Final = 128  # bits
# Object identifiers in DER: PBES2, PBKDF2, hmacWithSHA256, aes256-CBC (RFC 8018 appendix C).
_PBES2: Final = bytes.fromhex("06092a864886f70d01050d")
_PBKDF2: Final = bytes.fromhex("06092a864886f70d01050c")
_HMAC_SHA256: Final = bytes.fromhex("06082a864886f70d02090500")
_AES256_CBC: Final = bytes.fromhex("060960864801650304012a")


def print_key(vkey: VerifierKey, seed: bytes, passphrase: str | None) -> bytes:
    """The bytes of a key file; encrypted under the passphrase, where there is one."""
    if passphrase:
        body = base64.encodebytes(_encrypt(seed, passphrase)).decode("ascii")
        return f"# {vkey}\n{_BEGIN}\n{body}{_END}\n".encode()
    packed = base64.b64encode(bytes([vkey.algorithm]) + seed).decode("ascii")
    return f"{PRIVATE_PREFIX}+{vkey.name}+{vkey.key_id.hex()}+{packed}\n".encode()


def parse_key(data: bytes, passphrase: str | None) -> tuple[str, int, bytes]:
    """(name, type, seed) in a key file.

    Raises InvalidValue for what is no key file, UsageError where it needs a passphrase and none or another is given.
    """
    text = data.decode("utf-8")
    vkey = public_of(data)
    if vkey is None:
        return _parse_plain(text)
    if not passphrase:
        raise UsageError(
            f"the key of {vkey.name} is encrypted", remedy="set PRESSMARK_LOG__PASSPHRASE, or [log] passphrase_file"
        )
    try:
        loaded = serialization.load_pem_private_key(text.partition("\n")[2].encode(), passphrase.encode("utf-8"))
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise UsageError(
            f"the key of {vkey.name} does not open with this passphrase", remedy="give the one that it was made with"
        ) from error
    if not isinstance(loaded, Ed25519PrivateKey) or loaded.public_key().public_bytes_raw() != vkey.public:
        raise InvalidValue("the key inside is not the one that its first line names")
    return vkey.name, vkey.algorithm, loaded.private_bytes_raw()


def public_of(data: bytes) -> VerifierKey | None:
    """The public key in the first line of an encrypted key file; None for a plain one. Raises InvalidValue."""
    text = data.decode("utf-8")
    if not text.startswith("# "):
        return None
    head, _, rest = text.partition("\n")
    if not rest.startswith(_BEGIN + "\n") or not rest.endswith(_END + "\n"):
        raise InvalidValue("no encrypted key in PEM form behind its first line")
    return VerifierKey.parse(head.removeprefix("# "), types=HELD_TYPES)


def _parse_plain(text: str) -> tuple[str, int, bytes]:
    """The fields of a key line; base64 may itself hold a plus, so the split stops before it."""
    parts = text.removesuffix("\n").split("+", 4)
    if len(parts) != 5 or f"{parts[0]}+{parts[1]}" != PRIVATE_PREFIX:
        raise InvalidValue(f"not of the form {PRIVATE_PREFIX}+name+hash+base64")
    name, key_hash, raw = parts[2], parts[3], strict_base64(parts[4])
    if not raw or raw[0] not in HELD_TYPES or len(raw) != 1 + SEED_SIZE:
        raise InvalidValue("not an Ed25519 signer key")
    public = Ed25519PrivateKey.from_private_bytes(raw[1:]).public_key().public_bytes_raw()
    if VerifierKey(name=name, public=public, algorithm=raw[0]).key_id.hex() != key_hash:
        raise InvalidValue("its hash does not fit its name and key")
    return name, raw[0], raw[1:]


def _encrypt(seed: bytes, passphrase: str) -> bytes:
    """EncryptedPrivateKeyInfo (RFC 5958 section 3). The library's own writer makes too few rounds for a passphrase."""
    plain = Ed25519PrivateKey.from_private_bytes(seed).private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    salt, vector = secrets.token_bytes(16), secrets.token_bytes(16)
    key = hashlib.pbkdf2_hmac("sha256", passphrase.encode("utf-8"), salt, ROUNDS, dklen=32)
    pad = padding.PKCS7(_AES_BLOCK).padder()
    cipher = Cipher(algorithms.AES(key), modes.CBC(vector)).encryptor()
    sealed = cipher.update(pad.update(plain) + pad.finalize()) + cipher.finalize()
    rounds = ROUNDS.to_bytes(ROUNDS.bit_length() // 8 + 1, "big")
    derivation = _tlv(0x04, salt) + _tlv(0x02, rounds) + _tlv(0x30, _HMAC_SHA256)
    scheme = _tlv(0x30, _PBKDF2 + _tlv(0x30, derivation)) + _tlv(0x30, _AES256_CBC + _tlv(0x04, vector))
    return _tlv(0x30, _tlv(0x30, _PBES2 + _tlv(0x30, scheme)) + _tlv(0x04, sealed))


def _tlv(tag: int, value: bytes) -> bytes:
    """DER of a short value: its parts have at most some 150 bytes."""
    length = bytes([len(value)]) if len(value) < 0x80 else bytes([0x81, len(value)])
    return bytes([tag]) + length + value


# -- the file ----------------------------------------------------------------------------------------------------------


def read_key_file(path: Path) -> bytes:
    """The bytes of a key file. Raises FileNotFoundError, DiskError."""
    try:
        with path.open("rb") as stream:
            return stream.read(MAX_KEY_FILE + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise _disk_error(path, error) from error


def write_key_file(path: Path, data: bytes, *, replace: bool = False) -> None:
    """Write a key file whole or not at all, durably; the folder must exist.

    Raises AlreadyExists where there is one and `replace` is not set (a link refuses to replace; a rename would not),
    DiskError.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with _disk_errors(path):
        try:
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, KEY_MODE)
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            if replace:
                os.replace(draft, path)
            else:
                os.link(draft, path)
        except FileExistsError as error:
            raise AlreadyExists(f"{path} exists", remedy="a key is never replaced so: choose another folder") from error
        finally:
            draft.unlink(missing_ok=True)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


@contextmanager
def _disk_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _disk_error(path, error) from error


def _disk_error(path: Path, error: OSError) -> DiskError:
    return DiskError(
        f"cannot read or write {path}: {error.strerror or error}", remedy="see to its folder and run it again"
    )
