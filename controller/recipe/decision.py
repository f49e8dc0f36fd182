"""A decision and how it is drafted: records, commands, and the state they lead to so far.

A draft evolves its own state with each record it makes, so that a second answer to the same prompt
in one tick already finds it answered.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from controller.core.clock import NS_PER_S, Stamp
from controller.core.events import Event
from controller.core.quantity import CANONICAL, decimal_text
from controller.core.signal import Reading
from controller.recipe.amend import amended
from controller.recipe.batch import BatchState, evolve
from controller.recipe.expression import Held
from controller.recipe.plan import ControlRecipe
from controller.recipe.runs import PhaseRun
from controller.recipe.states import move

FAR_NS = 1 << 62


@dataclass(frozen=True, slots=True)
class Command:
    """What the recipe wants of the field.

    `verb` is set_sp, set_mode, set_output or set_flag; `value` a number in the target's canonical
    unit (a two-state output: 1.0 open or on, 0.0 closed or off), a mode, or a flag's truth;
    `path` names the phase and step it comes from.
    """

    verb: str
    target: str
    value: float | bool | str
    path: str


@dataclass(frozen=True, slots=True)
class Decision:
    """Records in their order, then the commands whose intents follow them in the log."""

    records: tuple[Event, ...]
    commands: tuple[Command, ...]


@dataclass(frozen=True, slots=True)
class End:
    """A step, a row or a person's change asks for hold, stop or abort of the element at `path`;
    without one, of the whole procedure. `limit`: the loop that ran so often; recorded as seen only
    behind what it asks for, so that a death in between cannot let it pass."""

    trigger: str
    cause: str
    path: str = ""
    limit: tuple[str, int] | None = None


class Draft:
    """One decision in the making. Is also the environment of expressions."""

    __slots__ = (
        "_amendments", "_frozen", "_held", "_recipe", "_run", "actor", "commands", "next_ns",
        "now_ns", "read", "reason", "records", "role", "stamp", "state",
    )  # fmt: skip

    def __init__(
        self, recipe: ControlRecipe, state: BatchState, read: Callable[[str], Reading], stamp: Stamp
    ) -> None:
        self._frozen, self.state, self.read, self.stamp = recipe, state, read, stamp
        self._amendments = state.amendments
        self._recipe = amended(recipe, state.amendments)
        self.now_ns = state.clock.of(stamp)
        self.next_ns = FAR_NS
        self.records: list[Event] = []
        self.commands: list[Command] = []
        self.actor, self.role, self.reason = "recipe", "", ""
        self._run = PhaseRun()
        self._held: tuple[Held, ...] = ()

    @property
    def frozen(self) -> ControlRecipe:
        """The recipe as the batch was opened with it."""
        return self._frozen

    @property
    def recipe(self) -> ControlRecipe:
        """The recipe as it runs: with what people changed and phases found."""
        if self.state.amendments is not self._amendments:
            self._amendments = self.state.amendments
            self._recipe = amended(self._frozen, self._amendments)
        return self._recipe

    def emit(self, name: str, /, **data: Any) -> None:
        """Makes a record and lets it act on the draft's state."""
        event = Event(name, self.stamp, self.actor, self.role, self.reason, data)
        self.records.append(event)
        self.state = evolve(self.state, event)

    def command(self, verb: str, target: str, value: float | bool | str, path: str) -> None:
        """Adds a command."""
        self.commands.append(Command(verb, target, value, path))

    def change(self, path: str, trigger: str, cause: str) -> None:
        """Moves one procedural element by the state table; a phase's timer is frozen first."""
        level = self.recipe.nodes[path].level
        old = self.state.node(path)
        if trigger == "hold":
            self.freeze(path)
        self.emit(
            "procedure.state", path=path, level=level, old=old, new=move(old, trigger), cause=cause
        )

    def freeze(self, path: str, less_ns: int = 0) -> None:
        """A phase's timer stands still from now on, without the last `less_ns` of it."""
        run = self.state.runs.get(path)
        if run is not None and run.since_ns >= 0:
            elapsed = Decimal(max(0, run.elapsed(self.now_ns) - less_ns)) / NS_PER_S
            elapsed_s = format(elapsed.normalize(), "f")
            self.emit("step.timer", path=path, index=run.index, elapsed_s=elapsed_s)

    def set_variable(self, name: str, value: float | str, source: str) -> None:
        """Records a new value of a unit variable."""
        known = self.state.variables.get(name)
        old = "" if known is None else _words(known.value)
        dimension = self.recipe.variables[name]
        unit = "text" if dimension == "text" else CANONICAL[dimension]
        self.emit("variable.set", name=name, old=old, new=_words(value), unit=unit, source=source)

    def wake(self, at_ns: int) -> None:
        """The batch must be looked at again at this batch time, at the latest."""
        if at_ns < self.next_ns:
            self.next_ns = at_ns

    def look(self, run: PhaseRun, held: tuple[Held, ...]) -> None:
        """Points `held(...)` at the step being looked at."""
        self._run, self._held = run, held

    def tag(self, name: str) -> float | None:
        """A process value, if it is good."""
        reading = self.read(name)
        return reading.value if reading.good else None

    def variable(self, name: str) -> float | str | None:
        """A unit variable, if it was ever set."""
        found = self.state.variables.get(name)
        return None if found is None else found.value

    def age(self, name: str) -> float | None:
        """Seconds since a unit variable was set."""
        found = self.state.variables.get(name)
        return None if found is None else (self.now_ns - found.set_ns) / NS_PER_S

    def held(self, part: int) -> bool:
        """Whether a `held(...)` of the present step has held long enough."""
        for number, since_ns in self._run.held:
            if number == part:
                return self.now_ns - since_ns >= self._held[part].duration_ns
        return False


def _words(value: float | str) -> str:
    return value if isinstance(value, str) else decimal_text(value)
