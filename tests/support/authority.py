"""A timestamp authority on loopback: `openssl ts -reply` behind a real HTTP server, with a root of its own.

    with TimeAuthority(tmp_path) as authority:
        authority.url, authority.ca_file      # what an archive's settings name
        authority.fail = 503                  # from here on it answers that
"""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

CONFIG = """
[ req ]
distinguished_name = name
prompt = no
[ name ]
O = Pressmark tests
CN = {name}
[ root ]
basicConstraints = critical,CA:true
keyUsage = critical,keyCertSign
[ signer ]
basicConstraints = CA:false
extendedKeyUsage = critical,timeStamping
[ tsa ]
default_tsa = authority
[ authority ]
serial = {folder}/serial
signer_cert = {folder}/signer.pem
signer_key = {folder}/signer.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256, sha384, sha512
accuracy = secs:1
ordering = no
tsa_name = no
ess_cert_id_chain = no
"""


class TimeAuthority:
    """The authority. `fail` makes it answer a status, `change` its answers another; `asked` counts."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        if shutil.which("openssl") is None:
            pytest.skip("openssl is not installed")
        self.folder = folder / name
        self.folder.mkdir()
        self.fail: int | None = None
        self.change: Callable[[bytes], bytes] = lambda reply: reply
        self.asked = 0
        self._make()
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                owner.asked += 1
                if owner.fail is not None:
                    self.send_error(owner.fail)
                    return
                reply = owner.change(owner.reply(body))
                self.send_response(200)
                self.send_header("Content-Type", "application/timestamp-reply")
                self.send_header("Content-Length", str(len(reply)))
                self.end_headers()
                self.wfile.write(reply)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/tsa"
        self.ca_file = self.folder / "root.pem"
        self.code = f"127.0.0.1-{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def settings(self) -> str:
        """Lines of pressmark.toml."""
        return f'[log]\ntimestamp_authorities = ["{self.url}"]\ntimestamp_ca_file = "{self.ca_file}"\n'

    def reply(self, request: bytes) -> bytes:
        """The response to a request."""
        query = self.folder / f"{threading.get_ident()}.tsq"
        query.write_bytes(request)
        self._openssl("ts", "-reply", "-config", "ca.cnf", "-queryfile", query, "-out", query.with_suffix(".tsr"))
        return query.with_suffix(".tsr").read_bytes()

    def _make(self) -> None:
        text = CONFIG.format(name=f"{self.folder.name} root", folder=self.folder)
        (self.folder / "ca.cnf").write_text(text)
        (self.folder / "serial").write_text("01\n")
        for name in ("root", "signer"):
            self._openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", f"{name}.key")
        self._openssl(
            "req", "-x509", "-config", "ca.cnf", "-extensions", "root", "-key", "root.key", "-days", "30",
            "-out", "root.pem",
        )  # fmt: skip
        self._openssl("req", "-new", "-config", "ca.cnf", "-key", "signer.key", "-subj", "/CN=signer", "-out", "s.csr")
        self._openssl(
            "x509", "-req", "-in", "s.csr", "-CA", "root.pem", "-CAkey", "root.key", "-CAcreateserial", "-days", "30",
            "-extfile", "ca.cnf", "-extensions", "signer", "-out", "signer.pem",
        )  # fmt: skip

    def _openssl(self, *words: str | Path) -> None:
        done = subprocess.run(["openssl", *map(str, words)], cwd=self.folder, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
