"""The `pressmark` command: puts the commands together and ends the process as the table of exit codes says.

Each command lives in its own file. One line on stderr says what is wrong and what to do; a traceback is a bug of ours.
"""

from __future__ import annotations

import io
import os
import select
import sys
from typing import Final

import typer
from typer.main import get_command

from ops.cli import (
    articles,
    audit,
    coverage,
    crawl,
    doctor,
    extract,
    import_,
    init,
    log,
    mirror,
    outlet,
    prove,
    rebuild,
    redact,
    run,
    snapshot,
    status,
    trace,
    verify,
    warc,
)
from ops.cli.common import say
from schemas.errors import PressmarkError

NAME: Final = "pressmark"
USAGE: Final = 2
SERVICE: Final = 5
INTERRUPTED: Final = 130
#: What the operating system says of a path that the user gave wrongly; all else it says is the disk's fault.
_PATH_ERRORS: Final = (
    FileExistsError,
    FileNotFoundError,
    IsADirectoryError,
    NotADirectoryError,
    PermissionError,
)

app = typer.Typer(
    name=NAME,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="An archive of the news that can prove itself.",
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
app.command("init")(init.init)
app.add_typer(outlet.app, name="outlet", help="The watch list: add, list, show, pause, resume, remove.")
app.command("crawl")(crawl.crawl)
app.command("run")(run.run)
app.command("import")(import_.import_)
app.command("extract")(extract.extract)
app.command("articles")(articles.articles)
app.command("show")(articles.show)
app.command("trace")(trace.trace)
app.command("prove")(prove.prove)
app.command("verify")(verify.verify)
app.command("audit")(audit.audit)
app.add_typer(log.app, name="log", help="The transparency log: checkpoint, key, proof, consistency, entries.")
app.add_typer(snapshot.app, name="snapshot", help="Datasets: build, verify, list, diff.")
app.add_typer(warc.app, name="warc", help="WARC files: check.")
app.command("mirror")(mirror.mirror)
app.command("redact")(redact.redact)
app.command("restrict")(redact.restrict)
app.command("rebuild")(rebuild.rebuild)
app.command("status")(status.status)
app.command("coverage")(coverage.coverage)
app.command("doctor")(doctor.doctor)


def main() -> None:
    """Entry point of the console script. Raises SystemExit where the exit code is not 0."""
    _speak_utf8()
    code = _ended()
    if code:
        raise SystemExit(code)


def _ended() -> int:
    """Run the command that the arguments name; its exit code."""
    try:
        code = _dispatch(sys.argv[1:])
        if sys.stdout is not None:
            sys.stdout.flush()
        return code
    except typer.TyperException as error:
        return _misused(error)
    except PressmarkError as error:
        say(f"{NAME}: {error}")
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        say(f"{NAME}: interrupted")
        return INTERRUPTED
    except OSError as error:
        if isinstance(error, BrokenPipeError) and _reader_left():
            return 0  # `| head` has seen enough: nothing is wrong
        where = f"{error.filename}: " if error.filename else ""
        say(f"{NAME}: {where}{error.strerror or error}; check the path, the disk and the rights to it")
        return USAGE if isinstance(error, _PATH_ERRORS) else SERVICE
    finally:
        _let_go()


def _dispatch(arguments: list[str]) -> int:
    """Typer's own `main` gives a broken pipe and an interruption codes that mean something else here."""
    command = get_command(app)
    try:
        with command.make_context(NAME, arguments) as context:
            command.invoke(context)
    except typer.Exit as end:
        return end.exit_code
    return 0


def _misused(error: typer.TyperException) -> int:
    """Say what is wrong with the arguments, and where to read on; a command without its part prints its help."""
    message = error.format_message()
    if "\n" in message:
        say(message)
        return USAGE
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else NAME
    text = message.strip().rstrip(".")
    say(f"{NAME}: {text[:1].lower()}{text[1:]}; see `{path} --help`")
    return USAGE


def _speak_utf8() -> None:
    """JSON Lines and the world's headlines are UTF-8, whatever the locale says."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")


def _reader_left() -> bool:
    """Whether stdout is a pipe that nobody reads any more."""
    try:
        poll = select.poll()
        poll.register(sys.stdout.fileno(), select.POLLOUT)
        return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))
    except (OSError, AttributeError):  # closed, or no file at all
        return False


def _let_go() -> None:
    """Drop what stdout could not take, lest Python complain of it at its end."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)
