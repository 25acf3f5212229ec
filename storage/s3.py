"""Objects in a bucket of any S3: the seam of `blobs`, and the only room that knows boto3.

Nothing that a store may get wrong is relied on alone: a conditional put is asked for, and what stands there
before and after is compared; checksums are sent, and what was put is read back and hashed. First-write-wins
between machines comes from unique keys (segment names, content) and the catalog, as `ops/decisions` and
DESIGN section 6 say.
"""

from __future__ import annotations

import base64
import hashlib
import io
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, Protocol, cast
from urllib.parse import parse_qs, unquote, urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from schemas.errors import AlreadyExists, DiskError, InvalidValue, NotFound, SettingsError, StoreError
from storage.blobs import CHUNK, Probed, check_key, check_prefix
from storage.retention import kept_by_lock

#: Bytes of one PutObject, the limit that S3 documents. Larger segments are not put in parts: see DESIGN
#: section 8.
MAX_OBJECT: Final = 5 * 2**30
#: Seconds until a connection, and between two pieces of an answer.
CONNECT_TIMEOUT: Final = 10
READ_TIMEOUT: Final = 120
#: Attempts of one request, the first included (botocore's standard mode: exponential back-off with jitter).
ATTEMPTS: Final = 5
#: Keys of one answer to a list, the most that S3 gives.
LIST_PAGE: Final = 1000
#: Where neither URL nor environment names one; only AWS itself cares.
DEFAULT_REGION: Final = "us-east-1"

_LOWER: Final = "lower [segments] max_bytes"
_CHECK: Final = "check the object store with `pressmark doctor`"
_MISSING: Final = frozenset({"404", "NoSuchKey", "NotFound"})
_CONDITION_FAILED: Final = frozenset({"412", "PreconditionFailed", "409", "ConditionalRequestConflict"})
_NOT_IMPLEMENTED: Final = frozenset({"501", "NotImplemented"})


class _Body(Protocol):
    """What `get` hands out as the stream of an object."""

    def read(self, amt: int | None = None) -> bytes: ...
    def close(self) -> None: ...


