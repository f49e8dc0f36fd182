"""The recipe engine: `decide` says what follows from a state, `evolve` is what records do to it.

State changes only by records. A step's commands leave in the decision that records `step.started`,
and the next step starts in a later one: so a log that shows the next step also shows the commands
of this one, and after `batch.attached` the present step's commands are given once more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from controller.core.clock import Stamp
from controller.core.errors import Refused
from controller.core.signal import Reading
from controller.recipe import phase, prompts
from controller.recipe.batch import BatchState, Record, evolve
from controller.recipe.decision import Command, Decision, Draft, End
from controller.recipe.model import ControlRecipe
from controller.recipe.prompts import PromptAnswer, PromptView
from controller.recipe.states import (
    ABORTED,
    ABORTING,
    COMPLETE,
    HELD,
    HOLDING,
    IDLE,
    RESTARTING,
    RUNNING,
    STOPPED,
    STOPPING,
    legal,
    move,
)

_REST = Decision((), ())
# What a child does when its parent is in a state: parent -> (child states, trigger).
_DOWN: dict[str, tuple[frozenset[str], str]] = {
    HOLDING: (frozenset({RUNNING, RESTARTING}), "hold"),
    RESTARTING: (frozenset({HELD}), "restart"),
    STOPPING: (frozenset({RUNNING, HOLDING, HELD, RESTARTING}), "stop"),
    ABORTING: (frozenset({RUNNING, HOLDING, HELD, RESTARTING, STOPPING}), "abort"),
}
# When a parent's active children are all in these, the parent is done too.
_UP: dict[str, frozenset[str]] = {
    HOLDING: frozenset({HELD}),
    RESTARTING: frozenset({RUNNING}),
    STOPPING: frozenset({STOPPED}),
    ABORTING: frozenset({ABORTED, STOPPED}),
}
_HELD_STATES = frozenset({HOLDING, HELD})  # the Hold column is in force


@dataclass(frozen=True, slots=True)
class Order:
    """A person's command to the batch: start, hold, restart, stop or abort."""

    verb: str
    actor: str
    role: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ProtectiveRequest:
    """What a row of the cause-and-effect chart asks of the batch: hold or abort."""

    action: str
    cause: str


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a decision may look at. Answers, orders and requests are handed in once."""

    read: Callable[[str], Reading]
    answers: Sequence[PromptAnswer] = ()
    orders: Sequence[Order] = ()
    protective: Sequence[ProtectiveRequest] = ()

    def taken(self) -> Inputs:
        """The same signals with nothing handed in: for the further rounds of a tick."""
        return replace(self, answers=(), orders=(), protective=())


@dataclass(frozen=True, slots=True)
class Position:
    """Where an active phase is: for people."""

    path: str
    title: str
    state: str
    index: int
    text: str


class Engine:
    """Decides for one control recipe.

    It holds no state of the batch. It remembers only that a given state had nothing to do before a
    given time, which saves looking again; forgetting that changes nothing.
    """

    def __init__(self, recipe: ControlRecipe) -> None:
        self.recipe = recipe
        self._resting: BatchState | None = None
        self.wake_ns = 0
        self._settled: BatchState | None = None
        self._upwards = tuple(reversed(list(recipe.nodes)))
        self._children = {
            path: tuple(child for branch in node.branches for child in branch)
            for path, node in recipe.nodes.items()
        }

    def initial(self) -> BatchState:
        """The state before the first record."""
        return BatchState()

    def evolve(self, state: BatchState, record: Record) -> BatchState:
        """See `batch.evolve`."""
        return evolve(state, record)

    def check_order(self, state: BatchState, verb: str) -> None:
        """Raises Refused, with what is possible now, when the batch cannot take an order."""
        move(state.node(self.recipe.root), verb)

    def decide(self, state: BatchState, inputs: Inputs, stamp: Stamp) -> Decision:
        """What is to be recorded and commanded now; nothing when the batch only waits.

        To be called again, with `inputs.taken()`, until it yields nothing. A second look at a
        waiting batch before `wake_ns` (monotonic) costs next to nothing.
        """
        news = inputs.orders or inputs.answers or inputs.protective
        if not news and state is self._resting and stamp.mono_ns < self.wake_ns:
            return _REST
        draft = Draft(self.recipe, state, inputs.read, stamp)
        if news:
            self._news(draft, inputs)
        if draft.state.attached:
            self._flag(draft, "taken up again")
        if draft.state is not self._settled:
            self._settle(draft)
            if not draft.records:
                self._settled = draft.state
        for path in draft.state.runs:
            end = phase.advance(draft, path)
            if end is not None:
                self._end(draft, end)
                break
        if draft.records or draft.commands:
            return Decision(tuple(draft.records), tuple(draft.commands))
        self._resting = state
        self.wake_ns = stamp.mono_ns + draft.next_ns - draft.now_ns
        return _REST

    def prompts(self, state: BatchState) -> list[PromptView]:
        """The open prompts, as a face shows them."""
        return prompts.views(self.recipe, state)

    def positions(self, state: BatchState) -> list[Position]:
        """The active phases and their present steps."""
        found = []
        for path, run in state.runs.items():
            plan = self.recipe.phases[path]
            steps = plan.logics.get(run.logic, ())
            text = steps[run.index].text if 0 <= run.index < len(steps) else ""
            found.append(Position(path, plan.title, state.node(path), run.index, text))
        return found

    # -- orders, requests, answers ----------------------------------------------------------

    def _news(self, draft: Draft, inputs: Inputs) -> None:
        for request in inputs.protective:
            if request.action == "abort":
                self._end(draft, End("abort", request.cause))
            else:
                self._end(draft, End("hold", request.cause))
        for order in inputs.orders:
            self._order(draft, order)
        for answer in inputs.answers:
            prompts.answer(draft, answer)

    def _order(self, draft: Draft, order: Order) -> None:
        draft.actor, draft.role, draft.reason = order.actor, order.role, order.reason
        state = draft.state.node(self.recipe.root)
        try:
            move(state, order.verb)
        except Refused as error:
            draft.emit(
                "command.refused", verb=order.verb, target="procedure", new="", why=error.what
            )
        else:
            self._root(draft, order.verb, f"{order.verb} by {order.actor}")
        draft.actor, draft.role, draft.reason = "recipe", "", ""

    def _end(self, draft: Draft, end: End) -> None:
        """Hold or abort of the whole batch, by a row, a time-out or an unknown value."""
        root = self.recipe.root
        state = draft.state.node(root)
        if legal(state, end.trigger):
            self._root(draft, end.trigger, end.cause)
        elif end.trigger == "hold" and legal(state, "worsen"):
            if end.cause in draft.state.hold_causes:
                return
            draft.emit("unit.hold", cause=end.cause)
            for path in self.recipe.nodes:
                if legal(draft.state.node(path), "worsen"):
                    draft.change(path, "worsen", end.cause)

    def _root(self, draft: Draft, trigger: str, cause: str) -> None:
        root = self.recipe.root
        old = draft.state.node(root)
        if trigger == "hold":
            draft.emit("unit.hold", cause=cause)
            draft.command("set_flag", "unit_held", True, root)
        elif trigger in ("restart", "stop", "abort") and old in _HELD_STATES:
            # Restarting already needs its valves and pumps: the Hold column ends as it begins.
            draft.emit("unit.hold_released", cause=cause)
            draft.command("set_flag", "unit_held", False, root)
        draft.change(root, trigger, cause)
        draft.emit("batch.state", state=draft.state.node(root), cause=cause)

    def _flag(self, draft: Draft, cause: str) -> None:
        held = draft.state.node(self.recipe.root) in _HELD_STATES
        if held:
            draft.emit("unit.hold", cause=cause)
        else:
            draft.emit("batch.state", state=draft.state.node(self.recipe.root), cause=cause)
        draft.command("set_flag", "unit_held", held, self.recipe.root)

    # -- the tree of procedural elements ----------------------------------------------------

    def _settle(self, draft: Draft) -> None:
        """Carries states down and up the tree until nothing changes."""
        for _ in range(4 * len(self.recipe.nodes) + 4):
            before = draft.state
            for path in self.recipe.nodes:
                self._carry_down(draft, path)
            for path in self._upwards:
                self._carry_up(draft, path)
            if draft.state is before:
                return

    def _carry_down(self, draft: Draft, path: str) -> None:
        node = self.recipe.nodes[path]
        state = draft.state.node(path)
        if node.parent:
            parent = draft.state.node(node.parent)
            states, trigger = _DOWN.get(parent, (frozenset(), ""))
            if state in states:
                draft.change(path, trigger, f"{node.parent} is {parent}")
        if state == RUNNING:
            for branch in node.branches:
                following = next((c for c in branch if draft.state.node(c) != COMPLETE), None)
                if following is not None and draft.state.node(following) == IDLE:
                    draft.change(following, "start", "its turn")

    def _carry_up(self, draft: Draft, path: str) -> None:
        children = self._children[path]
        if not children:
            return
        state = draft.state.node(path)
        states = [draft.state.node(child) for child in children]
        if state == RUNNING:
            done = all(child == COMPLETE for child in states)
        else:
            goal = _UP.get(state)
            if goal is None:
                return
            done = all(child in goal for child in states if child not in (IDLE, COMPLETE))
        if not done:
            return
        cause = "all its parts are done"
        draft.change(path, "done", cause)
        if path == self.recipe.root:
            draft.emit("batch.state", state=draft.state.node(path), cause=cause)


__all__ = [
    "Command",
    "Decision",
    "Engine",
    "Inputs",
    "Order",
    "Position",
    "PromptAnswer",
    "PromptView",
    "ProtectiveRequest",
]
