"""S3 as an object store: what all stores do, against a real server on loopback, and how it fails."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest

from schemas.errors import AlreadyExists, NotFound, SettingsError, StoreError
from storage.s3 import S3Store
from storage.stores import open_store
from tests.storage.stores import KEY, StoreBehaviour
from tests.support.services import Bucket


class TestS3(StoreBehaviour):
    """The behaviour of every store, on S3."""

    @pytest.fixture
    def store(self, s3_bucket: Bucket) -> S3Store:
        return S3Store(s3_bucket.url)


@pytest.fixture
def store(s3_bucket: Bucket) -> S3Store:
    return S3Store(s3_bucket.url)


def _bare(bucket: Bucket) -> Any:
    return boto3.client("s3", endpoint_url=bucket.endpoint)


def test_the_url_chooses_the_store(s3_bucket: Bucket) -> None:
    store = open_store(s3_bucket.url)
    assert isinstance(store, S3Store)
    assert store.url == s3_bucket.url


def test_the_endpoint_may_come_from_the_environment(
    s3_bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_bucket.endpoint)
    store = S3Store(f"s3://{s3_bucket.name}/elsewhere")
    store.put(KEY, b"x")
    assert [
        entry["Key"] for entry in _bare(s3_bucket).list_objects_v2(Bucket=s3_bucket.name)["Contents"]
    ] == [f"elsewhere/{KEY}"]


def test_the_prefix_keeps_stores_apart(s3_bucket: Bucket, store: S3Store) -> None:
    store.put("a", b"ours")
    root = S3Store(s3_bucket.url_for(""))
    other = S3Store(s3_bucket.url_for("prefix-2"))
    assert list(store.list()) == ["a"]
    assert list(other.list()) == []
    assert list(root.list()) == ["prefix/a"]
    assert not other.exists("a")


def test_long_lists_are_paged(store: S3Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.s3.LIST_PAGE", 4)
    keys = [f"tile/{n:04}" for n in range(11)]
    for key in reversed(keys):
        store.put(key, b"")
    assert list(store.list("tile/")) == keys


def test_a_large_file_is_one_object_with_its_digest(
    s3_bucket: Bucket, store: S3Store, tmp_path: Path
) -> None:
    source = tmp_path / "segment"
    source.write_bytes(bytes(range(256)) * 40_000)
    store.put_file(KEY, source)
    answer = _bare(s3_bucket).head_object(Bucket=s3_bucket.name, Key=f"prefix/{KEY}")
    # The tag of an object that was put in one piece is its MD5.
    assert answer["ETag"].strip('"') == hashlib.md5(source.read_bytes()).hexdigest()
    with store.open(KEY) as stream:
        assert hashlib.file_digest(stream, "sha256").digest() == hashlib.sha256(source.read_bytes()).digest()


def test_a_bucket_that_is_not_there_is_no_missing_object(s3_bucket: Bucket) -> None:
    store = S3Store(s3_bucket.url.replace(s3_bucket.name, "no-such-bucket"))
    for act in (
        lambda: store.get(KEY),
        lambda: store.size(KEY),
        lambda: store.exists(KEY),
        lambda: list(store.list()),
        lambda: store.put(KEY, b"x"),
        lambda: store.replace(KEY, b"x", expected=None),
    ):
        with pytest.raises(StoreError):
            act()


def test_a_server_that_is_not_there(s3_bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.s3.ATTEMPTS", 1)
    store = S3Store(f"s3://{s3_bucket.name}?endpoint=http://127.0.0.1:1")
    with pytest.raises(StoreError, match="doctor") as caught:
        store.get(KEY)
    assert caught.value.exit_code == 5


def test_no_credentials(s3_bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(StoreError, match="AWS_ACCESS_KEY_ID"):
        S3Store(s3_bucket.url).get(KEY)


def test_an_endpoint_that_is_no_url() -> None:
    with pytest.raises(SettingsError):
        S3Store("s3://bucket?endpoint=nonsense")


def test_the_probe_tells_what_the_server_does(store: S3Store) -> None:
    held = {name: ok for name, ok, _ in store.probe()}
    assert held["read back"]
    assert held["If-None-Match"]
    assert held["If-Match"]
    assert held["no retention"]


class _Unconditional(S3Store):
    """A store whose server ignores conditions, as Ceph does on buckets with Object Lock."""

    def _put_object(self, key: str, body: Any, sums: Any, **condition: str) -> bool:
        return super()._put_object(key, body, sums)


def test_a_server_that_ignores_conditions(s3_bucket: Bucket) -> None:
    store = _Unconditional(s3_bucket.url)
    store.put(KEY, b"first")
    with pytest.raises(AlreadyExists):
        store.put(KEY, b"other")
    store.replace("log/checkpoint", b"one", expected=None)
    with pytest.raises(AlreadyExists):
        store.replace("log/checkpoint", b"two", expected=None)
    store.replace("log/checkpoint", b"two", expected=b"one")
    assert store.get(KEY) == b"first"
    assert store.get("log/checkpoint") == b"two"
    held = {name: ok for name, ok, _ in store.probe()}
    assert held["read back"]
    assert not held["If-None-Match"]


def locked(s3_bucket: Bucket, what: str = "locked") -> S3Store:
    """A store on a bucket that was made with Object Lock, without a rule."""
    name = f"{s3_bucket.name}-{what}"
    s3_bucket.client().create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
    return S3Store(s3_bucket.url.replace(s3_bucket.name, name))


def retention(store: S3Store) -> tuple[bool, str]:
    return next((ok, words) for name, ok, words in store.probe() if name == "no retention")


def test_a_bucket_that_would_keep_what_a_redaction_erases_is_told(s3_bucket: Bucket) -> None:
    store, client = locked(s3_bucket), s3_bucket.client()
    store.put("log/checkpoint", b"x")
    store.put(KEY, b"x")
    assert retention(store)[0], "Object Lock alone holds nothing"
    on = {"Bucket": store.bucket, "Key": store._name(KEY)}
    client.put_object_legal_hold(**on, LegalHold={"Status": "ON"})
    ok, words = retention(store)
    assert not ok
    assert f"{KEY} is under a retention or legal hold" in words
    client.put_object_legal_hold(**on, LegalHold={"Status": "OFF"})
    assert retention(store)[0]
    until = datetime.now(UTC) + timedelta(days=1)
    client.put_object_retention(**on, Retention={"Mode": "GOVERNANCE", "RetainUntilDate": until})
    assert not retention(store)[0]
    store = locked(s3_bucket, "ruled")  # the test server takes a rule for an empty bucket alone
    rule = {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}}
    client.put_object_lock_configuration(
        Bucket=store.bucket, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": rule}
    )
    assert "a default retention holds every new object" in retention(store)[1]


def test_no_object_below_an_object(store: S3Store) -> None:
    store.put("a", b"x")
    with pytest.raises(NotFound):
        store.get("a/b")
