"""How states go down and up the tree of procedural elements, and what comes next in a sequence.

One rule a direction, whatever the level: parts follow what is above them, what is above is done
when its parts are. Selections, loops, alternatives and the care of a long Hold are decided here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from controller.core.errors import BadInput, Refused
from controller.recipe.amend import amended
from controller.recipe.batch import BatchState
from controller.recipe.decision import Draft, End
from controller.recipe.offer import with_unit
from controller.recipe.plan import Amendment, ControlRecipe, Loop, NodePlan, Select, amend
from controller.recipe.states import (
    ABORTED,
    ABORTING,
    COMPLETE,
    FINAL,
    HELD,
    HOLDING,
    IDLE,
    PAUSED,
    PAUSING,
    RESTARTING,
    RUNNING,
    STOPPED,
    STOPPING,
    legal,
)

# What a part does when what is above it is in a state: above -> (states of the part, trigger).
_DOWN: dict[str, tuple[frozenset[str], str]] = {
    PAUSING: (frozenset({RUNNING}), "pause"),
    HOLDING: (frozenset({RUNNING, PAUSING, PAUSED, RESTARTING}), "hold"),
    RESTARTING: (frozenset({HELD}), "restart"),
    STOPPING: (
        frozenset({RUNNING, PAUSING, PAUSED, HOLDING, HELD, RESTARTING}), "stop",
    ),
    ABORTING: (
        frozenset({RUNNING, PAUSING, PAUSED, HOLDING, HELD, RESTARTING, STOPPING}), "abort",
    ),
}  # fmt: skip
# When every part is in one of these, or at rest, what is above is done too.
_UP: dict[str, frozenset[str]] = {
    PAUSING: frozenset({PAUSED, HELD}),
    HOLDING: frozenset({HELD}),
    RESTARTING: frozenset({RUNNING}),
    STOPPING: frozenset(),
    ABORTING: frozenset(),
}
_AT_REST = FINAL | {IDLE}
_WITHOUT_CARE = frozenset({RESTARTING, STOPPING, ABORTING})  # these end once its care has ended
_LOOK_AGAIN_NS = 1_000_000_000
PART_HELD_NS = 3_600_000_000_000  # liquids at their last rate are for 4 h of Hold at most


def settle(draft: Draft) -> End | None:
    """Carries states down and up until nothing changes; a wish for hold, stop or abort ends it."""
    for _ in range(4 * len(draft.recipe.nodes) + 8):
        before = draft.state
        for path in list(draft.recipe.nodes):
            end = _carry_down(draft, path)
            if end is not None:
                return _of_care(draft, path, end)
        for path in draft.recipe.upwards:
            end = _carry_up(draft, path)
            if end is not None:
                return _of_care(draft, path, end)
        _care(draft)
        if draft.state is before:
            return _held_for_long(draft)
    return None


def _of_care(draft: Draft, path: str, end: End) -> End:
    """What the care of a long Hold wishes goes to it alone: the procedure is Held already."""
    care = draft.recipe.care
    inside = care is not None and below(draft.recipe, path, care.path)
    return replace(end, path=care.path) if care is not None and inside else end


def below(recipe: ControlRecipe, path: str, above: str) -> bool:
    """Whether an element is another one or a part of it."""
    while path and path != above:
        path = recipe.nodes[path].parent
    return path == above


def in_place(recipe: ControlRecipe, state: BatchState, path: str) -> list[str]:
    """The alternatives that run, or ran, in the place of an element and of its parts."""
    found = [target for one, target in state.diverted.items() if below(recipe, one, path)]
    for one in found:  # and what those were left for
        if state.diverted.get(one) not in (None, *found):
            found.append(state.diverted[one])
    return found


def check_without(recipe: ControlRecipe, state: BatchState, verb: str, path: str) -> None:
    """Raises Refused for the end of a part nobody could go on without: what is protected is never
    skipped."""
    inner = protected_in(recipe, state, path)
    if inner:
        raise Refused(
            f"{path} cannot {verb} by itself: {inner} is protected, and the procedure could "
            "never go on without it", means="Nothing was changed.",
            do=f"Hold it, or {verb} the whole procedure.",
        )  # fmt: skip


def protected_in(recipe: ControlRecipe, state: BatchState, path: str) -> str:
    """The first protected phase of an element that is not complete; empty for none."""
    for inner, plan in recipe.phases.items():
        if plan.protected and state.node(inner) != COMPLETE and below(recipe, inner, path):
            return inner
    return ""


def resume(draft: Draft, above: str, cause: str) -> None:
    """Everything below a resumed element that paused with it goes on."""
    for path, node in draft.recipe.nodes.items():
        state = draft.state.node(path)
        paused = path != above and state in (PAUSED, PAUSING)
        if paused and below(draft.recipe, path, above) and draft.state.node(node.parent) == RUNNING:
            draft.change(path, "resume", cause)


# -- down ---------------------------------------------------------------------------------------


def _carry_down(draft: Draft, path: str) -> End | None:
    node = draft.recipe.nodes[path]
    state = draft.state.node(path)
    if node.parent:
        above = draft.state.node(node.parent)
        states, trigger = _DOWN.get(above, (frozenset(), ""))
        if _is_left(draft, path) and above not in (HOLDING, ABORTING) and legal(state, "stop"):
            draft.change(path, "stop", "it is left for what follows")
        elif state in states and not (trigger == "restart" and _stays_held(draft, path)):
            draft.change(path, trigger, f"{node.parent} is {above}")
        state = draft.state.node(path)
    if state != RUNNING:
        return None
    if isinstance(node.rule, Select) and path not in draft.state.taken:
        return _select(draft, node, node.rule)
    for branch in branches(draft, node):
        end = _onward(draft, branch)
        if end is not None:
            return end
    return None


def _is_left(draft: Draft, path: str) -> bool:
    """Whether an element was skipped, or left for an alternative, and has still to end; or is the
    alternative of a skipped one."""
    state = draft.state
    if path in state.skipped or path in state.diverted:
        return True
    if not draft.recipe.nodes[path].then:  # no alternative
        return False
    return any(path in in_place(draft.recipe, state, one) for one in state.skipped)


def branches(draft: Draft, node: NodePlan) -> Sequence[tuple[str, ...]]:
    """The branches of an element that run; of a selection the one that was taken."""
    if isinstance(node.rule, Select):
        taken = draft.state.taken.get(node.path)
        return () if taken is None else (node.branches[taken],)
    return node.branches


def _passed(draft: Draft, path: str) -> bool:
    """Whether the sequence may go on behind an element."""
    state = draft.state.node(path)
    if state == COMPLETE:
        return True
    if path in draft.state.skipped:
        others = in_place(draft.recipe, draft.state, path)
        return all(draft.state.node(one) in _AT_REST for one in (path, *others))
    target = _stands_for(draft, path)
    if target == path:
        return False
    over = state in _AT_REST and draft.state.node(target) == COMPLETE
    return over and draft.recipe.nodes[target].then == "next"


def _onward(draft: Draft, branch: Sequence[str]) -> End | None:
    """Starts what comes next in a branch."""
    following = next((child for child in branch if not _passed(draft, child)), None)
    if following is None or following in draft.state.skipped:  # what is skipped has still to end
        return None
    state = draft.state.node(following)
    target = _stands_for(draft, following)
    if target != following and state in _AT_REST:
        return _alternative(draft, target)
    if state == IDLE:
        return _start(draft, following, "its turn")
    if state in (STOPPED, ABORTED):
        return End("hold", f"{following} is {state}: skip it, run it again, or stop the procedure")
    return None


def _stands_for(draft: Draft, path: str) -> str:
    """What runs in the place of an element: itself, or the alternative it was left for, or the one
    which that was left for."""
    for _ in draft.state.diverted:
        path = draft.state.diverted.get(path, path)
    return path


def _alternative(draft: Draft, target: str) -> End | None:
    state = draft.state.node(target)
    if state == IDLE:
        return _start(draft, target, "an exception")
    then = draft.recipe.nodes[target].then
    if state == COMPLETE and then in ("stop", "abort"):
        return End(then, f"{target} is complete, and its recipe says {then}")
    if state in (STOPPED, ABORTED):
        return End("hold", f"{target} is {state}: stop the procedure, or skip what it stood for")
    return None


def _start(draft: Draft, path: str, cause: str) -> End | None:
    """Starts an element; a phase's deferred parameters are found first."""
    plan = draft.recipe.phases.get(path)
    for name in plan.deferred if plan is not None else ():
        end = _resolve(draft, path, name)
        if end is not None:
            return end
    draft.change(path, "start", cause)
    return None


