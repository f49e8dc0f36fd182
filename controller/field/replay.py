"""One scan of the real kernel from a given state: what a counter-example of the proof really does.

The state is put into a fresh image, word by word, and `scan_at` runs once. Nothing is taken from
the proof's model but the numbers it starts from.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from controller.core.signal import Quality, Reason
from controller.field.image import MEAN_BUCKET_NS, MEAN_BUCKETS, Image, create
from controller.field.kernel import initialise_at, scan_at
from controller.field.views import Bound
from controller.profile.plan import BlockOp, EffectOp, Mode, Plan, SignalKind
from controller.profile.prove.case import Case, Values

NOW_NS = 10**16  # later than any age a case can name
MEAN_WEIGHT = 1e6  # of a window's past against the one sample of this scan


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one scan released, which outputs still wait to be read back, and the image after it."""

    released: dict[int, float]
    waiting: dict[int, bool]
    image: Image


def replay(plan: Plan, case: Case) -> Outcome:
    """Runs one scan from a case's state. Whatever the case does not name is idle and good."""
    image = create(plan, NOW_NS - case.dt_ns)
    bound = Bound(plan, image)
    initialise_at(bound.handles, NOW_NS - case.dt_ns)
    _idle(plan, image)
    _outputs(plan, image, case)
    _signals(plan, image, case)
    _memory(image, case)
    _means(plan, image, case)
    scan_at(bound.handles, NOW_NS)
    numbers = range(len(plan.outputs))
    return Outcome(
        {o: float(image.outputs[o]["released"]) for o in numbers},
        {o: bool(image.outputs[o]["adopting"]) for o in numbers},
        image,
    )


def _idle(plan: Plan, image: Image) -> None:
    """Every measured signal good, every loop by hand and not due, so that nothing moves unasked."""
    measured = plan.signals["kind"] == SignalKind.INPUT
    image.signals["quality"][measured] = Quality.GOOD
    image.signals["reason"][measured] = Reason.NONE
    low, high = plan.signals["low"], plan.signals["high"]
    image.signals["value"][measured] = ((low + high) / 2)[measured]
    image.signals["sample_ns"] = image.signals["suspect_ns"] = NOW_NS
    image.links["last_good_ns"] = NOW_NS
    image.head["supervisor_beat_ns"] = NOW_NS
    image.loops["mode"], image.loops["run_ns"] = Mode.MANUAL, NOW_NS


def _outputs(plan: Plan, image: Image, case: Case) -> None:
    for index, values in case.outputs.items():
        row = image.outputs[index]
        waits = values["adopting"]
        row["released"] = math.nan if waits else values["released"]
        row["wanted"] = row["request"] = math.nan if values["lost"] else values["wanted"]
        row["released_ns"] = NOW_NS - values["age"]
        for name in ("adopting", "locked", "reassert"):
            row[name] = int(values[name])
        signal = image.signals[int(plan.outputs[index]["signal"])]
        signal["value"] = row["released"]
        signal["quality"] = Quality.BAD if waits else Quality.GOOD
        signal["reason"] = Reason.NEVER_READ if waits else Reason.NONE
    image.outputs["mean_end_ns"] = NOW_NS + MEAN_BUCKET_NS


def _signals(plan: Plan, image: Image, case: Case) -> None:
    blocks = {int(block["target"]): block for block in plan.blocks}
    for link, silent_ns in case.links.items():
        image.links[link]["last_good_ns"] = NOW_NS - silent_ns
    for index, values in case.signals.items():
        kind = SignalKind(int(plan.signals[index]["kind"]))
        row = image.signals[index]
        if kind == SignalKind.INPUT:
            row["value"], row["sample_ns"] = values["value"], NOW_NS - values["age"]
            row["suspect_ns"] = NOW_NS
            good = Quality.GOOD if values["fair"] else Quality.UNCERTAIN
            row["quality"] = Quality.BAD if values["bad"] else good
            row["reason"] = _reason(values)
            row["forced_bad"] = int(values["stuck"])
        elif kind == SignalKind.BLOCK:
            row["sample_ns"] = NOW_NS - values["age"]
            _past(plan, image, blocks[index], case)
        elif kind == SignalKind.SUPERVISOR_AGE:
            image.head["supervisor_beat_ns"] = NOW_NS - round(values["value"] * 1e9)
        elif kind not in (SignalKind.OUTPUT, SignalKind.LINK_AGE):
            row["value"] = values["value"]


