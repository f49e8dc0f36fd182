"""What a recipe asks of the equipment: setpoints and outputs within their ranges, whatever happens;
registered ranges of parameters that the unit can follow; parameters that nothing follows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from controller.core.errors import Place
from controller.recipe.check import outputs, questions, reason
from controller.recipe.check.bounds import Span
from controller.recipe.check.case import Case, told
from controller.recipe.check.reason import Scope
from controller.recipe.dimension import NAMED
from controller.recipe.expression import Expression, Name, compile_expression
from controller.recipe.operators import ExpressionError
from controller.recipe.plan import Assignment, PhasePlan

_SLACK = 1e-9  # of a limit: a conversion may round
_WORD = re.compile(r"[A-Za-z_]\w*")
_NO_VALUES = frozenset({"title", "text"})


def check(case: Case) -> None:
    """Adds what is out of range."""
    for plan in case.reached():
        for logic, index, step, scope in case.steps(plan):
            for item in outputs.items(step):
                if isinstance(item.value, Expression):
                    _asked(case, plan, (logic, index), item, item.value, scope)
        _registered(case, plan)
    _unused(case)


def _unused(case: Case) -> None:
    """A parameter that nothing uses says something that does not happen."""
    document = case.recipe.document
    used = {word for text in _texts(document.data) for word in _WORD.findall(text)}
    for name in case.recipe.ranges:
        if name not in used:
            case.findings.warning(
                "unused", f"nothing uses the parameter {name!r}: whatever it is worth, nothing "
                "changes", document.place("formula", name),
                "Use it in a phase or a condition, or take it out.",
            )  # fmt: skip


def _texts(data: Any) -> Iterator[str]:
    """The values of a recipe as written, without words for people."""
    if isinstance(data, str):
        yield data
    elif isinstance(data, list):
        for each in data:
            yield from _texts(each)
    elif isinstance(data, dict):
        for key, value in data.items():
            if key not in _NO_VALUES:
                yield from _texts(value)


def _asked(
    case: Case, plan: PhasePlan, at: tuple[str, int], item: Assignment, value: Expression,
    scope: Scope,
) -> None:  # fmt: skip
    ranges = case.plant.setpoints if item.verb == "set_sp" else case.plant.outputs
    if item.verb not in ("set_sp", "set_output") or item.target not in ranges:
        return
    found, limit = reason.worth(value, scope), ranges[item.target]
    if not isinstance(found, Span) or found.never or _inside(found, limit):
        return
    apart = found.met(limit).never
    if not apart and not value.constant:
        return
    name = f"{item.target}.sp" if item.verb == "set_sp" else item.target
    dimension = value.dimension
    where, note = _place(case, plan, at, value)
    say = case.findings.error if apart or found.exact else case.findings.warning
    say(
        "range", f"{plan.path} asks {name} for {told(found, dimension)}; it can do "
        f"{told(limit, dimension)}{note}", where, "Keep the value within the equipment's range.",
        plan.path,
    )  # fmt: skip


def _place(
    case: Case, plan: PhasePlan, at: tuple[str, int], value: Expression
) -> tuple[Place, str]:
    """The parameter in the recipe that the value comes from, or the unit's own line."""
    step = case.step_place(plan, *at, "set")
    names = [name for name in plan.values if name in questions.names_of(value.text)]
    if not names:
        return step, ""
    given = [name for name in names if case.recipe.document.places.get((*plan.place, "with", name))]
    return case.node_place(plan.path, *(("with", given[0]) if given else ())), f" ({step})"


def _inside(span: Span, limit: Span) -> bool:
    low = limit.low - abs(limit.low) * _SLACK
    high = limit.high + abs(limit.high) * _SLACK
    return low <= span.low and span.high <= high


def _given(case: Case, plan: PhasePlan) -> dict[str, object]:
    """The `with` of a call as written; of a phase inserted into a running batch there is none."""
    node: Any = case.recipe.document.data
    for key in plan.place:
        try:
            node = node[key]
        except (KeyError, IndexError, TypeError):
            return {}
    found = node.get("with") if isinstance(node, dict) else None
    return found if isinstance(found, dict) else {}


def _registered(case: Case, plan: PhasePlan) -> None:
    """A parameter anywhere in its registered range must still be one the unit's phase takes."""
    if not plan.use:
        return
    given = _given(case, plan)
    names = {
        name: Name("constant", NAMED[item.dimension], item.low)
        for name, item in case.recipe.ranges.items()
    }
    wide = {
        name: (NAMED[item.dimension], Span(item.low, item.high))
        for name, item in case.recipe.ranges.items()
    }
    scope = Scope({}, {}, {}, wide)
    for name, raw in given.items():
        own = case.recipe.offer.parameters[plan.use].get(name)
        if own is None:
            continue
        try:
            value = compile_expression(str(raw), names, own.dimension)
        except ExpressionError:
            continue
        found = reason.worth(value, scope)
        if (
            isinstance(found, Span)
            and not found.never
            and not _inside(found, Span(own.low, own.high))
        ):
            reach, limit = (told(each, NAMED[own.dimension])
                            for each in (found, Span(own.low, own.high)))  # fmt: skip
            case.findings.warning(
                "registered-range", f"{name} of {plan.path} may become {reach} within the "
                f"registered ranges of the formula, the unit takes {limit}",
                case.node_place(plan.path, "with", name),
                f"Narrow the low and high of what {str(raw)!r} uses.", plan.path,
            )  # fmt: skip
