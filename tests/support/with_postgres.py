"""Run a command beside a PostgreSQL server of its own: `python -m tests.support.with_postgres COMMAND…`.

Each argument `{url}` of the command becomes the URL of a new, empty database; the server and what it wrote go
away with the command. Its exit status is this one's.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

from tests.support.services import Postgres


def main(command: Sequence[str]) -> int:
    """Run `command` and return its exit status."""
    server = Postgres()
    try:
        with server.database() as url:
            return subprocess.run([url if word == "{url}" else word for word in command], check=False).returncode
    finally:
        server.stop()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
