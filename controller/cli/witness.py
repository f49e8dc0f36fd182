"""`cellwright witness`: serves a witness, shows what one has seen, asks one about a log.

The witness runs on another machine than the station: who can change both can change everything.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from controller.core.errors import BadInput, RecordFailure
from controller.record.keys import Keys
from controller.record.note import NoteError, VerifierKey

if TYPE_CHECKING:
    from controller.witness.compare import Finding

witness_app = typer.Typer(
    no_args_is_help=True, help="Keeps what stations' logs have shown, and signs that it was seen."
)
WAIT_S = 0.2
State = Annotated[Path, typer.Option(help="Directory of the witness: its key and what it has seen")]


@witness_app.command()
def serve(
    state: State,
    trust: Annotated[list[str], typer.Option(help="A device's verifier key; may be repeated")],
    host: Annotated[str, typer.Option(help="Address it is served at")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Its port, 0 = any")] = 8444,
    name: Annotated[str, typer.Option(help="Its name, chosen once; default: by its key")] = "",
) -> None:
    """Serves a witness (C2SP tlog-witness) until it is ended."""
    from controller.hmi.server import Server
    from controller.witness.app import App
    from controller.witness.store import Store
    from controller.witness.witness import Witness

    devices = [_device(text) for text in trust]
    ended: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _frame: ended.append(number))
    store = Store(state, name)
    witness = Witness(store, devices, time.time)
    server = Server(lambda: App(witness, _told), host, port, None, what="the witness")
    server.start()
    _say(f"witness: {server.url}={store.key}")
    _say(f"it knows {witness.logs} logs and trusts {len(devices)} devices")
    while not ended and server.alive:
        time.sleep(WAIT_S)
    failure = "" if ended else server.failure
    server.stop()
    store.close()
    if failure:
        raise RecordFailure(f"the witness has ended: {failure}", means="Nothing is cosigned.")


@witness_app.command()
def show(state: State) -> None:
    """Shows what a witness has seen: one line a log. Also while it is served."""
    from controller.witness.store import key_in, read_logs

    if not (state / "keys").is_dir():
        raise BadInput("there is no witness", where=state)
    key = key_in(state, Keys.in_directory(state / "keys").device.verifier.public)
    _say(str(key))
    for known in read_logs(state, key):
        seen = "nothing yet"
        if known.last is not None:
            found = known.last.checkpoint
            at = datetime.fromtimestamp(known.last.cosignatures[0].time_s, UTC)
            sealed = ", sealed" if found.sealed else ""
            seen = f"{found.size} records{sealed}, root {found.root.hex()}, {at.isoformat()}"
        _say(f"{known.key.name} of {known.device.name}: {seen}")


@witness_app.command()
def check(
    log: Annotated[Path, typer.Argument(help="A log directory, or a batch's")],
    witness: Annotated[
        list[str], typer.Option(help="VKEY: what is kept beside the log; URL=VKEY: asks it too")
    ],
) -> None:
    """Compares a log with what witnesses have seen of it: 0 it continues that, 3 it does not."""
    from controller.witness.asking import WitnessAt
    from controller.witness.compare import log_in, with_evidence, with_witness
    from controller.witness.cosign import WitnessKey

    directory = log_in(log)
    asked = [WitnessAt.parse(text) for text in witness if "://" in text]
    try:
        keys = [WitnessKey.parse(text) for text in witness if "://" not in text]
    except NoteError as error:
        raise BadInput(f"{error}", do="Give VKEY or URL=VKEY, as the witness prints it.") from None
    _findings(
        [*with_evidence(directory, [*keys, *(at.key for at in asked)]),
         *(with_witness(directory, at) for at in asked)]
    )  # fmt: skip


def timestamp_check(
    log: Annotated[Path, typer.Argument(help="A log directory, or a batch's")],
    roots: Annotated[Path | None, typer.Option(help="PEM file: roots of the authority")] = None,
) -> None:
    """Checks the RFC 3161 time-stamp of a log's last checkpoint: 0 it holds, 3 it does not."""
    from controller.witness.compare import log_in, with_stamp

    _findings([with_stamp(log_in(log), roots)])


def _findings(found: Sequence[Finding]) -> None:
    for each in found:
        _say(f"{'ok' if each.ok else 'NOT OK'}: {each.words}")
    raise typer.Exit(0 if all(each.ok for each in found) else 3)


def _device(text: str) -> VerifierKey:
    try:
        return VerifierKey.parse(text)
    except NoteError as error:
        raise BadInput(
            f"{text[:120]!r} is no verifier key of a device: {error}",
            do="Give the line `cellwright key show` prints at the station.",
        ) from None


def _told(text: str) -> None:
    _say(f"{datetime.now(UTC).isoformat(timespec='seconds')} {text}")


def _say(text: str) -> None:
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
