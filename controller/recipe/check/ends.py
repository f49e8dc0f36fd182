"""Every started phase is stopped on every way: at its end, on Stop, on Abort, and what it leaves on
is ended by a later one. The environment is not asked: it belongs to the batch."""

from __future__ import annotations

from controller.recipe.check.case import Case
from controller.recipe.check.outputs import Ending
from controller.recipe.plan import PhasePlan

_REST = "Set it to its safe position there"
_WHEN = {
    "aborting": "on Abort",
    "stopping": "on Stop",
    "leaving": "skipped, or left for an alternative operation,",
}


def check(case: Case) -> None:
    """Adds what would be left moving."""
    for plan in case.reached():
        found = case.walk.endings[plan.path]
        if plan.use:
            _own(case, plan, found)
        _others(case, plan, found)
    for target, paths in case.end.left.items():
        for path in sorted(paths):
            case.findings.error(
                "left-on", f"{path} leaves {target} on, and no later phase ends it on every way to "
                "the end", case.node_place(path),
                f"Put a phase that ends {target} on every way after it.", path,
            )  # fmt: skip


def _own(case: Case, plan: PhasePlan, found: Ending) -> None:
    """What a class must end itself; told once for all calls, at the unit's line."""
    offer = case.recipe.offer
    leaves = offer.classes[plan.use].leaves
    for target, index in found.left.items():
        if target not in leaves:
            case.findings.error(
                "not-ended", f"{plan.use!r} moves {target} in this step and does not end it",
                case.step_place(plan, "running", index),
                f"{_REST} before the phase is done, or declare `leaves: [{target}]` if a later "
                "phase needs it.", plan.path,
            )  # fmt: skip
    before = case.walk.entry[plan.path].left
    by_unit = {item.target for item in offer.ending}
    for target in sorted(found.again):
        if target not in leaves and target not in before:
            case.findings.error(
                "not-ended", f"the restarting logic of {plan.use!r} moves {target}, and its "
                "running logic does not end it", case.class_place(plan.use, "restarting"),
                f"{_REST} at the end of `running`, or declare `leaves: [{target}]`.", plan.path,
            )  # fmt: skip
    for logic, say in _WHEN.items():
        if _same_as_another(case, plan, logic):
            continue
        if logic == "aborting" and _same_as_another(case, plan, "stopping"):
            say = "on Stop and on Abort"
        for target, (begun, index) in found.moved.items():
            if target in found.ended[logic] or (logic != "leaving" and target in by_unit):
                continue
            if logic == "leaving" and (target in leaves or target in before):
                continue
            case.findings.error(
                "not-ended", f"{plan.use!r} moves {target} in this step, and its {logic} logic "
                f"does not end it in every case: {say} it would stay",
                case.step_place(plan, begun, index),
                f"{_REST} in `{logic}` (line {_line(case, plan, logic)}), without a `when`.",
                plan.path,
            )  # fmt: skip


def _same_as_another(case: Case, plan: PhasePlan, logic: str) -> bool:
    """Whether a logic is not written and another, which is told of, stands for it."""
    model = case.recipe.offer.classes[plan.use]
    if logic == "stopping":
        return not model.stopping
    return logic == "leaving" and model.leaving is None


def _line(case: Case, plan: PhasePlan, logic: str) -> int:
    return case.class_place(plan.use, logic).line


def _others(case: Case, plan: PhasePlan, found: Ending) -> None:
    """While something is left on by an earlier phase, Stop and Abort of this one must end it."""
    ended_by_unit = {item.target for item in case.recipe.offer.ending}
    for target, paths in case.walk.entry[plan.path].left.items():
        if target in ended_by_unit:
            continue
        by = ", ".join(sorted(paths))
        if not plan.use:
            case.findings.warning(
                "not-ended", f"{target}, left on by {by}, stays on if the batch is stopped while "
                f"{plan.path} waits", case.node_place(plan.path),
                f"Wait inside a phase that ends {target} when it is stopped, or before {by}.",
                plan.path,
            )  # fmt: skip
            continue
        for logic in ("aborting", "stopping"):
            ended = found.ended[logic]
            if target not in ended:
                case.findings.error(
                    "not-ended", f"{target}, left on by {by}, stays on if the batch is ended in "
                    f"{plan.path}: the {logic} logic of {plan.use!r} "
                    f"({case.class_place(plan.use, logic)}) does not end it",
                    case.node_place(plan.path),
                    f"End {target} in the {logic} logic of {plan.use!r}, or before this phase.",
                    plan.path,
                )  # fmt: skip
                break