class S3Store:
    """Objects under a prefix of one bucket. Safe for threads, as boto3's clients are."""

    def __init__(self, url: str) -> None:
        """`s3://bucket/prefix?endpoint=URL&region=NAME`; credentials and defaults as boto3 finds them.

        No request is made yet. Raises SettingsError for a URL that is not of this form.
        """
        self.url = url
        self.bucket, self._prefix, options = _parse_url(url)
        self._bucket_seen = False
        with _s3_errors(f"cannot open {self.url}"):
            try:
                self._client: Any = _client(options.get("endpoint"), options.get("region"))
            except ValueError as error:
                raise SettingsError(f"not an S3 endpoint in {url[:200]!r}: {error}") from error

    # -- reading

    def get(self, key: str, *, start: int = 0, length: int | None = None) -> bytes:
        """See BlobStore."""
        if start < 0 or (length is not None and length < 0):
            raise InvalidValue(f"not a range of bytes: {start}, {length}")
        if length == 0:
            self.size(key)
            return b""
        request = {}
        if start or length is not None:
            request["Range"] = f"bytes={start}-{'' if length is None else start + length - 1}"
        try:
            body = self._get(key, **request)
        except _RangeError:
            return b""
        with _s3_errors(f"cannot read object {key}"):
            try:
                data = body.read()
            finally:
                body.close()
        if length is not None and len(data) > length:
            raise StoreError(f"the store answered a request for {length} bytes of {key} with {len(data)}")
        return data

    def open(self, key: str) -> BinaryIO:
        """See BlobStore."""
        return io.BufferedReader(_Stream(self._get(key), key), CHUNK)

    def size(self, key: str) -> int:
        """See BlobStore."""
        with self._finding(key):
            return int(self._client.head_object(Bucket=self.bucket, Key=self._name(key))["ContentLength"])

    def exists(self, key: str) -> bool:
        """See BlobStore."""
        try:
            self.size(key)
        except NotFound:
            return False
        return True

    def list(self, prefix: str = "") -> Iterator[str]:
        """See BlobStore."""
        return self._list(check_prefix(prefix))

    def folders(self, prefix: str) -> Iterator[str]:
        """See BlobStore."""
        start = len(self._prefix + check_prefix(prefix))
        for page in self._pages(prefix, Delimiter="/"):
            for entry in page.get("CommonPrefixes", ()):
                yield str(entry["Prefix"])[start:].rstrip("/")

    def local_path(self, key: str) -> Path | None:
        """See BlobStore: never a local file."""
        check_key(key)
        return None

    # -- writing

    def put(self, key: str, data: bytes) -> None:
        """See BlobStore."""
        self._put_once(key, lambda: io.BytesIO(data), _Sums.of(io.BytesIO(data)))

    def put_file(self, key: str, path: Path, *, final: bool = False) -> None:
        """See BlobStore."""
        try:
            with path.open("rb") as source:
                sums = _Sums.of(source)
        except OSError as error:
            raise DiskError(f"cannot read {path}: {error.strerror or error}") from error
        self._put_once(key, lambda: path.open("rb"), sums)

    def replace(self, key: str, data: bytes, *, expected: bytes | None) -> None:
        """See BlobStore. Where the store ignores conditions, a caller must hold a lease, as ours do."""
        held, tag = self._get_with_tag(key)
        if held == data:
            return
        if held != expected:
            raise AlreadyExists(f"object {key} was changed by another process; nothing was replaced")
        # Ceph takes the tag without its quotes only, S3 with them; with neither, the store knows no
        # conditions.
        conditions = (
            ({"IfNoneMatch": "*"},) if tag is None else ({"IfMatch": tag}, {"IfMatch": tag.strip('"')})
        )
        sums = _Sums.of(io.BytesIO(data))
        for condition in (*conditions, {}):
            if self._put_object(key, lambda: io.BytesIO(data), sums, **condition):
                break
            if self._get_with_tag(key)[0] != expected:
                raise AlreadyExists(f"object {key} was changed by another process; nothing was replaced")
        if self.get(key) != data:
            raise AlreadyExists(f"object {key} was replaced by another process at the same time")

    def replace_file(self, key: str, path: Path, *, expected: str) -> None:
        """See BlobStore. Where the store ignores conditions, a caller must hold a lease, as ours do."""
        try:
            with path.open("rb") as source:
                sums = _Sums.of(source)
        except OSError as error:
            raise DiskError(f"cannot read {path}: {error.strerror or error}") from error
        if sums.length > MAX_OBJECT:
            raise StoreError(f"object {key} has {sums.length} bytes, more than one put takes", remedy=_LOWER)
        with self._finding(key):
            tag = str(self._client.head_object(Bucket=self.bucket, Key=self._name(key))["ETag"])
        held = self._sums(key)
        if held == sums:
            return
        if held is None or f"sha256:{held.sha256.hex()}" != expected:
            raise AlreadyExists(f"object {key} was changed by another process; nothing was replaced")
        # The tag is older than what was hashed: a change in between fails the condition.
        for condition in ({"IfMatch": tag}, {"IfMatch": tag.strip('"')}, {}):
            if self._put_object(key, lambda: path.open("rb"), sums, **condition):
                break
            if self._sums(key) != held:
                raise AlreadyExists(f"object {key} was changed by another process; nothing was replaced")
        if self._sums(key) != sums:
            raise AlreadyExists(f"object {key} was replaced by another process at the same time")

    def rewrite(self, key: str, path: Path, *, expected: str) -> None:
        """See BlobStore."""
        self.replace_file(key, path, expected=expected)
        self._forget(key, keep_latest=True)

    def erase(self, key: str) -> None:
        """See BlobStore."""
        self._forget(key, keep_latest=False)
        self._delete(key)  # a bucket without versions lists none
        self._forget(key, keep_latest=False)  # the marker that a bucket with versions made of it

    def _forget(self, key: str, *, keep_latest: bool) -> None:
        """Delete every version, delete marker and unfinished upload of a key; but the newest version."""
        name = self._name(key)
        with _s3_errors(f"cannot delete old versions of {key}"):
            for answer in self._listing("list_object_versions", name):
                for entry in (*answer.get("Versions", ()), *answer.get("DeleteMarkers", ())):
                    latest = entry.get("IsLatest") and keep_latest
                    if entry["Key"] == name and not latest and entry.get("VersionId") not in (None, "null"):
                        self._client.delete_object(Bucket=self.bucket, Key=name, VersionId=entry["VersionId"])
                    elif entry["Key"] == name and not latest and not entry.get("IsLatest"):
                        self._client.delete_object(Bucket=self.bucket, Key=name, VersionId="null")
            for answer in self._listing("list_multipart_uploads", name):
                for upload in answer.get("Uploads", ()):
                    if upload["Key"] == name:
                        self._client.abort_multipart_upload(
                            Bucket=self.bucket, Key=name, UploadId=upload["UploadId"]
                        )

    def _listing(self, operation: str, prefix: str) -> Iterator[Any]:
        """The answers of a listing; none where the store knows no such listing."""
        try:
            yield from self._client.get_paginator(operation).paginate(Bucket=self.bucket, Prefix=prefix)
        except ClientError as error:
            if _code(error) not in _NOT_IMPLEMENTED:
                raise

    def _put_once(self, key: str, body: Callable[[], BinaryIO], sums: _Sums) -> None:
        if sums.length > MAX_OBJECT:
            raise StoreError(f"object {key} has {sums.length} bytes, more than one put takes", remedy=_LOWER)
        held = self._sums(key)
        if held is None:
            taken = self._put_object(key, body, sums, IfNoneMatch="*")
            held = self._sums(key)
            if taken and held != sums:
                raise StoreError(f"object {key} reads back with other bytes than were put", remedy=_CHECK)
            if held is None:
                raise StoreError(
                    f"object {key} is being put by another process", remedy="run the command again"
                )
        if held != sums:
            raise AlreadyExists(f"object {key} exists with other bytes; it is put once and was left as it is")

    def _sums(self, key: str) -> _Sums | None:
        """What the object reads back as; None where there is none."""
        try:
            with self.open(key) as stream:
                return _Sums.of(stream)
        except NotFound:
            return None

    def _put_object(self, key: str, body: Callable[[], BinaryIO], sums: _Sums, **condition: str) -> bool:
        """One PutObject; False where the condition did not hold. A store without conditions is asked again
        without.
        """
        with _s3_errors(f"cannot put object {key}"):
            for extra in (condition, {}):
                with body() as stream:
                    try:
                        self._client.put_object(
                            Bucket=self.bucket,
                            Key=self._name(key),
                            Body=stream,
                            ContentLength=sums.length,
                            ContentMD5=base64.b64encode(sums.md5).decode(),
                            **extra,
                        )
                        return True
                    except ClientError as error:
                        if _code(error) in _CONDITION_FAILED and extra:
                            return False
                        if _code(error) not in _NOT_IMPLEMENTED or not extra:
                            raise
        return False

    # -- helpers

    def _name(self, key: str) -> str:
        return self._prefix + check_key(key)

    def _get(self, key: str, **request: str) -> _Body:
        with self._finding(key):
            return cast(
                "_Body", self._client.get_object(Bucket=self.bucket, Key=self._name(key), **request)["Body"]
            )

    def _get_with_tag(self, key: str) -> tuple[bytes | None, str | None]:
        try:
            with self._finding(key):
                answer = self._client.get_object(Bucket=self.bucket, Key=self._name(key))
                return answer["Body"].read(), str(answer["ETag"])
        except NotFound:
            return None, None

    @contextmanager
    def _finding(self, key: str) -> Iterator[None]:
        """NotFound only where the bucket answers and the key is not in it."""
        with _s3_errors(f"cannot read object {key}"):
            try:
                yield
            except ClientError as error:
                code = _code(error)
                if code in ("InvalidRange", "416"):
                    raise _RangeError from error
                if code not in _MISSING:
                    raise
                if not self._bucket_seen:
                    self._client.head_bucket(Bucket=self.bucket)
                    self._bucket_seen = True
                raise NotFound(f"there is no object {key} in {self.url}") from error

    def _list(self, prefix: str) -> Iterator[str]:
        for page in self._pages(prefix):
            for entry in page.get("Contents", ()):
                yield str(entry["Key"])[len(self._prefix) :]

    def _pages(self, prefix: str, **how: str) -> Iterator[Any]:
        token: dict[str, str] = {}
        while True:
            with _s3_errors(f"cannot list {self.url}"):
                page = self._client.list_objects_v2(
                    Bucket=self.bucket, Prefix=self._prefix + prefix, MaxKeys=LIST_PAGE, **how, **token
                )
            yield page
            if not page.get("IsTruncated"):
                return
            token = {"ContinuationToken": page["NextContinuationToken"]}

    # -- what the store may be trusted with

    def probe(self) -> Probed:
        """See BlobStore. Everything is tried on objects of random names that are deleted again."""
        found: Probed = []
        key = f"probe-{secrets.token_hex(8)}"
        try:
            for name, check, held, failed in (
                (
                    "read back",
                    self._probe_read,
                    "whole, ranges and lists read back",
                    "does not read back what was put",
                ),
                (
                    "If-None-Match",
                    self._probe_once,
                    "refuses a second put",
                    "ignored: names are unique anyway",
                ),
                ("If-Match", self._probe_swap, "refuses a stale swap", "ignored: a lease stands in for it"),
                ("Content-MD5", self._probe_md5, "refuses damaged bytes", "ignored: every put is read back"),
                (
                    "no retention",
                    self._probe_lock,
                    "objects can be redacted",
                    "Object Lock would keep redacted text",
                ),
            ):
                try:
                    ok, detail = check(key), ""
                except (StoreError, NotFound, AlreadyExists) as error:
                    ok, detail = False, f" ({error.message})"
                found.append((name, ok, f"{self.bucket}: {held if ok else failed + detail}"))
        finally:
            self._delete(key)
        return found

    def _probe_read(self, key: str) -> bool:
        data = secrets.token_bytes(64)
        self.put(key, data)
        return self.get(key, start=3, length=5) == data[3:8] and list(self.list(key)) == [key]

    def _probe_once(self, key: str) -> bool:
        data = secrets.token_bytes(64)
        sums = _Sums.of(io.BytesIO(data))
        return not self._put_object(key, lambda: io.BytesIO(data), sums, IfNoneMatch="*")

    def _probe_swap(self, key: str) -> bool:
        data = secrets.token_bytes(64)
        sums = _Sums.of(io.BytesIO(data))
        stale = f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'
        return not self._put_object(key, lambda: io.BytesIO(data), sums, IfMatch=stale)

    def _probe_md5(self, key: str) -> bool:
        data = secrets.token_bytes(64)
        wrong = _Sums.of(io.BytesIO(data[::-1]))
        try:
            self._put_object(key, lambda: io.BytesIO(data), wrong)
        except StoreError:
            return True
        return False

    def _probe_lock(self, key: str) -> bool:
        del key
        with _s3_errors("cannot ask for locks"):
            kept = kept_by_lock(self._client, (ClientError, BotoCoreError), self.bucket, self._prefix)
        if kept is not None:
            raise StoreError(kept)
        return True

    def _delete(self, key: str) -> None:
        with _s3_errors(f"cannot delete the probe {key}"):
            self._client.delete_object(Bucket=self.bucket, Key=self._name(key))


