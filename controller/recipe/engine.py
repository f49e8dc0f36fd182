"""The recipe engine: `decide` says what follows from a state, `evolve` is what records do to it.

State changes only by records. A step's commands leave in the decision that records `step.started`,
and the next step starts in a later one: so a log that shows the next step also shows the commands
of this one, and after `batch.attached` the present step's commands are given once more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from controller.core.clock import NS_PER_S, Stamp
from controller.core.errors import Refused, nearest
from controller.core.quantity import decimal_text
from controller.core.signal import Reading
from controller.recipe import changes, controls, phase, prompts, tree
from controller.recipe.amend import amended
from controller.recipe.batch import BatchState, Record, evolve
from controller.recipe.changes import Change
from controller.recipe.decision import Command, Decision, Draft, End
from controller.recipe.expression import NOWHERE, Expression
from controller.recipe.plan import ControlRecipe, ExceptionPlan
from controller.recipe.prompts import PromptAnswer, PromptView
from controller.recipe.states import (
    ABORTING,
    COMMANDS,
    HELD,
    HOLDING,
    PAUSED,
    PAUSING,
    RESTARTING,
    RUNNING,
    STOPPING,
    legal,
    move,
)

_REST = Decision((), ())
_HELD_STATES = frozenset({HOLDING, HELD})  # the Hold column is in force


@dataclass(frozen=True, slots=True)
class Order:
    """A person's command to the batch or, by its path, to one element of it."""

    verb: str
    actor: str
    role: str = ""
    reason: str = ""
    path: str = ""


