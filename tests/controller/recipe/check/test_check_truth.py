"""What the check passes the engine really ends: random phases in random procedures, cut off.

If the check finds no error, then however the procedure ends (by itself, by Stop or Abort at any
time, after a Hold) every output a phase moved is at rest, and no step ever lacks a variable.
"""

from __future__ import annotations

import random

from check_bench import EQUIPMENT, PLANT

from controller.core.clock import NS_PER_S, VirtualClock
from controller.core.signal import Quality, Reading, Reason
from controller.core.yamltext import parse
from controller.recipe.check import check
from controller.recipe.engine import Engine, Inputs, Order
from controller.recipe.load import compile_recipe
from controller.recipe.model import OfferModel
from controller.recipe.offer import compile_offer
from controller.recipe.plan import ControlRecipe

OUTPUTS = ("xv201", "xv202", "feed")
REST = {"xv201": "closed", "xv202": "closed", "feed": "0 mL/min"}
MOVED = {"xv201": "open", "xv202": "open", "feed": "10 mL/min"}
FINAL = ("Complete", "Stopped", "Aborted")
SEEDS = 400


def _set(name: str, to: dict[str, str], when: str = "") -> str:
    condition = f"when: {when}, " if when else ""
    return f"{{text: Set, {condition}set: {{{name}: {to[name]}}}}}"


def _steps(draw: random.Random, many: int) -> list[str]:
    found = []
    for _ in range(draw.randint(1, many)):
        kind = draw.random()
        name = draw.choice(OUTPUTS)
        if kind < 0.25:
            found.append("{text: Rest, for: 1 h}")
        elif kind < 0.35:
            found.append(f"{{text: Note, set: {{mark: {draw.randint(0, 1)}}}}}")
        elif kind < 0.42:
            found.append("{text: Wait, wait: mark >= 0, timeout: 1 h, on_timeout: continue}")
        elif kind < 0.5:
            found.append(_set(name, draw.choice((REST, MOVED)), "VOL > 1 L"))
        else:
            found.append(_set(name, draw.choice((REST, MOVED))))
    return found


def _class(draw: random.Random, name: str) -> str:
    running = [*_steps(draw, 4), "{text: Rest, for: 1 h}"]
    leaves = draw.sample(OUTPUTS, draw.choice((0, 0, 1)))
    ends = [_set(each, REST) for each in OUTPUTS]
    lines = [f"  - id: {name}", f"    leaves: [{', '.join(leaves)}]"]
    if draw.random() < 0.8:
        running += [_set(each, REST) for each in OUTPUTS if each not in leaves]
    lines.append(f"    running: [{', '.join(running)}]")
    for logic, share in (("aborting", 1.0), ("stopping", 0.3), ("restarting", 0.2)):
        if draw.random() < share:
            steps = ends if draw.random() < 0.85 else draw.sample(ends, 2)
            if logic == "restarting":
                steps = _steps(draw, 1)
            lines.append(f"    {logic}: [{', '.join(steps)}]")
    return "\n".join(lines)


def _items(draw: random.Random, names: list[int], depth: int) -> str:
    found = []
    for _ in range(draw.randint(1, 3)):
        names.append(len(names))
        name, kind = f"i{names[-1]}", draw.random() if depth else 0.0
        when = draw.choice(("VOL > 1 L", "known(mark)", "mark == 1"))
        if kind < 0.6:
            found.append(f"{{phase: {name}, use: c{draw.randint(0, 2)}}}")
            continue
        one, two = _items(draw, names, depth - 1), _items(draw, names, depth - 1)
        if kind < 0.73:
            found.append(f"{{parallel: {name}, branches: [[{one}], [{two}]]}}")
        elif kind < 0.87:
            choices = f"[{{when: {when}, do: [{one}]}}, {{otherwise: [{two}]}}]"
            found.append(f"{{select: {name}, unknown: otherwise, choices: {choices}}}")
        else:
            found.append(f"{{loop: {name}, do: [{one}], until: {when}, unknown: again, "
                         "at_most: 2, on_limit: continue}")  # fmt: skip
    return ", ".join(found)


