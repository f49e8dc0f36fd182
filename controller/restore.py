"""What a new field is given after its predecessor died with a batch open.

A module because it is one procedure with its own waiting: first until field has read back what
keeps the cells alive, then for its answers. Meanwhile the recipe waits, and nobody commands.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from controller.core.clock import NS_PER_S, Stamp
from controller.core.errors import BadInput, Refused
from controller.core.events import Event
from controller.desk import Request
from controller.field.board import Board
from controller.orders import SYSTEM
from controller.profile.plan import Mode
from controller.recipe.states import HELD, HOLDING, PAUSED, PAUSING, RESTARTING, RUNNING

if TYPE_CHECKING:
    from controller.supervisor import Supervisor

REASON = "field was restarted"
READ_BACK_NS_MAX = 5 * NS_PER_S  # safety.md: 2 s; beyond it modes are restored all the same
_HELD_AFTER = frozenset({RUNNING, PAUSING, PAUSED, RESTARTING, HOLDING, HELD})


class Restore:
    """Gives field again what the records say it had; `active` until every answer has come.

    `later` are loops whose devices have not been read back: they start when that is known, and
    until then their devices keep what they do.
    """

    def __init__(self, unit: Supervisor) -> None:
        self._unit = unit
        self._until_ns = -1
        self._given: list[int] = []
        self._not_given: list[str] = []
        self.later: list[tuple[str, str, str]] = []

    @property
    def active(self) -> bool:
        """Whether field does not have everything again yet."""
        return self._until_ns >= 0 or bool(self._given) or bool(self._not_given)

    def begin(self, stamp: Stamp) -> None:
        """From now on: also once more, when field dies again in the middle of it."""
        self._until_ns = stamp.mono_ns + READ_BACK_NS_MAX
        self._given.clear()
        self._not_given.clear()
        self.later.clear()

    def tick(self, stamp: Stamp) -> None:
        """Gives the commands once field has read back; says so once they are answered."""
        unit = self._unit
        if self._until_ns >= 0:
            adopting = unit.board.image.outputs["adopting"]
            if adopting.any() and stamp.mono_ns < self._until_ns:
                return
            self._until_ns = -1
            self._give(unit.orders.again(unit.procedure_state in _HELD_AFTER), stamp)
        elif self.active:
            waits = unit.orders.open
            if any(number in waits for number in self._given):
                return
            refused = self._not_given + unit.orders.refused_of(self._given)
            refused += [f"{loop} waits for its devices" for _, loop, _ in self.later]
            self._given.clear()
            self._not_given.clear()
            data = {"generation": unit.board.generation, "refused": "; ".join(refused)[:1000]}
            unit.record(Event("field.restored", stamp, data=data))
        elif self.later:
            ready = [item for item in self.later if not self._waits(item[0], item[1])]
            self.later = [item for item in self.later if item not in ready]
            wanted = [item for item in ready if self._wanted(item[0], item[1])]
            if wanted:  # a mode would give free what a reset left where it was
                self._give([*wanted, *unit.orders.locks()], stamp)

    def left_by(self, board: Board, stamp: Stamp) -> None:
        """Records latches and locks that a dead field's region holds and no record: their events
        were lost in a full ring. From then on the records know them."""
        unit = self._unit
        if unit.engine is None:
            return
        rows, outputs = unit.orders.unknown_of(board)
        if rows or outputs:
            data = {"generation": board.generation, "rows": " ".join(rows),
                    "outputs": " ".join(outputs)}  # fmt: skip
            unit.record(Event("field.left", stamp, data=data))

    def _give(self, wanted: list[tuple[str, str, str]], stamp: Stamp) -> None:
        unit = self._unit
        for verb, target, value in wanted:
            if self._waits(verb, target):
                self.later.append((verb, target, value))
                continue
            request = Request(verb, target, value, SYSTEM, "", REASON)
            try:
                self._given.append(unit.desk.issue(request, stamp))
            except (BadInput, Refused) as error:
                unit.desk.refuse(request, stamp, error.what)
                self._not_given.append(f"{verb} {target} {value}")

    def _waits(self, verb: str, target: str) -> bool:
        """Whether a command would move what was not read back yet."""
        unit = self._unit
        if verb == "set_output" and target in unit.orders.locked:
            return bool(unit.board.image.outputs["adopting"][unit.profile.outputs.index(target)])
        return verb in ("set_mode", "set_op") and self._unread(target)

    def _unread(self, loop: str) -> bool:
        """Whether a device behind a loop, or behind its slaves, was not read back yet."""
        plan, adopting = self._unit.profile.plan, self._unit.board.image.outputs["adopting"]
        own = self._unit.profile.loops.index(loop)
        for index, row in enumerate(plan.loops):
            first, count = int(row["first_segment"]), int(row["n_segments"])
            if (index != own and int(row["master"]) != own) or count == 0:
                continue
            if adopting[plan.segments["output"][first : first + count]].any():
                return True
        return False

    def _wanted(self, verb: str, target: str) -> bool:
        """Whether nobody has commanded the loop or output meanwhile."""
        if verb == "set_output":
            return target in self._unit.orders.locked
        index = self._unit.profile.loops.index(target)
        return int(self._unit.board.image.loops["mode"][index]) == Mode.OFF
