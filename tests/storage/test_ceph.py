"""The S3 store against a real Ceph gateway: what moto lets pass, a real store may not (`make test-services`)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from schemas.bundles import verify_bundle
from storage.archive import Archive
from storage.evidence import prove
from storage.fixity import audit
from storage.rebuild import rebuild
from storage.s3 import S3Store
from tests.storage.stores import StoreBehaviour
from tests.support.archives import fill, page, settings
from tests.support.ceph import gateway
from tests.support.services import Bucket, new_bucket

pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def ceph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with gateway(tmp_path_factory.mktemp("ceph")) as endpoint:
        yield endpoint


@pytest.fixture
def bucket(ceph: str, s3_environment: None) -> Bucket:
    return new_bucket(ceph)


class TestCeph(StoreBehaviour):
    """The behaviour of every store, on Ceph."""

    @pytest.fixture
    def store(self, bucket: Bucket) -> S3Store:
        return S3Store(bucket.url)


def test_the_bucket_is_probed(bucket: Bucket) -> None:
    probed = S3Store(bucket.url).probe()
    assert probed
    assert all(words for _, _, words in probed)


def test_an_archive_on_ceph(bucket: Bucket, tmp_path: Path, postgres_url: str) -> None:
    given = settings(tmp_path, catalog=postgres_url, objects=bucket.url)
    with Archive.create(given) as archive:
        captures = fill(archive)
        archive.seal()
        report = audit(archive)
        assert report.ok
        assert report.records > 9
        assert archive.entity(captures[0])[0] == page(0)
        assert verify_bundle(prove(archive, captures[1].id), key=archive.vkey).ok
    rebuild(given)
    with Archive.open(given) as archive:
        assert audit(archive).ok
        with archive.catalog.read() as tx:
            assert tx.articles.count() == len(captures)
