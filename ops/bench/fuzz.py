"""Coverage-guided fuzzing of the parsers: `python -m ops.bench.fuzz [TARGET…] --minutes M` (`make fuzz MINUTES=M`).

Each target of `fuzz_targets` runs in a process of its own under atheris (libFuzzer for Python), which lives in an
environment of its own (requirements/interop-fuzz.txt) and borrows this one's libraries. A crash, a property that does
not hold, an input that takes longer than SLOW seconds or more memory than the limit is a finding: its bytes are kept
under OUT/TARGET/findings, and the exit status is 1. The corpus under OUT/TARGET/corpus is read again by the next run,
so that several short runs are one long one. A finding that was mended belongs under tests/ops/fuzz/TARGET.
"""

from __future__ import annotations

import argparse
import importlib
import os
import re
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]
ENVIRONMENT: Final = Path(".venv-interop-fuzz") / "bin" / "python"
#: Seconds for one input of at most a few kilobytes; what is slower is a finding.
SLOW: Final = 5
#: MiB of the whole process, libraries and the fuzzer's own tables included (they take about 250).
MEMORY: Final = 1024
#: Where coverage is looked at: our own parsers.
INSTRUMENTED: Final = ("schemas", "storage", "ingest")
#: First argument in the process that fuzzes; libFuzzer's own arguments follow the target's name.
INSIDE: Final = "--inside"
MODULE: Final = "ops.bench.fuzz_targets"


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; 1 where something was found, 2 where atheris is not there."""
    parser = argparse.ArgumentParser(prog="python -m ops.bench.fuzz", description="Fuzz the parsers.")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="default: all")
    parser.add_argument("--minutes", type=float, default=1.0, help="for each target (default 1)")
    parser.add_argument("--out", type=Path, default=Path("bench-out") / "fuzz", help="corpora and findings")
    parser.add_argument("--python", type=Path, default=ROOT / ENVIRONMENT, help="an interpreter that has atheris")
    options = parser.parse_args(arguments)
    known = importlib.import_module(MODULE).TARGETS
    if unknown := [name for name in options.targets if name not in known]:
        parser.error(f"there is no target {', '.join(unknown)}: choose from {', '.join(known)}")
    if not options.python.exists():
        print(f"no {options.python}: `make fuzz` makes it", file=sys.stderr)
        return 2
    print("| target | runs | seconds | features | corpus | slowest input s | peak MiB | findings |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    found = [_run(known[name], options) for name in options.targets or known]
    return 1 if any(found) else 0


def _run(target: Any, options: argparse.Namespace) -> int:
    """Fuzz one target and print its row; the number of findings."""
    folder = (options.out / target.name).absolute()
    seeds, corpus, findings = folder / "seeds", folder / "corpus", folder / "findings"
    for one in (seeds, corpus, findings):
        one.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(target.seeds):
        (seeds / f"{number:02}").write_bytes(seed)
    words = "".join('"' + "".join(map(r"\x{:02x}".format, word)) + '"\n' for word in target.words)
    (folder / "words").write_text(words, "ascii")
    command = [str(options.python), "-m", "ops.bench.fuzz", INSIDE, target.name]
    command += [f"-max_total_time={round(options.minutes * 60)}", f"-max_len={target.max_length}"]
    command += [f"-timeout={SLOW}", f"-report_slow_units={SLOW}", f"-rss_limit_mb={MEMORY}", "-print_final_stats=1"]
    command += [f"-dict={folder / 'words'}", f"-artifact_prefix={findings}/", str(corpus), str(seeds)]
    # The environment of atheris has atheris alone; what is fuzzed stands in this one's.
    borrowed = [str(ROOT), sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    variables = os.environ | {"PYTHONPATH": os.pathsep.join(dict.fromkeys(borrowed))}
    with (folder / "log").open("wb") as log:
        status = subprocess.run(command, env=variables, cwd=ROOT, stderr=log, stdout=log, check=False).returncode
    text = (folder / "log").read_text("utf-8", "replace")
    figures = [_figure(text, pattern) for pattern in (r"Done (\d+) runs", r"runs in (\d+) sec", r"ft: (\d+)")]
    held = sum(1 for _ in corpus.iterdir())
    limits = [_figure(text, rf"stat::{name}:\s+(\d+)") for name in ("slowest_unit_time_sec", "peak_rss_mb")]
    kept = sorted(path.name for path in findings.iterdir())
    print("| " + " | ".join(map(str, (target.name, *figures, held, *limits, len(kept)))) + " |", flush=True)
    if kept or status:
        print(f"{target.name}: see {folder / 'log'} and {findings}", file=sys.stderr)
    return len(kept) or int(status != 0)


def _figure(text: str, pattern: str) -> str:
    """The last number that a pattern finds, or a question mark where the run broke off before it was said."""
    found = re.findall(pattern, text)
    return found[-1] if found else "?"


def inside(name: str, arguments: Sequence[str]) -> int:
    """Fuzz a target in this process; libFuzzer ends it."""
    atheris = importlib.import_module("atheris")
    with atheris.instrument_imports(include=list(INSTRUMENTED)):
        target = importlib.import_module(MODULE).TARGETS[name]
    atheris.Setup([sys.argv[0], *arguments], target.check)
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(inside(sys.argv[2], sys.argv[3:]) if sys.argv[1:2] == [INSIDE] else main())