def _reason(values: Values) -> Reason:
    if values["stuck"]:
        return Reason.STUCK
    return Reason.COMMUNICATION if values["bad"] else Reason.NONE


def _past(plan: Plan, image: Image, block: Any, case: Case) -> None:
    """Gives a block the past from which it computes, in this scan, what the case says."""
    op, target = BlockOp(int(block["op"])), int(block["target"])
    wish, row = case.signals[target]["value"], image.signals[target]
    operand = case.signals.get(int(block["a"]), {"value": 0.0})["value"]
    seconds = case.dt_ns * 1e-9
    if op == BlockOp.TOTAL:
        row["value"] = wish - block["p0"] * operand * seconds
    elif op == BlockOp.LAG:
        share = 1.0 - math.exp(-seconds / block["p0"])
        row["value"], row["quality"] = (wish - operand * share) / (1.0 - share), Quality.GOOD
    elif op == BlockOp.HOLD:
        bad = case.signals[target]["bad"]
        row["value"], row["quality"] = wish, Quality.BAD if bad else Quality.GOOD
        row["suspect_ns"] = NOW_NS
    elif block["window"] >= 0:
        _window(image, block, op, wish, operand)


def _window(image: Image, block: Any, op: BlockOp, wish: float, operand: float) -> None:
    number = int(block["window"])
    state = image.windows[number]
    state["filled"] = int(block["lag"]) + 1 if op == BlockOp.SPREAD else 2
    state["head"], state["bucket_end_ns"] = 1, NOW_NS + int(block["bucket_ns"])
    low, high = image.window_low[number], image.window_high[number]
    low[1] = high[1] = operand
    if op == BlockOp.RISE:
        image.window_last[number, 0] = operand - wish
    elif op == BlockOp.LOWEST:
        state["low"], state["high"] = wish, operand
    elif op == BlockOp.HIGHEST:
        state["low"], state["high"] = operand, wish
    elif op == BlockOp.SPREAD:
        state["low"], state["high"] = operand - wish, operand
    else:
        low[1] = high[1] = 0.0
        state["low"], state["high"] = wish * (MEAN_WEIGHT + 1.0) - operand, MEAN_WEIGHT


def _memory(image: Image, case: Case) -> None:
    """Conditions, causes and effects as the scans before left them."""
    for index, values in case.conditions.items():
        row = image.conditions[index]
        row["raw"], row["state"] = int(values["raw"]), int(values["state"])
        row["since_ns"] = NOW_NS - values["since_age"]
        row["last_ns"] = NOW_NS - values["last_age"]
    for index, values in case.causes.items():
        row = image.causes[index]
        row["raw"] = 2 if values["bad_on"] else int(values["raw_on"])
        row["raw_ns"] = NOW_NS - values["raw_age"] if values["raw_on"] else -1
        row["bad_ns"] = NOW_NS - values["bad_age"] if values["bad_on"] else -1
        row["active"], row["latched"] = int(values["active"]), int(values["latched"])
        row["active_ns"] = NOW_NS - values["active_age"]
        row["bypass_until_ns"] = NOW_NS + 1 if values["bypassed"] else 0
    for index, values in case.effects.items():
        row = image.effects[index]
        row["on"], row["since_ns"] = int(values["on"]), NOW_NS - values["since_age"]
        row["confirm"] = 2 if values["failed"] else int(values["confirmed"])
        row["second_on"], row["mean"] = int(values["second_on"]), values["mean"]


def _means(plan: Plan, image: Image, case: Case) -> None:
    """The past of outputs whose mean is taken in this scan, by an effect that begins in it."""
    for index, values in case.effects.items():
        row = plan.effects[index]
        acting = case.acting.get(int(row["cause"]), {"active": True})
        if row["op"] == EffectOp.MEAN and not values["on"] and any(acting.values()):
            output = int(row["output"])
            image.means[output] = values["mean_new"]
            image.outputs[output]["mean_filled"] = MEAN_BUCKETS
