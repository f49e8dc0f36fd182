"""The image as the screen shows it: tags, loops, outputs and links.

Runs in the supervisor's thread many times a second: everything that does not change (names, units,
decimals) is worked out once. Values are in the unit the profile declares for the tag.
"""

from __future__ import annotations

import math
from typing import Any

from controller.core.clock import NS_PER_MS, NS_PER_S
from controller.core.quantity import unit_factor
from controller.core.signal import Quality, Reason
from controller.field.image import Image
from controller.profile.compile import Profile
from controller.profile.plan import Fallback, Mode, SignalKind

QUALITIES = {int(q): q.name.lower() for q in Quality}
REASONS = {int(r): r.words if r else "" for r in Reason}
MODES = {int(mode): mode.name.lower() for mode in Mode}
FALLBACKS = {int(Fallback.OTHER): "other sensor", int(Fallback.MEAN): "10 min mean",
             int(Fallback.VALUE): "fixed value"}  # fmt: skip
SHOWN = (SignalKind.INPUT, SignalKind.BLOCK, SignalKind.FLAG)
SILENT_NS = 2 * NS_PER_S  # row 20 of the unit
AGE_STEP_NS = 100 * NS_PER_MS
_DECIMALS = {"degC": 2, "K": 2, "pH": 3, "%": 2, "mL/min": 2, "g/min": 2, "g": 1, "L": 4,
             "rpm": 1, "mbar": 2, "kPa": 3, "1": 3}  # fmt: skip
_SPAN_PARTS = 20_000
_UNPROVEN = {0: "pending", 1: "proven", 2: "not_confirmed"}
_WORST = {"none": 0, "proven": 1, "pending": 2, "not_confirmed": 3}


def shown_unit(profile: Profile, name: str) -> tuple[str, float]:
    """The unit people read a tag in, and what a canonical value is divided by."""
    model = profile.model.tags.get(name)
    index = profile.index[name]
    if model is None:
        return profile.tags[index].unit, 1.0
    return model.unit, float(unit_factor(model.unit)[1])


def decimals(profile: Profile, name: str) -> int:
    """How many decimals of a tag mean something: a 20,000th of its range, or as its unit has."""
    unit, factor = shown_unit(profile, name)
    tag = profile.tags[profile.index[name]]
    usual = _DECIMALS.get(unit, 3)
    if name not in profile.model.tags:
        return usual
    span = (tag.high - tag.low) / factor
    return min(max(math.floor(-math.log10(span / _SPAN_PARTS)), usual if unit == "g" else 0), 6)


class Reader:
    """Reads images of one profile."""

    def __init__(self, profile: Profile) -> None:
        plan = profile.plan
        self._profile = profile
        self._tags: list[tuple[str, int, float, int, int]] = []
        for index, row in enumerate(plan.signals):
            if int(row["kind"]) in SHOWN:
                name = profile.signals[index]
                _, factor = shown_unit(profile, name)
                age_ns = int(row["max_age_ns"]) // 2
                self._tags.append((name, index, factor, decimals(profile, name), age_ns))
        self._effects: list[list[tuple[int, bool]]] = [[] for _ in profile.outputs]
        for index, effect in enumerate(plan.effects):
            if int(effect["output"]) >= 0:
                kept = (index, int(effect["confirm_signal"]) >= 0)
                self._effects[int(effect["output"])].append(kept)
        self.names = [name for name, *_ in self._tags]

    def tags(self, image: Image, now_ns: int) -> dict[str, list[Any]]:
        """`{name: [value or None, quality, reason, age_ms]}`.

        An age is told only when it is beyond half of what the tag may have, so that it changes
        nothing while all is well.
        """
        signals = image.signals
        values, samples = signals["value"].tolist(), signals["sample_ns"].tolist()
        qualities, reasons = signals["quality"].tolist(), signals["reason"].tolist()
        found: dict[str, list[Any]] = {}
        for name, index, factor, places, half_ns in self._tags:
            value, reason = values[index], reasons[index]
            known = math.isfinite(value) and reason != Reason.NEVER_READ
            age_ns = now_ns - samples[index] if half_ns else 0
            age_ms = age_ns // AGE_STEP_NS * 100 if age_ns > half_ns > 0 else 0
            number = round(value / factor, places) + 0.0 if known else None
            found[name] = [number, QUALITIES[qualities[index]], REASONS[reason], age_ms]
        return found

    def loops(self, image: Image) -> dict[str, dict[str, Any]]:
        """`{name: {sp, op, mode, tracking, fallback}}`; `fallback` in words, empty if not used."""
        rules = self._profile.plan.loops["fallback"]
        return {
            name: {
                "sp": _plain(row["sp"]), "op": round(_plain(row["op"]), 2),
                "mode": MODES[int(row["mode"])], "tracking": bool(row["track"]),
                "fallback": FALLBACKS.get(int(rule), "") if row["in_fallback"] else "",
            }
            for name, row, rule in zip(self._profile.loops, image.loops, rules, strict=True)
        }  # fmt: skip

    def outputs(self, image: Image) -> dict[str, dict[str, Any]]:
        """`{name: {request, value, forced_by, adopting, proof}}`; `value`: what the gate let."""
        effects, causes = image.effects, self._profile.causes
        confirms, standing = effects["confirm"].tolist(), effects["on"].tolist()
        found = {}
        for index, name in enumerate(self._profile.outputs):
            row = image.outputs[index]
            cause = int(row["by_cause"])
            proof = "none"
            for effect, watched in self._effects[index]:
                if watched and standing[effect]:
                    proof = max(proof, _UNPROVEN[confirms[effect]], key=lambda word: _WORST[word])
            found[name] = {
                "request": _plain(row["request"]), "value": _plain(row["released"]),
                "forced_by": causes[cause].row if cause >= 0 and row["sequence"] > 0 else "",
                "adopting": bool(row["adopting"]), "proof": proof,
            }  # fmt: skip
        return found

    def links(self, image: Image, now_ns: int) -> dict[str, dict[str, Any]]:
        """`{name: {state: good or silent, age_ms}}`; an age below a second is not told."""
        found = {}
        for link, last_ns in zip(
            self._profile.links, image.links["last_good_ns"].tolist(), strict=True
        ):
            age_ns = max(now_ns - last_ns, 0)
            age_ms = age_ns // AGE_STEP_NS * 100 if age_ns > NS_PER_S else 0
            state = "silent" if age_ns > SILENT_NS else "good"
            found[link.name] = {"state": state, "age_ms": age_ms}
        return found

    def not_confirmed(self, image: Image) -> list[dict[str, str]]:
        """Effects that nothing has proved in time, each with the second element that acts."""
        plan, found = self._profile.plan, []
        for index in ((image.effects["confirm"] == 2) & (image.effects["on"] == 1)).nonzero()[0]:
            second = int(plan.effects[index]["second_output"])
            row, output = self._profile.effects[index]
            element = self._profile.outputs[second] if second >= 0 else ""
            found.append({"row": row, "output": output, "second": element})
        return found


def held_outputs(profile: Profile) -> dict[str, list[str]]:
    """What each cause holds: row -> outputs (a plausibility cause holds none)."""
    found: dict[str, list[str]] = {cause.row: [] for cause in profile.causes}
    for index, (row, target) in enumerate(profile.effects):
        if int(profile.plan.effects[index]["output"]) >= 0 and target not in found[row]:
            found[row].append(target)
    return found


def _plain(value: Any) -> float:
    """A number JSON can hold, with no more digits than a person or a device can use."""
    number = float(value)
    return float(f"{number:.7g}") + 0.0 if math.isfinite(number) else 0.0
