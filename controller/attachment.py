"""The supervisor's hold on field: which generation lives, and what dead ones left behind.

A module because generations are files that come and go by themselves: here they become boards.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from controller.core.errors import BadInput
from controller.field.board import Board
from controller.field.links.note import Note, from_bytes
from controller.field.lock import SHM
from controller.field.region import (
    Region,
    generations,
    is_owned,
    open_region,
    region_path,
)
from controller.profile.compile import Profile

FIELD = "field"  # the name of field's own note ring


@dataclass(slots=True)
class Attached:
    """One generation: its region and the board on it."""

    region: Region
    board: Board

    @property
    def owned(self) -> bool:
        """Whether its field lives."""
        return self.region.owned


class Attachment:
    """The generations of one station, as one supervisor sees them."""

    def __init__(self, station: str, profile: Profile, folder: Path = SHM) -> None:
        self._station, self._profile, self._folder = station, profile, folder
        self._rings = [*(link.name for link in profile.links), FIELD]
        self.present: Attached | None = None

    def find(self) -> tuple[Attached | None, list[Attached]]:
        """The living field's generation, if there is one, and the dead ones, oldest first.

        Raises BadInput for a living field of another version or profile. A dead one that cannot be
        read holds nothing for us: it is left where it is.
        """
        living: Attached | None = None
        dead: list[Attached] = []
        for number in generations(self._station, self._folder):
            found = self._open(number)
            if found is None:
                continue
            if found.owned:
                living = found
            else:
                dead.append(found)
        return living, dead

    def newer(self) -> Attached | None:
        """A living field of a later generation than the present one."""
        last = generations(self._station, self._folder)[-1:]
        if not last or (self.present is not None and last[0] <= self.present.region.generation):
            return None
        found = self._open(last[0])
        return found if found is not None and found.owned else None

    def notes(self, attached: Attached) -> list[tuple[str, int, Note]]:
        """What links and field have to say: ring's name, sequence, note; each once."""
        found = []
        for number, name in enumerate(self._rings):
            for sequence, text in attached.board.take_notes(number):
                found.append((name, sequence, from_bytes(text)))
        return found

    def _open(self, number: int, last: bool = False) -> Attached | None:
        """The generation's region; `last`: it was finished, but perhaps only after the first look.

        Raises BadInput for a living field's that is finished and not ours to read.
        """
        profile = self._profile
        try:
            region = open_region(self._station, number, profile.plan, self._folder)
        except BadInput:
            if not self._owned_by_another(number):
                return None
            if last:
                raise
            return self._open(number, last=True)
        try:
            live = profile.plan if region.owned else None
            return Attached(region, Board(region.image, profile.index, live))
        except BadInput:
            region.close()
            return None

    def _owned_by_another(self, number: int) -> bool:
        """Whether a region that cannot be attached belongs to a living field that is complete."""
        path = region_path(self._station, number, self._folder)
        return is_owned(path) and path.stat().st_size > 0 and _finished(path)


def _finished(path: Path) -> bool:
    """Whether the region's first word is there: field writes it last."""
    with path.open("rb") as file:
        return any(file.read(8))
