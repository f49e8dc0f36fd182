"""An operator who answers every prompt plausibly, for a recipe that nobody wrote a script for.

What a script already answers is left to it. Hands and laboratory are those of the simulated vessel;
after a Hold rows are reset and the batch, or the part that is held, is restarted.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase

from controller.asking import Request
from controller.core.clock import NS_PER_S, Stamp
from controller.core.errors import BadInput
from controller.core.events import Event
from controller.core.quantity import CANONICAL, canonical, decimal_text
from controller.recipe.batch import BatchState
from controller.recipe.engine import Engine
from controller.recipe.expression import NOWHERE, Expression
from controller.recipe.plan import PhasePlan, PromptStep
from controller.recipe.prompts import PromptView, step_of
from controller.recipe.states import HELD, HOLDING, RUNNING
from hil_sim.rig.rig import Operator, Rig

ANSWER_S, RESET_S, RESTART_S, RESTART_S_MAX = 120, 300, 600, 4 * 3600
RECOVERIES_MAX, TRIES_MAX = 24, 6
SECOND = "unverified:operator_2@station"
INOCULUM_L, SAMPLE_L = 0.04, 0.002
LAB = {"ph_offline": "ph"}  # a variable that is not called as the laboratory calls it


@dataclass(slots=True)
class Willing:
    """Plays against one rig, beside its script; `given_up` says what it stopped trying."""

    rig: Rig
    actor: str = ""
    given_up: list[str] = field(default_factory=list)
    answered: int = 0
    _scripted: Operator = field(init=False)
    _due: list[tuple[int, int, Callable[[], None]]] = field(default_factory=list)
    _count: int = 0
    _pending: set[str] = field(default_factory=set)
    _fresh: set[str] = field(default_factory=set)
    _tries: dict[str, int] = field(default_factory=dict)
    _restarting: set[str] = field(default_factory=set)
    _recoveries: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._scripted, self.rig.operator = self.rig.operator, self
        self.actor = self._scripted.actor
        self.rig.supervisor.listeners.append(self._listen)

    @property
    def next_ns(self) -> int:
        """When `act` has something to do."""
        own = self._due[0][0] if self._due else 1 << 62
        return min(own, self._scripted.next_ns)

    def act(self, stamp: Stamp) -> None:
        """Does everything that is due, the script's first."""
        if self._scripted.next_ns <= stamp.mono_ns:
            self._scripted.act(stamp)
        while self._due and self._due[0][0] <= stamp.mono_ns:
            _, _, what = heapq.heappop(self._due)
            what()

    def _later(self, seconds: float, what: Callable[[], None]) -> None:
        self._count += 1
        at_ns = self.rig.clock.now_ns + round(seconds * NS_PER_S)
        heapq.heappush(self._due, (at_ns, self._count, what))

    def _listen(self, event: Event) -> None:
        data = event.data
        if event.name == "prompt.opened":
            self._tries.pop(str(data["prompt_id"]), None)
            self._fresh.add(str(data["prompt_id"]))
            self._prompt(str(data["prompt_id"]))
        elif event.name in ("prompt.repeat", "prompt.refused", "control.result"):
            if event.name != "control.result" or data["then"] in ("retest", "hold"):
                self._prompt(str(data["prompt_id"]))
        elif event.name == "command.refused" and data["verb"] == "answer":
            self._prompt(str(data["target"]))
        elif event.name == "unit.hold":
            self._held("procedure", str(data["cause"]))
        elif event.name == "part.held":
            self._held(str(data["path"]), str(data["cause"]))
        elif event.name == "procedure.state" and data["new"] == RUNNING:
            for view in self._views(str(data["path"])):
                self._prompt(view.prompt_id)

    # -- prompts ----------------------------------------------------------------------------

    def _prompt(self, name: str) -> None:
        """An open prompt will be answered, once at a time; the hands act once an opening."""
        if name in self._pending or self._in_script(name):
            return
        tries = self._tries.get(name, 0)
        self._tries[name] = tries + 1
        if tries == TRIES_MAX:
            self.given_up.append(f"{name}: {TRIES_MAX} answers were not taken")
        if tries < TRIES_MAX:
            self._pending.add(name)
            self._later(ANSWER_S, lambda: self._answer(name))

    def _in_script(self, name: str) -> bool:
        answers = self.rig.scripted.script.model.answers
        return any(fnmatchcase(name, entry.prompt) for entry in answers)

    def _views(self, path: str) -> list[PromptView]:
        engine, state = self._engine()
        return [v for v in engine.prompts(state) if v.path == path] if engine else []

    def _engine(self) -> tuple[Engine | None, BatchState]:
        supervisor = self.rig.supervisor
        return supervisor.engine, supervisor.state

    def _answer(self, name: str) -> None:
        self._pending.discard(name)
        engine, state = self._engine()
        prompt = state.prompts.get(name)
        if engine is None or prompt is None or state.node(prompt.path) != RUNNING:
            return  # answered by somebody else, or its phase is held: asked again when it runs
        recipe = engine.current(state)
        step, plan = step_of(recipe, prompt), recipe.phases[prompt.path]
        view = next(view for view in engine.prompts(state) if view.prompt_id == name)
        try:
            if name in self._fresh:
                self._fresh.discard(name)
                self._hands(plan, step)
            value = self._value(view, step)
        except BadInput as error:
            self.given_up.append(f"{name}: {error.what}")
            return
        self.answered += 1
        self._ask(Request("answer", name, value, second=SECOND))

    def _ask(self, request: Request) -> None:
        self.rig.supervisor.desk.ask(replace(request, actor=self.actor, origin="script"))

    def _hands(self, plan: PhasePlan, step: PromptStep) -> None:
        """What is done at the vessel before a prompt is answered; most need nothing."""
        hands = self.rig.hands
        if step.kind in ("scan", "choose", "enter", "sample"):
            return
        if step.id == "pressurise":
            hands.do("pressurise", {"pressure": plan.parameters.get("pressure", "25 mbar")})
        elif step.id == "release":
            hands.do("release", {})
        elif step.id == "inoculated":
            wanted = plan.values.get("seed_density", 0.26)
            volume_l = self.rig.plant.truth()["volume_l"] + INOCULUM_L
            density = wanted * volume_l / INOCULUM_L
            hands.do("inoculate", {"volume_l": INOCULUM_L, "vcd_e6_per_ml": density,
                                   "viability_pct": 95})  # fmt: skip
        elif step.id == "draw":
            hands.do("draw_sample", {"volume_l": SAMPLE_L})
        elif step.id == "empty":
            hands.do("empty", {})

    def _value(self, view: PromptView, step: PromptStep) -> str:
        if view.kind in ("instruction", "confirm"):
            return "yes"
        if view.kind == "choose":
            return view.options[-1]  # the cautious choice stands last
        if view.kind == "scan":
            return view.expect or f"DRY-RUN-{step.into}"
        if view.repeat:
            return view.repeat
        try:
            return self._within(self.rig.hands.lab(LAB.get(step.into, step.into)), step)
        except BadInput:
            return self._expected(step)

    def _within(self, text: str, step: PromptStep) -> str:
        """The laboratory's result, at most as far as the prompt's limits: an assay has noise."""
        value = canonical(text, step.dimension)
        low, high = self._number(step.low), self._number(step.high)
        inside = max(value, value if low is None else low)
        inside = min(inside, inside if high is None else high)
        return text if inside == value else _canonical_text(inside, step.dimension)

    def _expected(self, step: PromptStep) -> str:
        """What nobody measures: the middle of the prompt's limits."""
        low, high = self._number(step.low), self._number(step.high)
        if low is None or high is None:
            raise BadInput("nobody knows what to answer: the laboratory has no such result and "
                           "the limits are not known yet")  # fmt: skip
        return _canonical_text((low + high) / 2, step.dimension)

    def _number(self, limit: Expression | None) -> float | None:
        value = None if limit is None else limit.evaluate(NOWHERE)
        return float(value) if isinstance(value, float | int) else None

    # -- after a Hold -----------------------------------------------------------------------

    def _held(self, target: str, cause: str) -> None:
        if self.rig.scripted.script.model.recovery and target == "procedure":
            return
        if target in self._restarting:
            return
        count = self._recoveries.get(target, 0)
        self._recoveries[target] = count + 1
        if count >= RECOVERIES_MAX:
            self.given_up.append(f"{target}: held {count + 1} times, the last time: {cause}")
            return
        self._restarting.add(target)
        self._later(RESET_S, self._reset)
        self._later(RESTART_S, lambda: self._restart(target, RESTART_S))

    def _reset(self) -> None:
        """Every latched row, the earliest trip first."""
        supervisor = self.rig.supervisor
        causes = supervisor.board.image.causes
        latched = [int(i) for i in (causes["latched"] == 1).nonzero()[0]]
        for index in sorted(latched, key=lambda i: int(causes[i]["order"])):
            row = supervisor.profile.causes[index].row
            self._ask(Request("reset", row, reason="the cause is gone"))

    def _restart(self, target: str, waited_s: int) -> None:
        """A row that still stands refuses a restart: asked again, less and less often."""
        engine, state = self._engine()
        path = target if engine is None else engine.recipe.element(target)
        if engine is None or state.node(path) not in (HOLDING, HELD):
            self._restarting.discard(target)
            return
        self._reset()
        self._ask(Request("restart", target, reason="dry run: the cause is gone"))
        again_s = min(2 * waited_s, RESTART_S_MAX)
        self._later(again_s, lambda: self._restart(target, again_s))


def _canonical_text(value: float, dimension: str) -> str:
    unit = CANONICAL[dimension]
    return decimal_text(value) if unit == "1" else f"{decimal_text(value)} {unit}"