def _resolve(draft: Draft, path: str, name: str) -> End | None:
    plan = draft.recipe.phases[path]
    later = plan.deferred[name]
    value = later.expression.evaluate(draft)
    dimension = draft.recipe.offer.parameters[plan.use][name].dimension
    if value is None or isinstance(value, str):
        if later.unknown == "hold":
            return End("hold", f"{path} cannot start: {name} = {later.expression.text} is unknown")
        text, source = with_unit(plan.values[name], dimension), "default"
    else:
        text, source = with_unit(float(value), dimension), later.expression.text
    try:
        found = amend(draft.state.amendments, Amendment("resolved", path, name, text))
        amended(draft.frozen, found)
    except BadInput as error:
        return End("hold", f"{path} cannot start: {error.what}")
    draft.emit("parameter.resolved", path=path, name=name, value=text, source=source)
    return None


def _select(draft: Draft, node: NodePlan, rule: Select) -> End | None:
    for number, condition in enumerate(rule.choices):
        value = True if condition is None else condition.evaluate(draft)
        cause = "otherwise" if condition is None else condition.text
        if value is None and rule.unknown == "hold":
            return End("hold", f"{node.path}: {cause} is unknown")
        if value is None and rule.unknown == "wait":
            draft.wake(draft.now_ns + _LOOK_AGAIN_NS)
            return None
        if value is None:
            number, cause = len(rule.choices) - 1, f"otherwise, for {cause} is unknown"
        if value is not False:
            draft.emit("selection.taken", path=node.path, branch=number, cause=cause)
            return None
    return None


