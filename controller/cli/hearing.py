"""The options of a run about who hears its alarms: an annunciator program, a call-out command.

A module because `run`, `sim run` and the supervisor they start must read and write them alike.
"""

from __future__ import annotations

import argparse
import shlex
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from controller.core.errors import BadInput

if TYPE_CHECKING:
    from controller.annunciator.face import Annunciator
    from controller.supervisor import Supervisor

WORDS_MAX = 64
AnnunciatorCommand = Annotated[
    str, typer.Option("--annunciator", help="Program for horn and beacon: see docs/alarms.md")
]
CallOutCommand = Annotated[
    str, typer.Option("--call-out", help="Command run when nobody acknowledges in time")
]


@dataclass(frozen=True, slots=True)
class Hearing:
    """Both commands as they were typed; empty where there is none."""

    annunciator: str = ""
    call_out: str = ""

    @staticmethod
    def add_to(parser: argparse.ArgumentParser) -> None:
        """The same options for the supervisor's program."""
        parser.add_argument("--annunciator", default="", metavar="CMD")
        parser.add_argument("--call-out", default="", metavar="CMD")

    @classmethod
    def of(cls, asked: argparse.Namespace) -> Hearing:
        """From the supervisor's arguments."""
        return cls(asked.annunciator, asked.call_out)

    def words(self) -> list[str]:
        """As arguments of the supervisor."""
        words = [f"--annunciator={self.annunciator}"] if self.annunciator else []
        return words + ([f"--call-out={self.call_out}"] if self.call_out else [])

    def checked(self, say: Callable[[str], None] | None) -> Hearing:
        """Raises BadInput for what is no command of this machine. `say`: a batch is open and goes
        on; that is said instead, and stands as an alarm until it can be started."""
        for option, text in (("--annunciator", self.annunciator), ("--call-out", self.call_out)):
            try:
                _argv(option, text)
            except BadInput as error:
                if say is None:
                    raise
                say(f"nobody may hear the alarms of the open batch: {error.what}")
        return self

    def made(self, supervisor: Supervisor) -> Annunciator:
        """The face of a run."""
        from controller.annunciator.face import Annunciator

        return Annunciator(supervisor, _split(self.annunciator), _split(self.call_out))


NOBODY_HEARS = Hearing()


def _split(text: str) -> list[str]:
    """The words of a command; of one that cannot be read, the text, which then cannot be started.
    """
    try:
        return shlex.split(text)
    except ValueError:
        return [text]


def _argv(option: str, text: str) -> None:
    words = _split(text)
    if text and (not words or len(words) > WORDS_MAX or shutil.which(words[0]) is None):
        raise BadInput(
            f"{option} {text[:80]!r} is no command of this machine",
            do="Give a program that can be executed, with its arguments in one pair of quotes.",
        )
