"""All benchmarks, or some: `python -m ops.bench [WHAT…]`; `accuracy` only where it is named.

Each runs in a process of its own, so that none leaves the next its memory or caches. Options behind one name are that
benchmark's: `python -m ops.bench tracing --articles 100000`; its `--help` lists them.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from itertools import takewhile
from typing import Final

#: Run where nothing is named.
SPEED: Final = ("capture", "extraction", "log", "audit", "tracing")
ALL: Final = (*SPEED, "accuracy")


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; 1 where a benchmark failed, 0 otherwise."""
    parser = argparse.ArgumentParser(
        prog="python -m ops.bench",
        usage="%(prog)s [WHAT…] | WHAT [its options…]",
        description="Measure beside what else one would use. Ratios of one run count, not its times.",
        epilog=f"WHAT is one of {', '.join(ALL)}.",
        allow_abbrev=False,
    )
    given = list(sys.argv[1:] if arguments is None else arguments)
    names = list(takewhile(lambda argument: not argument.startswith("-"), given))
    options = given[len(names) :]
    if unknown := [name for name in names if name not in ALL]:
        parser.error(f"there is no benchmark {', '.join(unknown)}: choose from {', '.join(ALL)}")
    if options and len(names) != 1:
        parser.parse_args(options)  # --help, or the error
    failed = []
    for name in names or SPEED:
        command = [sys.executable, "-m", f"ops.bench.{name}", *options]
        if subprocess.run(command, check=False).returncode:
            failed.append(name)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