@dataclass(frozen=True, slots=True)
class ProtectiveRequest:
    """What a row of the cause-and-effect chart asks of the batch: hold or abort."""

    action: str
    cause: str
    row: str = ""


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a decision may look at. Answers, orders, requests, changes are handed in once."""

    read: Callable[[str], Reading]
    answers: Sequence[PromptAnswer] = ()
    orders: Sequence[Order] = ()
    protective: Sequence[ProtectiveRequest] = ()
    changes: Sequence[Change] = ()

    @property
    def news(self) -> bool:
        """Whether anything was handed in."""
        return bool(self.answers or self.orders or self.protective or self.changes)

    def taken(self) -> Inputs:
        """The same signals with nothing handed in: for the further rounds of a tick."""
        return replace(self, answers=(), orders=(), protective=(), changes=())


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
        self._settle_ns = 0

    def initial(self) -> BatchState:
        """The state before the first record."""
        return BatchState()

    def evolve(self, state: BatchState, record: Record) -> BatchState:
        """See `batch.evolve`."""
        return evolve(state, record)

    def current(self, state: BatchState) -> ControlRecipe:
        """The recipe as it runs: the frozen one with what people changed and phases found."""
        return amended(self.recipe, state.amendments)

    def check_order(self, state: BatchState, verb: str, path: str = "") -> None:
        """Raises Refused, with what is possible now, when the element cannot take an order."""
        recipe = self.current(state)
        path = recipe.element(path)
        if path not in recipe.nodes:
            raise Refused(f"the procedure has no element {path[:80]!r}. "
                          f"{nearest(path[:80], list(recipe.nodes))}")  # fmt: skip
        if verb not in COMMANDS:
            raise Refused(f"{verb[:40]!r} is no command. {nearest(verb[:40], list(COMMANDS))}")
        if verb == "start" and path != recipe.root:
            raise Refused(
                f"{path} starts when its turn comes", means="Nothing was changed.",
                do="Start the procedure; to run a part again, ask for a change.",
            )  # fmt: skip
        move(state.node(path), verb)
        if verb in ("stop", "abort") and path != recipe.root:
            tree.check_without(recipe, state, verb, path)
        if verb in ("restart", "resume"):
            above = recipe.nodes[path].parent
            while above:
                now = state.node(above)
                if now != RUNNING:
                    raise Refused(
                        f"{path} cannot {verb}: {above} is {now}", means="Nothing was changed.",
                        do=f"Let {above} run first.",
                    )  # fmt: skip
                above = recipe.nodes[above].parent

    def decide(self, state: BatchState, inputs: Inputs, stamp: Stamp) -> Decision:
        """What is to be recorded and commanded now; nothing when the batch only waits.

        To be called again, with `inputs.taken()`, until it yields nothing. A second look at a
        waiting batch before `wake_ns` (monotonic) costs next to nothing.
        """
        news = inputs.news
        if not news and state is self._resting and stamp.mono_ns < self.wake_ns:
            return _REST
        draft = Draft(self.recipe, state, inputs.read, stamp)
        if draft.state.attached:  # the gap before all else: a Hold for anything would hide it
            self._attached(draft)
        if news:
            self._news(draft, inputs)
        end = self._settle(draft)
        if end is not None:
            self._end(draft, end)
            if end.limit is not None:
                draft.emit("loop.limit", path=end.limit[0], count=end.limit[1])
        for path in list(draft.state.runs):
            end = self._advance(draft, path)
            if end is not None:
                self._end(draft, end)
                break
        if draft.records or draft.commands:
            return Decision(tuple(draft.records), tuple(draft.commands))
        self._resting = state
        self.wake_ns = stamp.mono_ns + draft.next_ns - draft.now_ns
        return _REST

    def _settle(self, draft: Draft) -> End | None:
        """Settles the tree, unless it was settled in this state and nothing there is due yet."""
        if draft.state is self._settled and draft.now_ns < self._settle_ns:
            draft.wake(self._settle_ns)
            return None
        end, before = tree.settle(draft), len(draft.records)
        if end is None and not before:
            self._settled, self._settle_ns = draft.state, draft.next_ns
        return end

    def prompts(self, state: BatchState) -> list[PromptView]:
        """The open prompts, as a face shows them."""
        return prompts.views(self.current(state), state)

    def positions(self, state: BatchState) -> list[Position]:
        """The active phases and their present steps."""
        found = []
        recipe = self.current(state)
        for path, run in state.runs.items():
            plan = recipe.phases[path]
            steps = plan.logics.get(run.logic, ())
            text = steps[run.index].text if 0 <= run.index < len(steps) else ""
            found.append(Position(path, plan.title, state.node(path), run.index, text))
        return found

    # -- orders, requests, answers, changes ---------------------------------------------------

    def _news(self, draft: Draft, inputs: Inputs) -> None:
        for request in inputs.protective:
            self._end(draft, End("abort" if request.action == "abort" else "hold", request.cause))
            self._row(draft, request)
        for order in inputs.orders:
            self._order(draft, order)
        for answer in inputs.answers:
            prompts.answer(draft, answer)
        for change in inputs.changes:
            changes.change(draft, change)

    def _row(self, draft: Draft, request: ProtectiveRequest) -> None:
        """What phases make of a row beyond the hold it asked for."""
        for path in draft.state.runs:
            for found in draft.recipe.phases[path].exceptions:
                if found.row and found.row == request.row:
                    self._excepted(draft, path, found, request.cause)

    def _excepted(self, draft: Draft, path: str, found: ExceptionPlan, cause: str) -> End | None:
        """An exception acts: a diversion is recorded, the rest is an End for the caller."""
        operation = draft.recipe.ancestor(path, "operation")
        if found.do == "go_to":
            kept = tree.protected_in(draft.recipe, draft.state, operation)
            if kept:  # nothing leads past it: somebody must look
                why = f"{path}: {cause}; {kept} is not complete"
                return None if found.row else End("hold", why)
            if operation not in draft.state.diverted:
                draft.emit("exception.taken", path=path, operation=operation,
                           target=found.target, cause=cause)  # fmt: skip
            return None
        if found.row:  # it holds already; only abort is worse
            if found.do == "abort":
                self._end(draft, End("abort", cause))
            return None
        return End(found.do, f"{path}: {cause}", self._level(draft, path))

    def _order(self, draft: Draft, order: Order) -> None:
        draft.actor, draft.role, draft.reason = order.actor, order.role, order.reason
        path = draft.recipe.element(order.path)
        try:
            self.check_order(draft.state, order.verb, path)
        except Refused as error:
            what = f"{error.what}. {error.do}" if error.do else error.what
            target = "procedure" if path == draft.recipe.root else path[:200]
            draft.emit("command.refused", verb=order.verb[:40], target=target, new="", why=what)
        else:
            cause = f"{order.verb} by {order.actor}"
            path = self._reach(draft, order.verb, path)
            if path == draft.recipe.root:
                self._root(draft, order.verb, cause)
            else:
                self._part(draft, order.verb, path, cause)
            if order.verb == "resume":
                tree.resume(draft, path, cause)
        draft.actor, draft.role, draft.reason = "recipe", "", ""

    @staticmethod
    def _reach(draft: Draft, trigger: str, path: str) -> str:
        """The element a Hold reaches: what is above and restarts would restart a held part again,
        and nobody would have asked for that."""
        above = path
        while trigger == "hold" and above:
            if draft.state.node(above) == RESTARTING:
                path = above
            above = draft.recipe.nodes[above].parent
        return path

    def _part(self, draft: Draft, trigger: str, path: str, cause: str) -> None:
        if trigger == "hold":
            draft.emit("part.held", path=path, cause=cause)
        draft.change(path, trigger, cause)

    def _end(self, draft: Draft, end: End) -> None:
        """Hold, stop or abort of an element, by a row, a time-out or an unknown value."""
        root = self.recipe.root
        path = self._reach(draft, end.trigger, end.path)
        if path not in ("", root):
            self._end_part(draft, replace(end, path=path))
            return
        state = draft.state.node(root)
        if legal(state, end.trigger):
            self._root(draft, end.trigger, end.cause)
        elif end.trigger == "hold" and legal(state, "worsen"):
            if end.cause in draft.state.hold_causes:
                return
            draft.emit("unit.hold", cause=end.cause)
            for path in draft.recipe.nodes:
                if tree.below(draft.recipe, path, root) and legal(draft.state.node(path), "worsen"):
                    draft.change(path, "worsen", end.cause)

    def _end_part(self, draft: Draft, end: End) -> None:
        state = draft.state.node(end.path)
        if legal(state, end.trigger):
            self._part(draft, end.trigger, end.path, end.cause)
        elif end.trigger == "hold" and state == HOLDING:
            draft.emit("part.held", path=end.path, cause=end.cause)
            for path in draft.recipe.nodes:
                if tree.below(draft.recipe, path, end.path) and (
                    draft.state.node(path) in _HELD_STATES
                ):
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
        self._ending(draft)

    def _ending(self, draft: Draft) -> None:
        """What the unit sets when nobody follows the recipe any more; the phases' own logics end
        what they began, and between phases there are none."""
        if draft.state.node(self.recipe.root) in (STOPPING, ABORTING):
            for item in self.recipe.offer.ending:
                wanted = item.value
                value = wanted.evaluate(NOWHERE) if isinstance(wanted, Expression) else wanted
                if value is not None:
                    plain = float(value) if item.verb == "set_output" else value
                    draft.command(item.verb, item.target, plain, self.recipe.root)

    # -- taken up again ------------------------------------------------------------------------

    def _attached(self, draft: Draft) -> None:
        """The flag is told again; a phase that stood for longer than it may is Held."""
        root, state = self.recipe.root, draft.state
        cause = self._too_long(draft)
        if cause and legal(state.node(root), "hold"):
            for path in state.runs:  # they stood still from the beginning of the gap
                draft.freeze(path, max(0, state.gap_ns))
            self._root(draft, "hold", cause)
            return
        held = state.node(root) in _HELD_STATES
        if held:
            draft.emit("unit.hold", cause="taken up again")
        draft.emit("batch.state", state=state.node(root), cause="taken up again")
        draft.command("set_flag", "unit_held", held, root)
        self._ending(draft)

    def _too_long(self, draft: Draft) -> str:
        gap_ns = draft.state.gap_ns
        for path in draft.state.runs:
            limit_ns = draft.recipe.phases[path].recovery_ns
            if draft.state.node(path) not in (RUNNING, PAUSING, PAUSED, RESTARTING):
                continue
            if gap_ns < 0 or gap_ns > limit_ns:
                gap = f"{decimal_text(gap_ns / NS_PER_S)} s" if gap_ns >= 0 else "an unknown time"
                most = decimal_text(limit_ns / NS_PER_S)
                return f"{path} went without its recipe for {gap}, at most {most} s are allowed"
        return ""

    # -- phases ----------------------------------------------------------------------------------

    def _advance(self, draft: Draft, path: str) -> End | None:
        if path not in draft.state.runs:
            return None
        if draft.state.node(path) in (RUNNING, PAUSING, PAUSED):
            found = phase.exception(draft, path)
            if found is not None:
                return self._excepted(draft, path, *found)
        owed = controls.owed(draft.state, path)
        end = End("hold", owed) if owed else phase.advance(draft, path)
        return None if end is None else replace(end, path=self._level(draft, path))

    def _level(self, draft: Draft, path: str) -> str:
        """The element a hold or an abort of a phase's own goes to."""
        level = draft.recipe.phases[path].level
        return path if level == "phase" else draft.recipe.ancestor(path, level)


__all__ = [
    "Change",
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
