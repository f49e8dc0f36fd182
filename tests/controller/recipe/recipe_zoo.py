"""Test recipes that together use everything a recipe can say, and a bench on which they are driven.

The `Bench` is a `Desk` whose outputs keep what they were last commanded, and whose supervisor can
die after any item of its log: what is kept then is what the log would hold, encoded as it is there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from random import Random
from textwrap import dedent, indent
from typing import Any

from recipe_bench import EQUIPMENT, Desk

from controller.core.clock import NS_PER_S, VirtualClock
from controller.core.events import Event
from controller.core.yamltext import load, parse
from controller.recipe.batch import BatchState, evolve, state_digest
from controller.recipe.decision import Command
from controller.recipe.engine import Change, Engine, Inputs, Order, ProtectiveRequest
from controller.recipe.load import compile_recipe, load_recipe
from controller.recipe.model import OfferModel
from controller.recipe.offer import Offer, compile_offer
from controller.recipe.plan import ControlRecipe
from controller.recipe.prompts import PromptAnswer
from controller.recipe.states import FINAL
from controller.record.entry import Context

ROWS = ("1", "9", "12", "15", "16")
ZOO = Path(__file__).parent / "zoo"
RECIPES = ("line", "routes", "sides", "daily", "people", "small")
READINGS = {
    "TT101": 37.0, "PT101": 0.0, "LT101": 1.5, "AT101": 7.2, "AT102": 40.0, "VOL": 1.5,
    "FT_N2": 0.0, "ST_FEED": 0.0, "ST_PERF": 0.0,
    **{f"XV{number}_ZS{end}": float(end == "C") for number in range(201, 205) for end in "OC"},
    "XV100_ZSO": 0.0, "XV100_ZSC": 1.0,
}  # fmt: skip
LIQUIDS = ("feed", "perfusate", "base", "xv201", "xv202", "xv203", "xv204")
# What the environment of a batch is: nothing but its end may put it there.
OFF = {
    ("set_output", "stirrer"): 0.0, ("set_output", "air"): 0.0, ("set_output", "km101"): 0.0,
    ("set_output", "xv100"): 0.0, ("set_output", "heater"): 0.0, ("set_mode", "TIC101"): "off",
    ("set_flag", "environment"): False,
}  # fmt: skip


@lru_cache
def zoo_offer() -> Offer:
    """What the zoo's unit offers."""
    document = load(ZOO / "unit.yaml")
    equipment = replace(EQUIPMENT, rows=dict.fromkeys(ROWS, "hold"))
    return compile_offer(document.validate(OfferModel), document, "bench", equipment, version="1")


@lru_cache
def zoo(name: str) -> ControlRecipe:
    """A recipe of the zoo, compiled."""
    return load_recipe(ZOO / f"{name}.yaml", zoo_offer())


def whole(procedure: str, more: str = "") -> Bench:
    """A batch of the recipe `small` with this procedure in YAML, and more for its head."""
    head = 'recipe: small\nversion: "1"\ntitle: Small\nunit: bench\nunit_version: "1"\n'
    text = f"{head}{dedent(more)}\nprocedure:\n{indent(dedent(procedure).strip(), '  ')}\n"
    return Bench(compile_recipe(parse(text.encode(), "recipe.yaml"), zoo_offer()))


def batch(items: str, more: str = "", *, start: bool = True, **readings: float) -> Bench:
    """A batch of one operation `u/o` with these items in YAML, started."""
    inside = indent(dedent(items).strip(), "      ")
    bench = whole(
        f"- unit_procedure: u\n  operations:\n  - operation: o\n    phases:\n{inside}", more
    )
    bench.readings |= readings
    if start:
        bench.press("start")
    return bench


class Crash(Exception):
    """The supervisor died."""


