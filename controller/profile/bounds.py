"""Every index of a Plan points into its table: proved before the kernel runs it.

The kernel's rows are found without a look at their sign or the table's end (that is what makes it
as fast as C), so an index out of bounds would read or write somewhere else. Here it is found once.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from controller.core.errors import BrokenInvariant
from controller.profile.plan import WINDOWED, BlockOp, EffectOp, Fallback, Plan

Truths = npt.NDArray[np.bool_]
# table -> column -> (the table it points into, whether -1 stands for none)
INDICES: dict[str, dict[str, tuple[str, bool]]] = {
    "blocks": {"target": ("signals", False), "a": ("signals", True), "b": ("signals", True)},
    "terms": {"signal": ("signals", False)},
    "conditions": {"signal": ("signals", False)},
    "causes": {
        "valid_flag": ("signals", True), "unless_a": ("signals", True),
        "unless_b": ("signals", True), "bad_signal": ("signals", True), "told": ("signals", True),
    },
    "effects": {
        "cause": ("causes", False), "confirm_signal": ("signals", True),
        "second_output": ("outputs", True),
    },
    "loops": {
        "pv": ("signals", False), "other_pv": ("signals", True), "master": ("loops", True),
        "feedforward": ("signals", True), "sp_signal": ("signals", False),
        "op_signal": ("signals", False), "auto_signal": ("signals", False),
    },
    "segments": {"output": ("outputs", False)},
    "outputs": {
        "signal": ("signals", False), "link": ("links", False), "loop": ("loops", True),
        "readback": ("signals", True), "asked": ("signals", True),
    },
    "links": {"age_signal": ("signals", False)},
    "unit": {
        "guard_flag": ("signals", True), "held_flag": ("signals", True),
        "restarted_flag": ("signals", True), "supervisor_signal": ("signals", True),
    },
}  # fmt: skip
# table -> (first column, count column) -> table
RANGES = {
    "blocks": ("first_term", "n_terms", "terms"),
    "causes": ("first_condition", "n_conditions", "conditions"),
    "loops": ("first_segment", "n_segments", "segments"),
}


def check_bounds(plan: Plan) -> None:
    """Raises BrokenInvariant for the first index that points nowhere."""
    tables = plan._asdict()
    for name, columns in INDICES.items():
        for column, (target, none) in columns.items():
            found, size = tables[name][column], len(tables[target])
            _require((found >= (-1 if none else 0)) & (found < size), f"{name}.{column}")
    for name, (first, count, target) in RANGES.items():
        rows = tables[name][tables[name][count] > 0]
        end = rows[first] + rows[count]
        _require((rows[first] >= 0) & (end <= len(tables[target])), f"{name}.{first}")
    causes = plan.causes[plan.causes["n_effects"] > 0]
    end = causes["first_effect"] + causes["n_effects"]
    _require((causes["first_effect"] >= 0) & (end <= len(plan.effects)), "causes.first_effect")
    _check_uses(plan)


def _check_uses(plan: Plan) -> None:
    """What must be there because of what the row is."""
    on_signal = plan.effects["op"] == EffectOp.SIGNAL_BAD
    size = (on_signal * len(plan.signals)) + (~on_signal * len(plan.outputs))
    found = plan.effects["output"]
    _require((found >= 0) & (found < size), "effects.output")
    groups = plan.causes["group"]
    _require((groups >= -1) & (groups <= len(plan.causes)), "causes.group")
    op = plan.blocks["op"]
    _require((plan.blocks["a"] >= 0) | (op == BlockOp.SUM), "blocks.a")
    two = (op == BlockOp.DIFF) | (op == BlockOp.ABSDIFF) | (op == BlockOp.RATIO)
    two |= op == BlockOp.WHILE
    _require((plan.blocks["b"] >= 0) | ~(two | (op == BlockOp.ELSE)), "blocks.b")
    _require((plan.blocks["window"] >= 0) == np.isin(op, WINDOWED), "blocks.window")
    other = plan.loops["fallback"] == Fallback.OTHER
    _require((plan.loops["other_pv"] >= 0) | ~other, "loops.other_pv")
    _require((plan.outputs["read_back"] == 0) | (plan.outputs["readback"] >= 0), "outputs.readback")


def _require(good: Truths, what: str) -> None:
    if not good.all():
        raise BrokenInvariant(
            f"the plan's {what} points nowhere",
            means="The kernel would read beyond its tables. It was not started.",
            do="Report this with the unit file: the compiler of profiles is wrong.",
        )
