"""A control recipe becomes its procedure function chart: what is shown is what the engine follows.

Symbols after ISA-88.00.02 (IEC 61512-2), procedure function charts. Names, limits and conditions
come from the compiled recipe; what a parameter was written as stands behind its value.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from controller.core.clock import NS_PER_S
from controller.core.quantity import parse
from controller.recipe.formula import missing
from controller.recipe.offer import with_unit
from controller.recipe.pfc.model import Chart, Element, Live, Table
from controller.recipe.plan import (
    ControlPlan,
    ControlRecipe,
    ExceptionPlan,
    Loop,
    NodePlan,
    Path_,
    PhasePlan,
    Select,
    WaitStep,
)

NOTICE: Final = "NOT FOR HUMAN USE"
WORD: Final = re.compile(r"[A-Za-z_]\w*")
_THEN: Final = {
    "next": "then what follows the operation it stands for",
    "stop": "then the procedure is stopped",
    "abort": "then the procedure is aborted",
}  # fmt: skip
_FORMULA: Final = (
    ("Parameter", "Value", "From", "To", "Source", "Meaning"),
    (0.19, 0.13, 0.12, 0.12, 0.2, 0.24),
)
_CONTROLS: Final = (
    ("In-process control", "Of", "Limits", "When", "Outside"), (0.22, 0.16, 0.22, 0.24, 0.16),
)  # fmt: skip


def build(
    recipe: ControlRecipe, lives: Mapping[str, Live] | None = None,
    about: tuple[str, ...] = (), tables: tuple[Table, ...] = (),
) -> Chart:  # fmt: skip
    """The chart of a recipe. `lives` tells of a batch, by path; an element it does not name has no
    state. `about` is said in the head of each sheet; `tables` stand before everything else.
    """
    maker = _Elements(recipe, lives or {})
    care = recipe.care
    head = (
        f"{recipe.title}; for {recipe.unit} version {recipe.unit_version}. {NOTICE}",
        *(about or (f"SHA-256 {recipe.recipe_sha256[:16]} (recipe), "
                    f"{recipe.offer_sha256[:16]} (what the unit offers)",)),
    )  # fmt: skip
    after = "" if care is None else f"runs when the procedure is Held for {time(care.after_ns)}"
    return Chart(
        f"Recipe {recipe.id} version {recipe.version}", head, maker.element(recipe.root),
        None if care is None else maker.element(care.path, (after,)),
        _tables(recipe), tables,
    )  # fmt: skip


def time(ns: int) -> str:
    """A duration as people read it."""
    return with_unit(ns / NS_PER_S, "time")


class _Elements:
    def __init__(self, recipe: ControlRecipe, lives: Mapping[str, Live]) -> None:
        self._recipe, self._lives = recipe, lives
        self._open = set(missing(recipe.ranges))

    def element(self, path: str, dashed: tuple[str, ...] = ()) -> Element:
        """One element with everything in it."""
        recipe, node = self._recipe, self._recipe.nodes[path]
        plan, rule = recipe.phases.get(path), node.rule
        unknown = "unknown" in at(recipe, node.place)  # else its conditions are always known
        branches = tuple(tuple(self.element(part) for part in branch) for branch in node.branches)
        aside = tuple(self.element(part) for part in recipe.parts[path]
                      if recipe.nodes[part].then)  # fmt: skip
        if node.then:
            dashed = ("only an exception starts it", _THEN[node.then], *self._comes_from(path))
        lines: tuple[str, ...] = ()
        if plan is not None:
            lines = _transition(plan) if node.level == "transition" else self._phase(plan)
            dashed += tuple(_exception(item) for item in plan.exceptions)
        elif isinstance(rule, Select):
            lines = (f"while a condition is unknown: {rule.unknown}",) if unknown else ()
        elif not branches or node.level not in ("parallel", "loop"):
            lines = _inside(branches)
        exceptions = plan.exceptions if plan is not None else ()
        goals = tuple((_cause(item), item.target) for item in exceptions if item.target)
        return Element(
            path, node.level, path.rpartition("/")[2], _title(node, plan),
            plan.use if plan is not None else "", lines, dashed, goals, branches, _heads(rule),
            _foot(rule, unknown), aside, bool(node.then) or path == self._care(),
            self._lives.get(path),
        )  # fmt: skip

    def _care(self) -> str:
        return self._recipe.care.path if self._recipe.care is not None else ""

    def _comes_from(self, path: str) -> tuple[str, ...]:
        found = [phase.path for phase in self._recipe.phases.values()
                 if any(item.target == path for item in phase.exceptions)]  # fmt: skip
        return (f"from {', '.join(found)}",) if found else ()

    def _phase(self, plan: PhasePlan) -> tuple[str, ...]:
        written = at(self._recipe, plan.place).get("with") or {}
        live = self._lives.get(plan.path)
        other = live.unwritten if live is not None else frozenset()
        lines = []
        for name, text in plan.parameters.items():
            if name in other:
                lines.append(f"{name} = {text}")
            elif name in plan.deferred:
                unknown = "hold" if plan.deferred[name].unknown == "hold" else text
                told = f"{plan.deferred[name].expression.text} when it starts"
                lines.append(f"{name} = {told}; unknown: {unknown}")
            elif self._open & set(WORD.findall(str(written.get(name, "")))):
                lines.append(f"{name} = {written[name]} (given at the opening)")
            else:
                lines.append(f"{name} = {text}{_origin(written.get(name))}")
        if plan.level != "procedure":
            lines.append(f"its hold goes to the {plan.level.replace('_', ' ')}")
        return tuple(lines)


def at(recipe: ControlRecipe, place: Path_) -> dict[str, Any]:
    """The mapping that is written at a place of the recipe; empty if there is none."""
    found: Any = recipe.document.data
    try:
        for part in place:
            found = found[part]
    except (LookupError, TypeError):
        return {}
    return found if isinstance(found, dict) else {}


def _origin(raw: object) -> str:
    """What a value was written as, where that is more than the value."""
    if raw is None:
        return " (default)"
    try:
        parse(str(raw))
    except ValueError:
        return f" ({raw})"
    return ""


def _title(node: NodePlan, plan: PhasePlan | None) -> str:
    """The title, unless it only repeats the condition below it."""
    if plan is not None and plan.title.startswith("Wait until "):
        return ""
    return node.title


def _inside(branches: tuple[tuple[Element, ...], ...]) -> tuple[str, ...]:
    """What is in a closed box, by name."""
    return tuple(" → ".join(part.name for part in branch) for branch in branches)


def _transition(plan: PhasePlan) -> tuple[str, ...]:
    step = plan.logics["running"][0]
    if not isinstance(step, WaitStep):
        raise TypeError(f"{plan.path} is no transition")
    lines = [step.condition.text]
    if step.timeout_ns:
        lines.append(f"after {time(step.timeout_ns)}: {', then '.join(step.on_timeout)}")
    if step.unknown != "wait":
        lines.append(f"unknown: {step.unknown}")
    return tuple(lines)


def _exception(item: ExceptionPlan) -> str:
    done = f"go to {item.target.rpartition('/')[2]}" if item.target else item.do
    return f"{_cause(item)}: {done}"


def _cause(item: ExceptionPlan) -> str:
    if item.condition is None:
        return f"on row {item.row}"
    return f"if {item.condition.text}" + (", or unknown" if item.unknown == "act" else "")


def _heads(rule: Select | Loop | None) -> tuple[str, ...]:
    if not isinstance(rule, Select):
        return ()
    return tuple("otherwise" if item is None else item.text for item in rule.choices)


def _foot(rule: Select | Loop | None, told: bool) -> tuple[str, ...]:
    if not isinstance(rule, Loop):
        return ()
    unknown = {"again": "unknown: again", "hold": "unknown: hold", "wait": "unknown: it waits"}
    words = f"else again, at most {rule.at_most} times, then {rule.on_limit}"
    return rule.until.text, f"{words}; {unknown[rule.unknown]}" if told else words


def _tables(recipe: ControlRecipe) -> tuple[Table, ...]:
    found = []
    if recipe.ranges:
        rows = tuple(_formula(recipe, name) for name in recipe.ranges)
        found.append(Table("Formula", *_FORMULA, rows))
    if recipe.controls:
        rows = tuple(_control(item) for item in recipe.controls)
        found.append(Table("In-process controls", *_CONTROLS, rows))
    return tuple(found)


def _formula(recipe: ControlRecipe, name: str) -> tuple[str, ...]:
    item, written = recipe.ranges[name], at(recipe, ("formula", name))
    value = "at the opening" if item.value is None else with_unit(item.value, item.dimension)
    source = item.source
    if written.get("required"):
        source += ", required"
    if written.get("from"):
        source += f" from {written['from']}"
    if written.get("unknown"):
        source += f", unknown: {written['unknown']}"
    return (name, value, with_unit(item.low, item.dimension), with_unit(item.high, item.dimension),
            source, str(written.get("title") or ""))  # fmt: skip


def limits(item: ControlPlan) -> str:
    """What a result must be, e.g. `from 70 %`."""
    words = []
    if item.low is not None:
        words.append(f"from {with_unit(item.low, item.dimension)}")
    if item.high is not None:
        words.append(f"to {with_unit(item.high, item.dimension)}")
    return " ".join(words)


def _control(item: ControlPlan) -> tuple[str, ...]:
    name = item.id if item.title == item.id else f"{item.id}: {item.title}"
    when = "" if item.when is None else item.when.text
    return (name, item.variable, limits(item), when, ", then ".join(item.outside))
