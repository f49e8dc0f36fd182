"""A batch lives through anything: random orders, rows, answers, changes, bad signals and crashes.

After every move the laws of `recipe_life` hold, and from every state a person gets out.
"""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from recipe_life import Laws, nothing_happened
from recipe_zoo import RECIPES, ROWS, Bench, Crash, Wild, good_answer, rebuilt, zoo

from controller.recipe.batch import state_digest
from controller.recipe.engine import Engine, ProtectiveRequest
from controller.recipe.states import COMMANDS, FINAL

_WORDS = st.sampled_from(["yes", "left", "", "nan", "1e400", "0.3", "70", "LOT-9", "×", "5 kg"])
_CHANGES = st.sampled_from([
    ("set", "time", "40 s"), ("set", "rate", "10 mL/min"), ("set", "volume", "0.4 L"),
    ("set", "n", "4"), ("set", "n", "4000"), ("set", "time", "7 mL"), ("set", "", ""),
    ("extend", "", "1 min"), ("extend", "", "-1 min"), ("extend", "", "1 L"),
    ("skip", "", ""), ("repeat", "", ""),
    ("insert", "mark", "n=8"), ("insert", "drain", "time=9 s"), ("insert", "rest", "time=1 kg"),
    ("insert", "identity", ""), ("insert", "fill", "a=1, b=2"),
    ("insert", "fill", "volume=0.2 L, rate=9 mL/min"), ("turn", "", ""),
])  # fmt: skip


class Life(RuleBasedStateMachine):
    """One batch of one recipe of the zoo."""

    @initialize(name=st.sampled_from(RECIPES))
    def begin(self, name: str) -> None:
        self.bench = Bench(zoo(name))
        self.laws = Laws(self.bench)
        self.bench.press("start")

    def alive(self) -> bool:
        """Whether the batch goes on."""
        return self.bench.state_of(self.bench.recipe.root) not in FINAL

    def element(self, number: int, near: bool) -> str:
        """Any element, or one of those that are at work."""
        paths = list(self.bench.state.runs) if near else list(self.bench.recipe.nodes)
        return paths[number % len(paths)] if paths else ""

    def rested(self) -> tuple[str, int]:
        """Digest and number of records once nothing more follows from what was; looked at by an
        engine that does not know yet when it may look away."""
        self.bench.engine = Engine(self.bench.recipe)
        self.bench.tick()
        return state_digest(self.bench.state), len(self.bench.records)

    @rule(verb=st.sampled_from(COMMANDS), number=st.integers(0, 30), near=st.booleans())
    def order(self, verb: str, number: int, near: bool) -> None:
        before, count = self.rested()
        self.bench.press(verb, self.element(number, near))
        if any(event.name == "command.refused" for event in self.bench.records[count:]):
            nothing_happened(self.bench, before, count)

    @rule(verb=st.sampled_from(["hold", "restart", "pause", "resume"]))
    def order_all(self, verb: str) -> None:
        self.bench.press(verb)

    @rule(row=st.sampled_from(ROWS), abort=st.integers(0, 9))
    def trip(self, row: str, abort: int) -> None:
        action = "abort" if abort == 9 else "hold"
        self.bench.tick(protective=[ProtectiveRequest(action, f"row {row} tripped", row)])

    @rule(well=st.integers(0, 3), word=_WORDS, second=st.sampled_from(["ben", "anna", ""]))
    def answer(self, well: int, word: str, second: str) -> None:
        asked = self.bench.engine.prompts(self.bench.state)
        before, count = self.rested()
        name = asked[0].prompt_id if asked else "u/o/nothing.asked"
        value = good_answer(asked[0].kind, name) if asked and well else word
        self.bench.answer(name, value, "anna", second)
        if any(event.name == "prompt.refused" for event in self.bench.records[count:]):
            nothing_happened(self.bench, before, count)

    @rule(what=_CHANGES, number=st.integers(0, 30), near=st.booleans())
    def change(self, what: tuple[str, str, str], number: int, near: bool) -> None:
        before, count = self.rested()
        made = self.bench.change(what[0], self.element(number, near), what[1], what[2])
        assert made, "a change has an answer"
        if any(event.name == "change.refused" for event in made):
            nothing_happened(self.bench, before, count)

    @rule(seconds=st.sampled_from([1, 1, 5, 16, 61, 130, 700]))
    def wait(self, seconds: int) -> None:
        self.bench.go(seconds)

    @rule(name=st.sampled_from(["VOL", "AT101", "AT102", "TT101"]), low=st.booleans())
    def signal(self, name: str, low: bool) -> None:
        ends = {"VOL": (0.05, 2.5), "AT101": (6.4, 7.2), "AT102": (10, 40), "TT101": (20, 37)}
        self.bench.readings[name] = ends[name][0 if low else 1]

    @rule(name=st.sampled_from(["VOL", "AT101", "AT102", "TT101"]))
    def quality(self, name: str) -> None:
        self.bench.bad ^= {name}

    @precondition(lambda self: self.alive())
    @rule(
        items=st.integers(0, 8), seconds=st.sampled_from([1, 40, 100, 5000]), boot=st.booleans(),
        told=st.sampled_from([None, None, ""]), verb=st.sampled_from(COMMANDS),
    )  # fmt: skip
    def crash(self, items: int, seconds: float, boot: bool, told: str | None, verb: str) -> None:
        self.bench.left = items
        try:
            self.bench.press(verb)
            self.bench.go(3)
        except Crash:
            pass
        self.bench.die(seconds, boot=boot, told=told)

    @invariant()
    def lawful(self) -> None:
        if hasattr(self, "laws"):
            self.laws.look()

    def teardown(self) -> None:
        """A person gets out: by a stop and by an abort, whatever there is now."""
        if not hasattr(self, "bench"):
            return
        assert state_digest(rebuilt(self.bench.records)) == state_digest(self.bench.state)
        if not self.alive():
            return
        for verb, end in (("stop", "Stopped"), ("abort", "Aborted")):
            twin = self.bench.twin()
            laws = Laws(twin)
            laws.states = dict(twin.state.nodes)
            twin.press(verb)
            twin.rest()
            laws.look()
            assert twin.state_of(twin.recipe.root) in {end, "Aborted"}, verb
            assert not twin.state.runs


def test_whatever_happens_in_any_order_the_laws_hold_and_a_person_gets_out() -> None:
    run_state_machine_as_test(
        Life, settings=settings(max_examples=60, stateful_step_count=30, deadline=None)
    )


@pytest.mark.campaign
def test_whatever_happens_in_any_order_two_thousand_times() -> None:
    run_state_machine_as_test(
        Life, settings=settings(max_examples=2_000, stateful_step_count=60, deadline=None)
    )


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("seed", range(4))
def test_a_wild_batch_keeps_the_laws_and_ends_when_people_let_it(name: str, seed: int) -> None:
    wild = Wild(zoo(name), seed)
    wild.run(80)
    laws = Laws(wild.bench)
    laws.look()
    if wild.bench.state_of(wild.bench.recipe.root) not in FINAL:
        wild.bench.left = None
        wild.bench.press("abort")
        wild.bench.rest()
    laws.look()
    assert wild.bench.state_of(wild.bench.recipe.root) in FINAL