@dataclass(frozen=True, slots=True)
class _Sums:
    """What tells two objects apart, taken in one pass."""

    length: int
    sha256: bytes
    md5: bytes  # for Content-MD5 alone

    @classmethod
    def of(cls, stream: BinaryIO) -> _Sums:
        """Sums of all that the stream still gives."""
        length, sha256, md5 = 0, hashlib.sha256(), hashlib.md5(usedforsecurity=False)
        while chunk := stream.read(CHUNK):
            length += len(chunk)
            sha256.update(chunk)
            md5.update(chunk)
        return cls(length, sha256.digest(), md5.digest())


class _RangeError(Exception):
    """The range asked for begins at or behind the end of the object."""


class _Stream(io.RawIOBase):
    """The body of an answer as a raw stream, with our errors for its errors."""

    def __init__(self, body: _Body, key: str) -> None:
        self._body, self._key = body, key

    def readable(self) -> bool:
        """True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Up to as many bytes as the buffer holds; 0 at the end. Raises StoreError."""
        with _s3_errors(f"cannot read object {self._key}"):
            data = self._body.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """Let go of the connection."""
        if not self.closed:
            self._body.close()
        super().close()


@contextmanager
def _s3_errors(what: str) -> Iterator[None]:
    """Turn what boto3 raises into StoreError."""
    try:
        yield
    except NoCredentialsError as error:
        remedy = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        raise StoreError(f"{what}: no credentials for S3", remedy=remedy) from error
    except ClientError as error:
        text = error.response.get("Error", {}).get("Message") or "no message"
        raise StoreError(f"{what}: {_code(error)}: {text}", remedy=_CHECK) from error
    except BotoCoreError as error:
        raise StoreError(f"{what}: {error}", remedy=_CHECK) from error


