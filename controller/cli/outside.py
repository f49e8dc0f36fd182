"""The options of a run about who outside the station sees its logs: witnesses and an authority.

A module because `run`, `sim run` and the supervisor they start must read and write them alike.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from controller.core.clock import Clock
from controller.core.errors import BadInput
from controller.core.ports import Unwatched, Watch

if TYPE_CHECKING:
    from controller.station import Station

WITNESSES_MAX = 8
Witnesses = Annotated[
    list[str] | None,
    typer.Option("--witness", help="URL=VKEY of a witness of the logs; may be repeated"),
]
Tsa = Annotated[str, typer.Option("--tsa", help="URL of an RFC 3161 time-stamping authority")]
TsaRoots = Annotated[
    Path | None, typer.Option("--tsa-roots", help="PEM file of the roots it is trusted by")
]


@dataclass(frozen=True, slots=True)
class Outside:
    """Witnesses as `URL=VKEY`, the URL of an authority and the file of its roots."""

    witnesses: tuple[str, ...] = ()
    tsa: str = ""
    roots: Path | None = None

    @classmethod
    def given(cls, witnesses: Sequence[str] | None, tsa: str, roots: Path | None) -> Outside:
        """From the options of a command."""
        return cls(tuple(witnesses or ()), tsa, roots)

    @staticmethod
    def add_to(parser: argparse.ArgumentParser) -> None:
        """The same options for the supervisor's program."""
        parser.add_argument("--witness", action="append", default=[], metavar="URL=VKEY")
        parser.add_argument("--tsa", default="", metavar="URL")
        parser.add_argument("--tsa-roots", type=Path, default=None)

    @classmethod
    def of(cls, asked: argparse.Namespace) -> Outside:
        """From the supervisor's arguments."""
        return cls(tuple(asked.witness), asked.tsa, asked.tsa_roots)

    @property
    def any(self) -> bool:
        """Whether anybody is to be asked."""
        return bool(self.witnesses or self.tsa)

    def words(self) -> list[str]:
        """As arguments of the supervisor."""
        words = [word for each in self.witnesses for word in ("--witness", each)]
        words += ["--tsa", self.tsa] if self.tsa else []
        return words + (["--tsa-roots", str(self.roots)] if self.roots is not None else [])

    def checked(self, say: Callable[[str], None] | None) -> Outside:
        """Raises BadInput for what is no witness, no address or no file of certificates.

        `say`: a batch is open and must go on, so that is said instead, and all of it left out.
        """
        try:
            self._check()
        except BadInput as error:
            if say is None:
                raise
            say(f"the open batch goes on without a witness and a time-stamp: {error}")
            return NOBODY
        return self

    def _check(self) -> None:
        if not self.any and self.roots is None:
            return
        from controller.witness.asking import WitnessAt
        from controller.witness.http import Address

        if len(self.witnesses) > WITNESSES_MAX:
            raise BadInput(f"more than {WITNESSES_MAX} witnesses")
        keys = [WitnessAt.parse(each).key for each in self.witnesses]
        if len({key.name for key in keys}) != len(keys):
            raise BadInput("a witness is given twice", do="Give each --witness once.")
        if self.tsa:
            Address.parse(self.tsa, "a time-stamping authority")
        elif self.roots is not None:
            raise BadInput("--tsa-roots without --tsa", do="Give the URL of the authority too.")
        if self.roots is not None:
            from controller.witness.stamping import read_roots

            read_roots(self.roots)


NOBODY = Outside()


def watched(
    outside: Outside, station: Station, clock: Clock, say: Callable[[str], None]
) -> Watch:
    """Who watches a station's logs, asked for the first time.

    Raises RecordFailure when the log was rolled back and no batch is open.
    """
    outside = outside.checked(say if station.found_open else None)  # a file may be gone since
    if not outside.any:
        return Unwatched()
    from controller.record.files import DurableFiles
    from controller.witness.asking import WitnessAt
    from controller.witness.http import Address
    from controller.witness.station import StationWatch

    authority = None
    if outside.tsa:
        authority = (Address.parse(outside.tsa, "a time-stamping authority"), outside.roots)
    witnesses = [WitnessAt.parse(each) for each in outside.witnesses]
    watch = StationWatch(station, witnesses, clock, DurableFiles(), authority)
    watch.first(clock.stamp())
    return watch
