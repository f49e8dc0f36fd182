"""A unit, a driver and a table of readings for the tests of the recipe engine.

The `Desk` does what the rooms around the engine do: it appends records to a log, evolves the state
from them, and lets commands act on a small table of readings.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from controller.core.clock import NS_PER_S, VirtualClock
from controller.core.events import Event
from controller.core.signal import Quality, Reading, Reason
from controller.core.yamltext import Document, load, parse
from controller.recipe.decision import Command
from controller.recipe.engine import Engine, Inputs, Order, ProtectiveRequest
from controller.recipe.load import compile_recipe, load_recipe
from controller.recipe.model import OfferModel
from controller.recipe.offer import Offer, compile_offer
from controller.recipe.plan import ControlRecipe
from controller.recipe.prompts import PromptAnswer
from controller.recipe.steps import Equipment

ROOT = Path(__file__).parents[3]
UNIT = ROOT / "equipment_profiles" / "units" / "perfusion_2l.yaml"
VALVES = (100, 201, 202, 203, 204)
EQUIPMENT = Equipment(
    tags={
        "TT101": "temperature", "PT101": "pressure", "LT101": "volume", "AT101": "ph",
        "AT102": "fraction", "VOL": "volume", "FT_N2": "flow", "ST_FEED": "flow", "ST_PERF": "flow",
        **{f"XV{number}_ZS{end}": "count" for number in VALVES for end in "OC"},
    },
    loops={
        "TIC101": "temperature", "TIC103": "temperature", "DIC101": "fraction", "AIC101": "ph",
        "WIC101": "volume",
    },
    outputs={
        **dict.fromkeys(("air", "o2", "co2", "n2", "feed", "perfusate", "base"), "flow"),
        "heater": "fraction", "stirrer": "speed", "km101": "switch",
        **{f"xv{number}": "valve" for number in VALVES},
    },
    flags=frozenset(
        {"cells_in", "prime", "harvest", "lineup", "no_perfusion", "no_base", "environment"}
    ),
)  # fmt: skip


def offer_of(text: str) -> Offer:
    """An offer from YAML text."""
    document = parse(text.encode(), "unit.yaml")
    return compile_offer(document.validate(OfferModel), document, "bench", EQUIPMENT)


def recipe_of(text: str, offer: Offer) -> ControlRecipe:
    """A control recipe from YAML text."""
    return compile_recipe(parse(text.encode(), "recipe.yaml"), offer)


def shipped_offer() -> Offer:
    """The offer of the shipped unit."""
    whole = load(UNIT)
    data = {key: whole.data[key] for key in ("variables", "ending", "phases")}
    document = Document(whole.file, data, whole.places, whole.sha256)
    return compile_offer(document.validate(OfferModel), document, "perfusion_2l", EQUIPMENT)


def shipped_recipe() -> ControlRecipe:
    """The shipped recipe on the shipped unit."""
    return load_recipe(ROOT / "recipes" / "car_t_perfusion.yaml", shipped_offer())


@dataclass
class Desk:
    """Drives an engine over virtual time; `log` holds records and commands as they left."""

    recipe: ControlRecipe
    readings: dict[str, float] = field(default_factory=dict)
    bad: set[str] = field(default_factory=set)
    act: Callable[[Command], None] | None = None

    def __post_init__(self) -> None:
        self.clock = VirtualClock(7)
        self.engine = Engine(self.recipe)
        self.state = self.engine.initial()
        self.records: list[Event] = []
        self.commands: list[Command] = []
        self.log: list[Event | Command] = []

    def read(self, tag: str) -> Reading:
        """One reading; NaN and bad for a tag in `bad`."""
        if tag in self.bad:
            return Reading(math.nan, Quality.BAD, Reason.COMMUNICATION, self.clock.now_ns)
        return Reading(self.readings[tag], Quality.GOOD, Reason.NONE, self.clock.now_ns)

    def record(self, name: str, /, **data: Any) -> None:
        """A record of another room."""
        self._keep(Event(name, self.clock.stamp(), data=data))

    def tick(
        self,
        *,
        answers: Sequence[PromptAnswer] = (),
        orders: Sequence[Order] = (),
        protective: Sequence[ProtectiveRequest] = (),
    ) -> int:
        """Decides until nothing follows; returns the number of rounds that yielded something."""
        inputs = Inputs(self.read, tuple(answers), tuple(orders), tuple(protective))
        for rounds in range(64):
            decision = self.engine.decide(self.state, inputs, self.clock.stamp())
            inputs = inputs.taken()
            if not decision.records and not decision.commands:
                return rounds
            for event in decision.records:
                self._keep(event)
            for command in decision.commands:
                self.commands.append(command)
                self.log.append(command)
                if self.act is not None:
                    self.act(command)
        return 64

    def _keep(self, event: Event) -> None:
        self.records.append(event)
        self.log.append(event)
        self.state = self.engine.evolve(self.state, event)

    def go(self, seconds: float, step_s: float = 1.0) -> None:
        """Moves time on, ticking at every step."""
        for _ in range(round(seconds / step_s)):
            self.clock.advance_to(self.clock.now_ns + round(step_s * NS_PER_S))
            self.tick()

    def order(self, verb: str, actor: str = "anna") -> None:
        """One order of a person."""
        self.tick(orders=[Order(verb, actor, "operator", "test")])

    def protect(self, action: str, cause: str) -> None:
        """One request of a row."""
        self.tick(protective=[ProtectiveRequest(action, cause)])

    def answer(self, prompt_id: str, value: str, actor: str = "anna", second: str = "") -> None:
        """One answer to a prompt."""
        self.tick(answers=[PromptAnswer(prompt_id, value, actor, "operator", second)])

    def state_of(self, path: str) -> str:
        """The procedural state of an element."""
        return self.state.node(path)

    def names(self) -> list[str]:
        """The names of all records so far."""
        return [event.name for event in self.records]

    def sent(self) -> list[tuple[str, str, float | bool | str]]:
        """The commands so far, without their origin."""
        return [(command.verb, command.target, command.value) for command in self.commands]


VARIABLES = """
variables:
  vcd: {dimension: cell_density}
  expected: {dimension: cell_density}
  mark: {dimension: count}
  lot: {dimension: text}
"""
HEAD = """
recipe: small
version: "1"
title: Small
unit: bench
unit_version: "1"
procedure:
  - unit_procedure: u
    operations:
      - operation: o
"""
AGING = """
    aborting:
      - text: Stop
        set: {feed: 0 mL/min, xv201: closed}
"""
P = "u/o/p"


def desk(
    running: str, *, others: str = AGING, calls: str = "[{phase: p}]", **readings: float
) -> Desk:
    """A batch of one phase `p` with the given steps, started."""
    offer = offer_of(f"{VARIABLES}\nphases:\n  - id: p\n    running:\n{running}{others}")
    bench = Desk(recipe_of(f"{HEAD}        phases: {calls}\n", offer), dict(readings))
    bench.order("start")
    return bench