def _recipe(draw: random.Random) -> ControlRecipe:
    phases = "\n".join(_class(draw, f"c{n}") for n in range(3))
    unit = parse(
        f"variables:\n  mark: {{dimension: count}}\nphases:\n{phases}".encode(), "unit.yaml"
    )
    offer = compile_offer(unit.validate(OfferModel), unit, "bench", EQUIPMENT)
    head = 'recipe: small\nversion: "1"\ntitle: S\nunit: bench\nunit_version: "1"\nprocedure:\n'
    head += "  - unit_procedure: u\n    operations:\n      - operation: o\n"
    body = f"        phases: [{_items(draw, [], 1)}]\n"
    return compile_recipe(parse((head + body).encode(), "recipe.yaml"), offer)


class Run:
    """A batch of one recipe, driven by hours."""

    def __init__(self, recipe: ControlRecipe, volume: float) -> None:
        self.recipe, self.volume = recipe, volume
        self.engine, self.clock = Engine(recipe), VirtualClock(7)
        self.state = self.engine.initial()
        self.outputs: dict[str, float] = {}
        self.names: list[str] = []

    @property
    def whole(self) -> str:
        return self.state.node(self.recipe.root)

    def tick(self, *orders: str) -> None:
        inputs = Inputs(
            self._read, orders=[Order(verb, "anna", "operator", "t") for verb in orders]
        )
        for _ in range(64):
            decision = self.engine.decide(self.state, inputs, self.clock.stamp())
            inputs = inputs.taken()
            for event in decision.records:
                self.names.append(event.name)
                self.state = self.engine.evolve(self.state, event)
            for command in decision.commands:
                if command.verb == "set_output":
                    self.outputs[command.target] = float(command.value)
            if not decision.records and not decision.commands:
                return

    def go(self, minutes: int) -> None:
        for _ in range(minutes):
            self.clock.advance_to(self.clock.now_ns + 60 * NS_PER_S)
            self.tick()
            self.tick()

    def _read(self, tag: str) -> Reading:
        value = {"VOL": self.volume}.get(tag, 1.0)
        return Reading(value, Quality.GOOD, Reason.NONE, self.clock.now_ns)


def _end(run: Run, draw: random.Random) -> None:
    """Runs to the end, by itself or not."""
    run.tick("start")
    how = draw.choice(("itself", "stop", "abort", "hold", "hold then stop"))
    if how != "itself":
        run.go(draw.randint(0, 200))
    if run.whole == "Running" and how.startswith("hold"):
        run.tick("hold")
        run.go(3)
        if how == "hold" and run.whole == "Held":
            run.tick("restart")
    if run.whole not in FINAL and how != "itself" and how != "hold":
        run.tick("abort" if how == "abort" else "stop")
    for _ in range(60):
        if run.whole in FINAL or run.whole == "Held":
            break
        run.go(30)
    if run.whole not in FINAL:
        run.tick("stop")
        run.go(5)


def test_what_the_check_passes_leaves_nothing_moving_however_it_ends() -> None:
    passed = caught = 0
    for seed in range(SEEDS):
        draw = random.Random(seed)
        recipe = _recipe(draw)
        report = check(recipe, PLANT)
        run = Run(recipe, draw.choice((0.5, 1.5)))
        _end(run, draw)
        assert run.whole in FINAL, seed
        moving = {name: value for name, value in run.outputs.items() if value != 0.0}
        if report.errors:
            caught += bool(moving)
            continue
        passed += 1
        assert moving == {}, (seed, run.whole)
        assert "step.unknown" not in run.names or report.warnings, seed
    # Both kinds were there: what passes, and what would have been left moving.
    assert passed > 40
    assert caught > 20
