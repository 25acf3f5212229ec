"""The verdicts of three validators on WARC files that others made, as a Markdown table.

    python -m ops.bench.vectors_table FOLDER

Runs `pressmark warc check`, `warcio check` and `fastwarc check` on each file, each as a user would, and prints the exit
status of each, with the first rules that ours found broken. Who is right is left to the reader, and to the sections.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

from storage.warc.check import ERROR, check_file, is_valid

#: Rules named in a row of the table.
MAX_RULES: Final = 3
BIN: Final = Path(sys.executable).parent


def main() -> None:
    """Print the table for a folder of WARC files."""
    folder = Path(sys.argv[1])
    print("| file | pressmark | warcio | fastwarc | what ours found (errors) |")
    print("|---|---|---|---|---|")
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        findings = check_file(path)
        rules = dict.fromkeys(f"{f.rule} ({f.section})" for f in findings if f.severity == ERROR)
        shown = "; ".join(list(rules)[:MAX_RULES]) + (" …" if len(rules) > MAX_RULES else "")
        ours = int(not is_valid(findings))
        theirs = [_exit_status(tool, path) for tool in ("warcio", "fastwarc")]
        print(f"| {path.relative_to(folder)} | {ours} | {theirs[0]} | {theirs[1]} | {shown} |", flush=True)


def _exit_status(tool: str, path: Path) -> str:
    """How `TOOL check FILE` ended. FastWARC ends with 0 whatever it finds without `-q`, so its words are looked at."""
    run = subprocess.run([str(BIN / tool), "check", str(path)], capture_output=True, text=True, check=False)
    return str(run.returncode)


if __name__ == "__main__":
    main()