def _client(endpoint: str | None, region: str | None) -> Any:
    """An S3 client. What the URL leaves open, boto3 takes from AWS_* variables and files, as its users
    expect.
    """
    session = boto3.session.Session()
    common: dict[str, Any] = {
        "connect_timeout": CONNECT_TIMEOUT,
        "read_timeout": READ_TIMEOUT,
        "retries": {"mode": "standard", "total_max_attempts": ATTEMPTS},
        # Trailing CRC checksums are unknown to some stores; Content-MD5 is sent and the object read back.
        "request_checksum_calculation": "when_required",
        "response_checksum_validation": "when_required",
    }
    region = region or session.region_name or DEFAULT_REGION
    client = session.client("s3", endpoint_url=endpoint, region_name=region, config=Config(**common))
    host = urlsplit(client.meta.endpoint_url).hostname or ""
    if host.endswith(".amazonaws.com"):
        return client
    # Stores that are not AWS answer to a path; AWS asks for the bucket in the host name.
    paths = Config(**common, s3={"addressing_style": "path"})
    return session.client("s3", endpoint_url=endpoint, region_name=region, config=paths)


def _code(error: ClientError) -> str:
    """The S3 error code, or the HTTP status where an answer has no body (HEAD)."""
    return str(error.response.get("Error", {}).get("Code", ""))


def _parse_url(url: str) -> tuple[str, str, dict[str, str]]:
    """(bucket, prefix with its closing slash or "", options). Raises SettingsError."""
    parts = urlsplit(url)
    prefix = unquote(parts.path).strip("/")
    options = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    unknown = set(options) - {"endpoint", "region"}
    if parts.scheme != "s3" or not parts.netloc or parts.username or parts.fragment or unknown:
        raise SettingsError(
            f"not an S3 URL: {url[:200]!r}", remedy="write s3://bucket/prefix?endpoint=https://…&region=…"
        )
    try:
        return parts.netloc, f"{check_key(prefix)}/" if prefix else "", options
    except InvalidValue as error:
        raise SettingsError(
            f"not a prefix of keys in {url[:200]!r}", remedy="use letters, digits and -"
        ) from error
