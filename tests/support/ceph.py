"""A throwaway Ceph object gateway on loopback: one monitor, one OSD in memory, one gateway, in the foreground.

Needs the system's packages radosgw, ceph-mon, ceph-osd and ceph-common; nothing of it outlives the tests.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.support.services import S3_KEY, S3_SECRET

PROGRAMS = ("ceph", "ceph-mon", "ceph-osd", "ceph-authtool", "monmaptool", "radosgw", "radosgw-admin")
#: Seconds that a part may take until it answers.
PATIENCE = 120.0
#: What each key of the cluster may do.
KEYS = {
    "mon.": ("mon", "allow *"),
    "client.admin": ("mon", "allow *", "osd", "allow *", "mgr", "allow *"),
    "client.rgw": ("mon", "allow rwx", "osd", "allow rwx"),
    "osd.0": ("mon", "allow profile osd", "osd", "allow *"),
}


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def settings(folder: Path, cluster: str, monitor: Sequence[int], port: int) -> str:
    """The cluster's ceph.conf: small, in memory, on loopback alone."""
    values = {
        "fsid": cluster,
        "mon host": f"[v2:127.0.0.1:{monitor[0]},v1:127.0.0.1:{monitor[1]}]",
        "public addr": "127.0.0.1",
        "cluster addr": "127.0.0.1",
        "osd pool default size": 1,
        "osd pool default min size": 1,
        "osd pool default pg num": 2,
        "osd pool default pgp num": 2,
        "osd pool default pg autoscale mode": "off",
        "mon allow pool size one": "true",
        "mon max pg per osd": 2000,
        "osd crush chooseleaf type": 0,
        "osd objectstore": "memstore",
        "memstore device bytes": 1 << 30,
        "run dir": folder,
        "log file": folder / "$name.log",
        "admin socket": folder / "$name.asok",
        "keyring": folder / "keyring",
        "mon data": folder / "mon",
        "osd data": folder / "osd",
        "mon data avail crit": 1,
    }
    gateway = {"rgw frontends": f"beast endpoint=127.0.0.1:{port}", "rgw data": folder / "rgw"}
    lines = ["[global]", *(f"{name} = {value}" for name, value in values.items())]
    return "\n".join([*lines, "[client.rgw]", *(f"{name} = {value}" for name, value in gateway.items())]) + "\n"


class Cluster:
    """The parts of the cluster, started one after the other and ended with `stack`."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder, self.stack = folder, stack
        self.conf = folder / "ceph.conf"
        self.port = _free_port()
        self.monitor = (_free_port(), _free_port())
        self.cluster = str(uuid.uuid4())
        self.conf.write_text(settings(folder, self.cluster, self.monitor, self.port), encoding="ascii")

    def run(self, *command: str | Path) -> str:
        """One command of Ceph's, to its end; what it printed."""
        environment = {**os.environ, "CEPH_CONF": str(self.conf)}
        done = subprocess.run(
            list(map(str, command)), env=environment, capture_output=True, text=True, check=False, timeout=PATIENCE
        )
        if done.returncode != 0:
            raise RuntimeError(f"{command[0]} ended with {done.returncode}: {done.stderr[-500:]}")
        return done.stdout

    def start(self, *command: str | Path) -> None:
        """A daemon in the foreground, ended by its process id."""
        process = subprocess.Popen(
            [*map(str, command), "-f", "-c", str(self.conf)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self.stack.callback(_end, process)

    def up(self) -> str:
        """Start everything; the gateway's endpoint."""
        for name in ("mon", "osd", "rgw"):
            (self.folder / name).mkdir()
        keyring = self.folder / "keyring"
        for number, (name, caps) in enumerate(KEYS.items()):
            new = ["--create-keyring"] if number == 0 else []
            pairs = [part for pair in zip(caps[::2], caps[1::2], strict=True) for part in ("--cap", *pair)]
            self.run("ceph-authtool", *new, keyring, "--gen-key", "-n", name, *pairs)
        address = f"[v2:127.0.0.1:{self.monitor[0]},v1:127.0.0.1:{self.monitor[1]}]"
        self.run("monmaptool", "--create", "--fsid", self.cluster, "--addv", "a", address, self.folder / "monmap")
        map_and_key = ("--monmap", self.folder / "monmap", "--keyring", keyring)
        self.run("ceph-mon", "--mkfs", "-i", "a", *map_and_key, "-c", self.conf)
        self.start("ceph-mon", "-i", "a")
        disk = str(uuid.uuid4())
        self.run("ceph", "-c", self.conf, "osd", "new", disk)
        self.run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", disk, "-c", self.conf)
        self.start("ceph-osd", "-i", "0")
        self.run(*("ceph", "-c", self.conf, "osd", "crush", "add", "osd.0", "1.0", "root=default", "host=localhost"))
        self.start("radosgw", "-n", "client.rgw")
        _answers(self.port)
        user = ("--uid", "tests", "--display-name", "tests", "--access-key", S3_KEY, "--secret", S3_SECRET)
        self.run("radosgw-admin", "-c", self.conf, "user", "create", *user)
        return f"http://127.0.0.1:{self.port}"


def _answers(port: int) -> None:
    end = time.monotonic() + PATIENCE
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextmanager
def gateway(folder: Path) -> Iterator[str]:
    """The endpoint of a running gateway; a skip that names what is missing."""
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        pytest.skip(f"Ceph is not installed (packages radosgw ceph-mon ceph-osd ceph-common): no {missing[0]}")
    with ExitStack() as stack:
        yield Cluster(folder, stack).up()
