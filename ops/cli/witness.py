"""`pressmark log witness`: cosign the checkpoints of other archives."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ops.cli.common import say, tell
from schemas.errors import UsageError

if TYPE_CHECKING:
    from schemas.checkpoints import VerifierKey
    from storage.log.signing import Signer


def witness(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The witness's own folder; made where it is missing.")],
    log: Annotated[
        list[str] | None, typer.Option(metavar="KEY", help="Witness this log from now on: what its `log key` prints.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="The witness's name, a URL without scheme; when it is made.")] = None,
    listen: Annotated[str, typer.Option(metavar="HOST:PORT", help="Where to listen.")] = "127.0.0.1:7380",
    key: Annotated[bool, typer.Option("--key", help="Print the witness's public key and exit.")] = False,
    passphrase_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Its first line encrypts, and opens, the witness's key.")
    ] = None,
) -> None:
    """Run a witness (C2SP tlog-witness): cosign what continues, refuse a rollback or a fork. SIGTERM ends it."""
    from schemas.standalone import read_key_argument
    from storage.log.signing import Signer, public_key
    from storage.log.witness import KEY_FILE, add_logs

    keys = [read_key_argument(text) for text in log or ()]
    passphrase = passphrase_file.read_text("utf-8").partition("\n")[0].rstrip("\r") if passphrase_file else None
    path = folder / KEY_FILE
    if not path.exists():
        _make(folder, name, passphrase)
    elif name is not None:
        raise UsageError(f"{folder} is a witness already", remedy="leave --name out; its name cannot change")
    known = add_logs(folder, keys)
    if key:
        tell(str(public_key(path) or Signer.load(path).vkey))
        return
    _serve(folder, Signer.load(path, passphrase=passphrase), known, *_address(listen))


def _make(folder: Path, name: str | None, passphrase: str | None) -> None:
    import secrets

    from schemas.checkpoints import ALGORITHM_COSIGNATURE
    from storage.log.signing import Signer
    from storage.log.witness import KEY_FILE

    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    name = name or f"witness.pressmark.invalid/{secrets.token_hex(8)}"
    made = Signer.create(folder / KEY_FILE, name, passphrase=passphrase, algorithm=ALGORITHM_COSIGNATURE)
    say(f"made a witness in {folder}: {made.vkey}")


def _serve(folder: Path, signer: Signer, logs: list[VerifierKey], host: str, port: int) -> None:
    import signal
    import threading

    from ops.witness import WitnessServer
    from storage.archive import system_clock
    from storage.log.witness import WitnessBook

    if not logs:
        say("no log is witnessed yet: name one with --log KEY")
    book = WitnessBook(folder, signer, logs, system_clock)
    with WitnessServer((host, port), book, say) as server:
        place = f"http://{host}:{server.server_address[1]}"
        say(f"witness of {len(logs)} logs at {place}; in an archive's settings:")
        say(f'[log]\nwitnesses = ["{place} {signer.vkey}"]')

        def stop(number: int, frame: object) -> None:
            threading.Thread(target=server.shutdown).start()  # shutdown waits for the loop that this interrupts

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, stop)
        server.serve_forever(poll_interval=0.1)


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not (port.isascii() and port.isdecimal()) or int(port) > 65_535:
        raise UsageError(f"{text!r} is no HOST:PORT", remedy="write it like 127.0.0.1:7380")
    return host.strip("[]"), int(port)
