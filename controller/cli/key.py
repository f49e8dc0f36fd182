"""`cellwright key show`: the key of this station that an inspector must know from elsewhere."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from controller.core.errors import BadInput

key_app = typer.Typer(no_args_is_help=True, help="The key that certifies this station's logs.")
DeviceKey = Annotated[str, typer.Option(help="pkcs11:... of a token; default: a file in --state")]


@key_app.callback()
def _key() -> None:
    """The key that certifies this station's logs."""


@key_app.command()
def show(
    state: Annotated[Path, typer.Option(help="State directory of the station")],
    device_key: DeviceKey = "",
) -> None:
    """Prints the device's verifier key; nothing is made. See docs/keys.md."""
    from controller.record.keys import DEVICE_FILE, device_in
    from controller.record.state import StateDir
    from controller.record.token import TokenKey, TokenUri

    if device_key:
        verifier = TokenKey(TokenUri.parse(device_key)).verifier
    else:
        folder = StateDir(state).keys
        if not (folder / DEVICE_FILE).exists():
            raise BadInput(
                "this state directory has no device key", where=folder / DEVICE_FILE,
                do="Give the --state of a station that ran, or --device-key if it is on a token.",
            )  # fmt: skip
        verifier = device_in(folder)
    sys.stdout.write(f"{verifier}\n")
