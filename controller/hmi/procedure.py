"""Where the procedure is, what comes next, why it waits and how to get out: for people.

Beside the recipe as it was frozen stands what really happened: elements that were inserted,
skipped, repeated or changed carry the deviation that says so. Everything is read from the recipe
and the state of the batch; nothing is decided here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from controller.core.clock import NS_PER_S, Stamp
from controller.core.errors import Refused
from controller.core.signal import Reading
from controller.hmi.marks import Marks
from controller.hmi.waiting import Now, Waits
from controller.recipe.batch import BatchState
from controller.recipe.engine import Engine, Position
from controller.recipe.expression import Expression
from controller.recipe.plan import (
    ControlRecipe,
    FollowStep,
    Loop,
    NodePlan,
    PromptStep,
    Select,
    Step,
    TimeStep,
    WaitStep,
)
from controller.recipe.states import COMPLETE, FINAL, HELD, HOLDING, IDLE
from controller.standing import Changed

Data = dict[str, Any]
ORDERED = ("hold", "pause", "resume", "restart", "stop", "abort")
THEN = {
    "alarm": "an alarm, and it waits on", "hold": "Hold", "abort": "abort",
    "continue": "it goes on",
}  # fmt: skip


class Procedures:
    """Makes the two views of one batch: the places where it is, and the tree."""

    def __init__(self) -> None:
        self._tree: list[Data] = []
        self._tree_of: tuple[object, ...] = ()
        self._waits: Waits | None = None
        self._waits_of: ControlRecipe | None = None

    def forget(self) -> None:
        """No batch is open."""
        self._tree_of, self._waits_of, self._waits = (), None, None

    # -- where it is ----------------------------------------------------------------------------

    def places(
        self, engine: Engine, state: BatchState, read: Callable[[str], Reading], stamp: Stamp,
        held: Mapping[str, str],
    ) -> list[Data]:  # fmt: skip
        """One entry for each active phase or transition; `held`: why single elements are held."""
        recipe = engine.current(state)
        if recipe is not self._waits_of or self._waits is None:
            self._waits_of, self._waits = recipe, Waits(recipe)
        now_ns = state.clock.of(stamp)
        return [
            self._place(recipe, state, place, self._waits, (read, now_ns))
            | {"causes": _causes(recipe, state, place.path, held)}
            for place in engine.positions(state)
        ]

    def _place(
        self, recipe: ControlRecipe, state: BatchState, place: Position, waits: Waits,
        moment: tuple[Callable[[str], Reading], int],
    ) -> Data:  # fmt: skip
        run, plan, (read, now_ns) = state.runs[place.path], recipe.phases[place.path], moment
        # A held phase shows where it goes on: its timer stands still there.
        back = run.resume if not run.logic else None
        logic, index = ("running", back.index) if back else (run.logic, run.index)
        steps = plan.logics.get(logic, ())
        step = steps[index] if 0 <= index < len(steps) else None
        elapsed_ns = back.elapsed_ns if back else max(run.elapsed(now_ns), 0)
        condition, now = condition_of(step), Now(state, read, now_ns, run.held)
        at = back or run
        left_s = _remaining_s(step, elapsed_ns - at.extra_ns)
        if left_s is None and condition is not None:
            due_s = waits.due_s(plan, condition, now)
            left_s = None if due_s is None else round(max(due_s, 0.0))
        return {
            "path": place.path, "title": place.title, "state": place.state, "logic": logic,
            "text": step.text if back and step else place.text,
            "step": index + 1 if step else 0, "steps": len(steps),
            "elapsed_s": elapsed_ns // NS_PER_S, "remaining_s": left_s,
            "waits_for": waits_for(step),
            "parts": waits.rows(plan, condition, now) if condition is not None else [],
            "unknown": run.unknown,
            "timeout": _timeout(step, at.overdue, elapsed_ns - at.extra_ns),
            "next": _next(recipe, state, place.path, steps, index),
        }  # fmt: skip

    # -- the tree -------------------------------------------------------------------------------

    def tree(self, engine: Engine, state: BatchState, changes: tuple[Changed, ...]) -> list[Data]:
        """The procedure as rows with their depth; made anew only when one of them changed."""
        key = (state.nodes, state.loops, state.taken, state.diverted, changes)
        if len(self._tree_of) == len(key) and all(
            old is new for old, new in zip(self._tree_of, key, strict=True)
        ):
            return self._tree
        recipe = engine.current(state)
        self._tree_of, self._tree, marks = key, [], Marks(changes)
        depths: dict[str, int] = {}
        for path, node in recipe.nodes.items():
            depths[path] = depths[node.parent] + 1 if node.parent in depths else 0
            if not shown(recipe, state, path):
                continue
            self._tree.append({
                "path": path, "title": node.title or path.rsplit("/", 1)[-1], "kind": node.level,
                "state": state.node(path), "depth": depths[path], "said": rule_words(
                    recipe, state, path),
                "mark": marks.mark(path), "changes": marks.changes(path),
                "orders": orders_of(engine, state, path),
            })  # fmt: skip
        return self._tree


def _causes(
    recipe: ControlRecipe, state: BatchState, path: str, held: Mapping[str, str]
) -> list[str]:
    """Why a phase is held: with the whole, or by an element of its own or above it."""
    if state.node(path) not in (HELD, HOLDING):
        return []
    found = list(state.hold_causes)
    while path:
        if path in held:
            found.append(held[path])
        path = recipe.nodes[path].parent
    return list(dict.fromkeys(found))


def shown(recipe: ControlRecipe, state: BatchState, path: str) -> bool:
    """Whether an element is in the tree: what only an exception starts, once it was started."""
    while path:
        node = recipe.nodes[path]
        apart = node.then != "" or (recipe.care is not None and recipe.care.path == path)
        if apart and state.node(path) == IDLE:
            return False
        path = node.parent
    return True


def rule_words(recipe: ControlRecipe, state: BatchState, path: str) -> str:
    """What a loop, a selection, an alternative or a way that was not taken says of itself now."""
    node = recipe.nodes[path]
    if _not_taken(recipe, state, path):
        return "not on the way that was taken"
    if path in state.diverted:
        return f"left by an exception: {named(recipe, state.diverted[path])} stands in its place"
    if isinstance(node.rule, Loop):
        begun, most = state.node(path) != IDLE, node.rule.at_most
        rounds = min(state.loops.get(path, 0) + 1, most)
        said = f"round {rounds} of at most {most}" if begun else f"at most {most} rounds"
        return f"{said}, until {node.rule.until.text}"
    if isinstance(node.rule, Select):
        taken = state.taken.get(path)
        if taken is None:
            return f"one of {len(node.branches)} ways, chosen when it begins"
        condition = node.rule.choices[taken]
        return f"chosen: {condition.text if condition is not None else 'otherwise'}"
    if len(node.branches) > 1:
        return f"{len(node.branches)} branches side by side"
    if node.then:
        return f"in place of its operation, by an exception; then {node.then}"
    care = recipe.care is not None and recipe.care.path == path
    return "care for the cells in a long Hold" if care else ""


def _not_taken(recipe: ControlRecipe, state: BatchState, path: str) -> bool:
    above = recipe.nodes[path].parent
    if not above or not isinstance(recipe.nodes[above].rule, Select) or above not in state.taken:
        return False
    return path not in recipe.nodes[above].branches[state.taken[above]]


def orders_of(engine: Engine, state: BatchState, path: str) -> dict[str, str]:
    """Why each order is not possible for an active element now; empty: it is."""
    if state.node(path) in (*FINAL, IDLE):
        return {}
    found = {}
    for verb in ORDERED:
        try:
            engine.check_order(state, verb, path)
            found[verb] = ""
        except Refused as error:
            found[verb] = error.what
    return found


def condition_of(step: Step | None) -> Expression | None:
    """What a step waits for, if it is a condition."""
    if isinstance(step, WaitStep):
        return step.condition
    return step.until if isinstance(step, FollowStep) else None


def waits_for(step: Step | None) -> str:
    """What a step waits for, in words."""
    condition = condition_of(step)
    if condition is not None:
        return condition.text
    if isinstance(step, PromptStep):
        return "two people to answer" if step.people == 2 else "an answer"
    return "the time to pass" if isinstance(step, TimeStep | FollowStep) else ""


def _remaining_s(step: Step | None, elapsed_ns: int) -> int | None:
    """What is left of a step that lasts a known time; None where nobody knows."""
    lasts = step.duration_ns if isinstance(step, TimeStep | FollowStep) else 0
    return max(lasts - elapsed_ns, 0) // NS_PER_S if lasts > 0 else None


def _timeout(step: Step | None, times: int, elapsed_ns: int) -> Data | None:
    """In how many seconds a step is overdue, and what follows then; `times` it was so far."""
    if not isinstance(step, WaitStep | PromptStep | FollowStep) or not step.timeout_ns:
        return None
    then = step.on_timeout[min(times, len(step.on_timeout) - 1)]
    return {"in_s": max(step.timeout_ns - elapsed_ns, 0) // NS_PER_S, "then": THEN[then],
            "times": times}  # fmt: skip


def _next(
    recipe: ControlRecipe, state: BatchState, path: str, steps: tuple[Step, ...], index: int
) -> str:
    """What comes after the present step: a step of the phase, or what follows the phase."""
    for step in steps[index + 1 :]:
        return step.text + (f" (if {step.when.text})" if step.when is not None else "")
    return after(recipe, state, path)


def after(recipe: ControlRecipe, state: BatchState, path: str) -> str:
    """What follows an element once it is complete."""
    while True:
        node = recipe.nodes[path]
        if recipe.care is not None and recipe.care.path == path:
            return "the procedure stays Held"
        if node.then:
            return {"next": "what follows the operation it stands for", "stop": "Stop",
                    "abort": "Abort"}[node.then]  # fmt: skip
        if not node.parent:
            return "the procedure is complete"
        parent = recipe.nodes[node.parent]
        own = next((branch for branch in parent.branches if path in branch), ())
        for following in own[own.index(path) + 1 :] if path in own else ():
            if state.node(following) == IDLE and following not in state.skipped:
                return named(recipe, following)
        if isinstance(parent.rule, Loop):
            return f"another round, unless {parent.rule.until.text}"
        waiting = _beside(state, parent, own)
        if waiting:
            return f"it waits for what runs beside it ({', '.join(waiting[:3])})"
        path = parent.path


def named(recipe: ControlRecipe, path: str) -> str:
    """An element by its title and its own name."""
    title, own = recipe.nodes[path].title, path.rsplit("/", 1)[-1]
    return f"{title} ({own})" if title and title != own else own


def _beside(state: BatchState, parent: NodePlan, own: tuple[str, ...]) -> list[str]:
    """What of the branches beside one is not complete."""
    if isinstance(parent.rule, Select):
        return []
    found = []
    for branch in parent.branches:
        left = [child for child in branch if state.node(child) != COMPLETE]
        if branch is not own and left:
            found.append(left[0].rsplit("/", 1)[-1])
    return found