class Bench(Desk):
    """A desk with outputs, which can die.

    `left`: how many more items its log takes before it dies; None for a long life.
    """

    def __init__(self, recipe: ControlRecipe, readings: Mapping[str, float] = READINGS) -> None:
        super().__init__(recipe, dict(readings))
        self.left: int | None = None
        self.outputs: dict[str, float] = dict.fromkeys(LIQUIDS, 0.0)
        self.owners: dict[str, str] = {}
        self.flags: dict[str, bool] = {}
        self.digests = [state_digest(self.state)]

    def _spend(self) -> None:
        if self.left is not None:
            if self.left == 0:
                raise Crash
            self.left -= 1

    def _keep(self, event: Event) -> None:
        self._spend()
        if event.name == "procedure.state":
            was = self.state_of(event.data["path"])
            assert event.data["old"] == was, f"{event.words()}, but it was {was}"
        super()._keep(event)
        self.digests.append(state_digest(self.state))

    def tick(
        self,
        *,
        answers: Sequence[PromptAnswer] = (),
        orders: Sequence[Order] = (),
        protective: Sequence[ProtectiveRequest] = (),
        changes: Sequence[Change] = (),
    ) -> int:
        """As the desk's; a command acts on the outputs."""
        inputs = Inputs(self.read, tuple(answers), tuple(orders), tuple(protective), tuple(changes))
        for rounds in range(400):
            decision = self.engine.decide(self.state, inputs, self.clock.stamp())
            inputs = inputs.taken()
            if not decision.records and not decision.commands:
                return rounds
            for event in decision.records:
                self._keep(event)
            for command in decision.commands:
                self._spend()
                self._act(command)
        raise RuntimeError(f"the engine does not come to rest: {self.names()[-40:]}")

    def _act(self, command: Command) -> None:
        self.commands.append(command)
        self.log.append(command)
        if command.verb == "set_output":
            self.outputs[command.target] = float(command.value)
            self.owners[command.target] = phase_of(command)
            name = command.target.upper()
            if f"{name}_ZSO" in self.readings:
                self.readings[f"{name}_ZSO"] = float(command.value)
                self.readings[f"{name}_ZSC"] = 1.0 - float(command.value)
        elif command.verb == "set_flag":
            self.flags[command.target] = bool(command.value)

    def press(self, verb: str, path: str = "", actor: str = "anna") -> None:
        """An order of a person to an element; none named: to the whole."""
        self.tick(orders=[Order(verb, actor, "operator", "test", path)])

    def change(self, kind: str, path: str, name: str = "", value: str = "") -> list[Event]:
        """A change of two people; returns the records it made."""
        count = len(self.records)
        self.tick(changes=[
            Change(kind, path, name, value, "eva", "engineer", "test", "quentin", f"DEV-{count}")
        ])  # fmt: skip
        return self.records[count:]

    def twin(self) -> Bench:
        """The same batch on another bench, at the same instant."""
        other = Bench(self.recipe, self.readings)
        other.state, other.bad = self.state, set(self.bad)
        other.outputs, other.flags = dict(self.outputs), dict(self.flags)
        other.owners, other.records = dict(self.owners), list(self.records)
        other.clock = self.clock
        other.clock = VirtualClock(7, self.clock.stamp().utc_ns - self.clock.now_ns)
        other.clock.advance_to(self.clock.now_ns)
        other.clock._boot_id = self.clock._boot_id
        return other

    def die(
        self, gap_s: float, *, boot: bool = False, told: str | None = None, left: int | None = None
    ) -> None:
        """The supervisor is gone for a while; another takes the batch up from the log alone.

        `boot`: the machine was off. `told`: what the record says of the gap, if not the truth.
        `left`: how many items of the log the other one lives for.
        """
        self.left = None
        stamp = self.clock.stamp()
        if boot:
            epoch_ns = stamp.utc_ns + round(gap_s * NS_PER_S)
            self.clock = VirtualClock(epoch_ns % 1_000_003, epoch_ns)
        else:
            self.clock.advance_to(self.clock.now_ns + round(gap_s * NS_PER_S))
        self.engine = Engine(self.recipe)
        self.state = rebuilt(self.records)
        self.digests = self.digests[: len(self.records) + 1]
        said = f"{gap_s:g}" if told is None else told
        self.record("batch.attached", gap_s=said, state=self.state_of(self.recipe.root))
        self.left = left
        self.tick()

    def rest(self) -> None:
        """Answers what is asked and lets time pass, until the batch is at its end or 2 h later."""
        for _ in range(240):
            if self.state_of(self.recipe.root) in FINAL:
                return
            for prompt in self.engine.prompts(self.state):
                self.answer(prompt.prompt_id, good_answer(prompt.kind, prompt.prompt_id), "ida",
                            second="udo")  # fmt: skip
            self.go(30, 5)


def phase_of(command: Command) -> str:
    """The phase a command comes from; the root's own name for those of the whole."""
    return command.path.partition(" step ")[0]


def good_answer(kind: str, prompt_id: str) -> str:
    """What a person answers when all is well."""
    if kind in ("enter", "sample"):
        return "90" if prompt_id.endswith("viability") else "5"
    return {"choose": "left", "scan": "LOT-17"}.get(kind, "yes")


def encoded(records: Sequence[Event]) -> list[dict[str, Any]]:
    """Records as a log gives them back."""
    writer, reader = Context(), Context()
    return [reader.fill(json.loads(writer.encode(event))) for event in records]


def rebuilt(records: Sequence[Event]) -> BatchState:
    """The state that the log of these records says."""
    state = BatchState()
    for record in encoded(records):
        state = evolve(state, record)
    return state