# -- up -----------------------------------------------------------------------------------------


def _carry_up(draft: Draft, path: str) -> End | None:
    recipe, state = draft.recipe, draft.state.node(path)
    node = recipe.nodes[path]
    if path in recipe.phases or state in _AT_REST:
        return None
    if state == RUNNING:
        if isinstance(node.rule, Select) and path not in draft.state.taken:
            return None
        if not all(_passed(draft, child) for each in branches(draft, node) for child in each):
            return None
        if isinstance(node.rule, Loop):
            return _round(draft, node, node.rule)
    else:
        goal = _UP.get(state)
        asked = (p for p in recipe.parts[path] if state != RESTARTING or not _alone(draft, p))
        parts = [draft.state.node(part) for part in asked]
        if goal is None or not all(part in goal or part in _AT_REST for part in parts):
            return None
        if path == recipe.root and not _ready(draft, state):
            return None
        if path == recipe.root and state in (STOPPING, ABORTING) and draft.commands:
            return None  # over only once these were given: a death in between gives them again
    _done(draft, path, "all its parts are done")
    return None


def _done(draft: Draft, path: str, cause: str) -> None:
    draft.change(path, "done", cause)
    if path == draft.recipe.root:
        draft.emit("batch.state", state=draft.state.node(path), cause=cause)


def _round(draft: Draft, node: NodePlan, rule: Loop) -> End | None:
    """A round of a loop is over: again, on, or a limit."""
    count = draft.state.loops.get(node.path, 0) + 1
    if count > rule.at_most:  # somebody looked at it in the Hold and let it go on
        _done(draft, node.path, "its limit was seen")
        return None
    value = rule.until.evaluate(draft)
    if value is True:
        _done(draft, node.path, rule.until.text)
        return None
    if value is None and rule.unknown == "hold":
        return End("hold", f"{node.path}: {rule.until.text} is unknown")
    if value is None and rule.unknown == "wait":
        draft.wake(draft.now_ns + _LOOK_AGAIN_NS)
        return None
    if count < rule.at_most:
        draft.emit("loop.again", path=node.path, count=count)
        return None
    if rule.on_limit == "continue":
        draft.emit("loop.limit", path=node.path, count=count)
        _done(draft, node.path, "its rounds are done")
        return None
    cause = f"{node.path} ran {count} times, and not yet {rule.until.text}"
    return End(rule.on_limit, cause, limit=(node.path, count))


# -- a Hold of a part, a long Hold -----------------------------------------------------------------


def _alone(draft: Draft, path: str) -> bool:
    """Whether an element is Held because it was held by itself: a restart of what is above it is
    no restart of it."""
    return path in draft.state.held_parts and draft.state.node(path) == HELD


def _stays_held(draft: Draft, path: str) -> bool:
    return _alone(draft, path) or _cared_for(draft)


def _held_for_long(draft: Draft) -> End | None:
    """The unit knows nothing of a part that is Held: its rules of Hold are for the whole, and so
    the whole is held when that lasts."""
    if legal(draft.state.node(draft.recipe.root), "hold"):
        for path, since_ns in draft.state.held_parts.items():
            if _alone(draft, path):
                if draft.now_ns >= since_ns + PART_HELD_NS:
                    return End("hold", f"{path} has been held by itself for an hour")
                draft.wake(since_ns + PART_HELD_NS)
    return None


def _ready(draft: Draft, state: str) -> bool:
    """Whether the care of a Hold lets the whole go on from a state. A Hold begins once a care that
    was told to end has ended; one that runs goes on through a worse failure."""
    care = draft.recipe.care
    if care is not None and state == HOLDING:
        return draft.state.node(care.path) not in (STOPPING, ABORTING, *FINAL)
    return state not in _WITHOUT_CARE or not _cared_for(draft)


def _cared_for(draft: Draft) -> bool:
    """Whether the operation that cares for the cells in a long Hold still runs."""
    care = draft.recipe.care
    return care is not None and draft.state.node(care.path) not in _AT_REST


def _care(draft: Draft) -> None:
    """Starts the care of a long Hold when it is due, and ends it with the Hold."""
    care = draft.recipe.care
    if care is None:
        return
    root, state = draft.state.node(draft.recipe.root), draft.state.node(care.path)
    if root == HELD and state == IDLE and draft.state.held_ns >= 0:
        due_ns = draft.state.held_ns + care.after_ns
        if draft.now_ns >= due_ns:
            draft.change(care.path, "start", "the Hold lasts")
        else:
            draft.wake(due_ns)
    elif root == ABORTING and legal(state, "abort"):
        draft.change(care.path, "abort", f"the procedure is {root}")
    elif root not in (HOLDING, HELD) and legal(state, "stop"):
        draft.change(care.path, "stop", f"the procedure is {root}")
    elif root != HELD and state in FINAL:
        draft.emit("procedure.reset", path=care.path)
