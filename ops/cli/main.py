"""The `pressmark` command: puts the commands together. Each lives in its own file."""

from __future__ import annotations

import typer

from ops.cli import (
    articles,
    audit,
    coverage,
    crawl,
    doctor,
    extract,
    init,
    log,
    outlet,
    prove,
    rebuild,
    run,
    snapshot,
    status,
    trace,
    verify,
    warc,
)
from ops.cli.common import exit_codes

app = typer.Typer(
    name="pressmark",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="An archive of the news that can prove itself.",
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("init")(init.init)
app.add_typer(outlet.app, name="outlet", help="The watch list: add, list, show, pause, resume, remove.")
app.command("crawl")(crawl.crawl)
app.command("run")(run.run)
app.command("extract")(extract.extract)
app.command("articles")(articles.articles)
app.command("show")(articles.show)
app.command("trace")(trace.trace)
app.command("prove")(prove.prove)
app.command("verify")(verify.verify)
app.command("audit")(audit.audit)
app.add_typer(log.app, name="log", help="The transparency log: checkpoint, proof, consistency, entries.")
app.add_typer(snapshot.app, name="snapshot", help="Datasets: build, verify, list, diff.")
app.add_typer(warc.app, name="warc", help="WARC files: check.")
app.command("rebuild")(rebuild.rebuild)
app.command("status")(status.status)
app.command("coverage")(coverage.coverage)
app.command("doctor")(doctor.doctor)


def main() -> None:
    """Entry point of the console script."""
    with exit_codes():
        app()