class Wild:
    """A seeded driver: whatever people, rows, signals and machines may do, in any order."""

    def __init__(self, recipe: ControlRecipe, seed: int) -> None:
        self.random = Random(f"{recipe.id} {seed}")
        self.bench = Bench(recipe)
        self.acts = (
            (30, self.wait), (26, self.answer), (8, self.order), (5, self.restart), (4, self.row),
            (9, self.change), (6, self.signal), (3, self.crash), (3, self.lie_in),
        )  # fmt: skip

    def run(self, moves: int) -> None:
        """Starts the batch and makes moves until it ends."""
        self.bench.press("start")
        weights = [weight for weight, _ in self.acts]
        for _ in range(moves):
            if self.bench.state_of(self.bench.recipe.root) in FINAL:
                return
            act = self.random.choices([act for _, act in self.acts], weights)[0]
            try:
                act()
            except Crash:
                gap_s = self.random.choice([1, 20, 90, 4000])
                self.bench.die(gap_s, boot=self.random.random() < 0.3)

    def _path(self) -> str:
        return self.random.choice([
            "", *self.bench.recipe.nodes, *self.bench.state.runs, *self.bench.state.runs, "no/such",
        ])  # fmt: skip

    def wait(self) -> None:
        """Time passes."""
        self.bench.go(self.random.choice([1, 1, 5, 20, 70]))

    def lie_in(self) -> None:
        """Much time passes at once."""
        self.bench.go(self.random.choice([300, 1200]), 10)

    def answer(self) -> None:
        """Somebody answers a prompt, mostly well."""
        random, asked = self.random, self.bench.engine.prompts(self.bench.state)
        if not asked:
            self.wait()
            return
        prompt = random.choice(asked)
        value = good_answer(prompt.kind, prompt.prompt_id)
        if random.random() < 0.3:
            value = random.choice(["", "no", "0.4", "1e99", "nan", "20", "60 %", "right", "ß"])
        second = random.choice(["", "ben", "ben", "anna"])
        self.bench.answer(prompt.prompt_id, value, "anna", second)

    def order(self) -> None:
        """Somebody presses a button, wherever it is."""
        verb = self.random.choice([*["hold", "pause"] * 4, *["restart", "resume", "start"] * 2,
                                   "stop", "abort"])  # fmt: skip
        path = self._path()
        if verb in ("stop", "abort") and self.random.random() < 0.85:
            path = self.random.choice(list(self.bench.state.runs) or [""])
        self.bench.press(verb, path)

    def restart(self) -> None:
        """Somebody takes everything up that stands."""
        for path in list(self.bench.recipe.nodes):
            if self.bench.state_of(path) in ("Held", "Paused"):
                verb = "restart" if self.bench.state_of(path) == "Held" else "resume"
                self.bench.press(verb, path)

    def row(self) -> None:
        """A row of the unit asks for something."""
        row = self.random.choice(ROWS)
        action = self.random.choice(["hold"] * 39 + ["abort"])
        self.bench.tick(protective=[ProtectiveRequest(action, f"row {row}: test", row)])

    def signal(self) -> None:
        """A signal moves, goes bad or comes back."""
        random = self.random
        name = random.choice(["VOL", "AT101", "AT102", "TT101"])
        if random.random() < 0.3:
            self.bench.bad ^= {name}
            return
        values = {"VOL": (0.05, 0.6, 1.5, 2.5, 9.5), "AT101": (6.4, 7.2), "AT102": (10.0, 40.0),
                  "TT101": (20.0, 37.0)}  # fmt: skip
        self.bench.readings[name] = random.choice(values[name])

    def change(self) -> None:
        """An engineer changes the recipe as it runs."""
        random, name, value = self.random, "", ""
        kind = random.choice(["set", "extend", "skip", "repeat", "insert"])
        ended = [
            p for p, state in self.bench.state.nodes.items() if state in ("Stopped", "Aborted")
        ]
        if ended and random.random() < 0.5:
            self.bench.change(random.choice(["skip", "repeat"]), random.choice(ended))
            return
        if kind == "set":
            name, value = random.choice([
                ("time", "30 s"), ("volume", "0.7 L"), ("rate", "40 mL/min"), ("n", "3"),
                ("per_cell", "500 pL/cell/d"), ("time", "9 d"), ("no", "1"),
            ])  # fmt: skip
        elif kind == "extend":
            value = random.choice(["30 s", "10 min", "-5 s", "soon"])
        elif kind == "insert":
            name, value = random.choice([("mark", "n=5"), ("rest", "time=7 s"), ("drain", ""),
                                         ("identity", ""), ("none", "")])  # fmt: skip
        self.bench.change(kind, self._path(), name, value)

    def crash(self) -> None:
        """The supervisor will die within the next few records."""
        self.bench.left = self.random.randrange(12)
