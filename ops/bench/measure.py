"""Measuring a whole process from outside: CPU seconds and peak memory, as the operating system counts them."""

from __future__ import annotations

import compileall
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from storage.archive import StorageSettings


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """One finished process."""

    cpu: float  # seconds, user and system, its waited-for children included
    peak: int  # bytes of the largest resident set; of a program that does not say so itself an upper bound
    output: Any  # what it printed as JSON, if it did


def archive_settings(folder: Path, **more: Any) -> StorageSettings:
    """An archive in a folder, on SQLite; `more` as StorageSettings has it."""
    from storage.archive import StorageSettings

    return StorageSettings(
        directory=folder,
        catalog_url=f"sqlite:///{folder / 'catalog.sqlite'}",
        objects_url=str(folder / "objects"),
        origin="pressmark.invalid/bench",
        **more,
    )


def compile_all() -> None:
    """Compile our modules to bytecode, as installing them does: what is measured has that behind it."""
    for room in ("schemas", "storage", "ingest", "ops"):
        compileall.compile_dir(Path(__file__).resolve().parents[2] / room, quiet=2)


def run_python(module: str, *arguments: str) -> Run:
    """Run a module of ours in a process of its own; its last line of output is JSON. RuntimeError where it fails."""
    return run([sys.executable, "-m", module, *arguments])


def run(command: Sequence[str], *, codes: Sequence[int] = (0,)) -> Run:
    """Run a command; RuntimeError where it ends with another code than those."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    with process.stdout:
        output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in codes:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}")
    lines = output.decode(errors="replace").strip().splitlines()
    try:
        value = json.loads(lines[-1]) if lines else None
    except ValueError:
        value = None
    # Linux counts into the maximum what the process held before exec, a copy of ours.
    peak = value["peak"] if isinstance(value, dict) and "peak" in value else usage.ru_maxrss * 1024
    return Run(cpu=usage.ru_utime + usage.ru_stime, peak=peak, output=value)


def resident(*, peak: bool = False) -> int:
    """Bytes that this process holds in memory now, or at most held since it began (Linux; 0 elsewhere)."""
    wanted = "VmHWM:" if peak else "VmRSS:"
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(wanted)), 0)


def table(title: str, head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows under a head, columns aligned."""
    cells = [list(map(str, row)) for row in (head, *rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    print(f"\n{title}")
    for row in cells:
        print("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
