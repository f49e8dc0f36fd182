"""Did it trip, when, and what followed: what record and device side say after an action.

A module because every family of cases asks the same ones, and because the words of a failure are
made here: what was required, what was measured, where the profile says otherwise.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from hil_sim.qualification.bench import LIVE, NS_PER_S, PUMP_ADDRESS, Bench, Row
from hil_sim.qualification.chart import said
from hil_sim.qualification.excite import Excited
from hil_sim.qualification.plant_state import OUTPUTS
from hil_sim.qualification.protocol import Measurement, Step
from hil_sim.qualification.requirements import Effect, Requirements, Rule

EVIDENCE_ROWS = 200
COARSE_S = 120.0
MEAN_S = 660.0  # the mean of ten minutes is what was done all that time
LADDER = (5.0, 10.0, 20.0, 40.0)  # margins beyond a limit at which a missing trip is looked for
TRIP_EVENTS = {"permit": "permit.withdrawn", "procedure": "procedure.rule"}
TOLERANCE, RESOLVED = 0.02, 1e-3  # of a value; and what every device resolves
MEAN = "kept at its mean"


def trip_rows(bench: Bench, rule: Rule, at_ns: int) -> list[Row]:
    """The records of a row's trips since an instant."""
    event = TRIP_EVENTS.get(rule.kind, "cause.active")
    found = bench.since(at_ns, event, row=rule.row)
    return [row for row in found if event != "procedure.rule" or row["data"]["stands"]]


def trip_time(bench: Bench, rule: Rule, at_ns: int, timeout_s: float) -> float | None:
    """Seconds from an instant to the row's trip; None when it does not trip in time."""
    every_s = 0.1 if timeout_s < COARSE_S else 2.0  # the record holds the time, not the look
    found = bench.until(lambda: trip_rows(bench, rule, at_ns), timeout_s, every_s)
    return (int(found[0]["mono_ns"]) - at_ns) / NS_PER_S if found else None


def released(bench: Bench, rule: Rule, at_ns: int, timeout_s: float) -> bool:
    """Whether the row is gone, not only latched."""
    events = {"permit": ("permit.given",), "procedure": ("procedure.rule",)}.get(
        rule.kind, ("cause.cleared",)
    )

    def gone() -> bool:
        return any(not row["data"].get("latched") and not row["data"].get("stands")
                   for row in bench.since(at_ns, *events, row=rule.row))  # fmt: skip

    return bool(bench.until(gone, timeout_s))


def evidence(bench: Bench, at_ns: int) -> dict[str, bytes]:
    """What left the system since an instant: records, and what came in at the devices."""
    records = [
        {key: row[key] for key in ("mono_ns", "event", "data")}
        for row in bench.rows() if int(row["mono_ns"]) >= at_ns
    ][:EVIDENCE_ROWS]  # fmt: skip
    sent = [one.text() for one in bench.sent(at_ns)][-EVIDENCE_ROWS:]
    return {
        "records.json": json.dumps(records, indent=0, sort_keys=True).encode(),
        "device-side.txt": ("\n".join(sent) + "\n").encode(),
    }


def meets(effect: Effect, value: float, before: float) -> bool:
    """Whether what the device does is what the effect asks for."""
    if effect.op == "mean":
        return abs(value - before) <= TOLERANCE * abs(before) + RESOLVED
    tolerance = tolerated(effect)
    if effect.op == "=":
        return abs(value - effect.value) <= tolerance
    return value <= effect.value + tolerance if effect.op == "<=" else (
        value >= effect.value - tolerance
    )


def tolerated(effect: Effect) -> float:
    """How far from its value an effect still is there: what a device resolves."""
    return TOLERANCE * abs(effect.value) + RESOLVED


def planned(step: Step, effect: Effect, name: str = "") -> Measurement:
    """The criterion of an effect at the device: limits, or that the mean of before is kept."""
    measure = step.measure(name or f"{effect.text}, at the device")
    low, high = effect.value - tolerated(effect), effect.value + tolerated(effect)
    if effect.op == "mean":
        return measure.equals(MEAN)
    if effect.op == ">=":
        return measure.at_least(low)
    # No device goes below 0.
    return measure.within(low, high) if effect.op == "=" and effect.value else (
        measure.at_most(high)
    )


def take_effect(
    measure: Measurement, effect: Effect, value: float, before: float, note: str = "", /,
    **kept: bytes,
) -> None:  # fmt: skip
    """What the device did, under the criterion that was planned for it."""
    if effect.op == "mean":
        kept_it = meets(effect, value, before)
        measure.take(MEAN if kept_it else f"{value:.4g}, not {before:.4g}", note, **kept)
    else:
        measure.take(float(value), note, **kept)


def effects_at_device(
    bench: Bench, effects: Sequence[Effect], before: dict[str, float], timeout_s: float,
    stuck_since_ns: int = -1,
) -> dict[str, float]:  # fmt: skip
    """What the devices do once the effects are there, or when the time is over, by output.

    With `stuck_since_ns` a pump that turns by itself is judged by what it was told since then.
    """

    def one(output: str) -> float:
        if output in PUMP_ADDRESS and stuck_since_ns >= 0:
            told = bench.told(output, stuck_since_ns)
            return bench.at_device(output) if told is None else told
        return bench.at_device(output)

    def now() -> dict[str, float]:
        return {effect.output: one(effect.output) for effect in effects}

    def there() -> bool:
        values = now()
        return all(meets(e, values[e.output], before[e.output]) for e in effects)

    bench.until(there, timeout_s)
    return now()


def no_trip_words(rule: Rule, item: Excited, required: Requirements, bench: Bench) -> str:
    """Why a missing trip matters, with the limit it was found at, searched for now."""
    head = (f"Row {rule.row}: requirement {rule.id} v{required.version} asks for a trip at "
            f"{item.condition.text} after {rule.delay_s:g} s; ")  # fmt: skip
    found = _searched(rule, item, bench) if item.analog and rule.delay_s <= 60.0 else (
        "it did not trip"
    )
    return f"{head}{found}. {said(bench.profile, rule.row, 'conditions')}."


def early_words(
    rule: Rule, item: Excited, required: Requirements, bench: Bench, found: Sequence[Row]
) -> str:
    """Why a trip inside the limit matters, with what the row saw."""
    signals = ", ".join(map(str, found[0]["data"].get("signals", []))) if found else ""
    return (f"Row {rule.row}: requirement {rule.id} v{required.version} asks for a trip at "
            f"{item.condition.text}; measured a trip at {item.words(item.at(-1.0))} already "
            f"({signals}). {said(bench.profile, rule.row, 'conditions')}.")  # fmt: skip


def _searched(rule: Rule, item: Excited, bench: Bench) -> str:
    """Goes on beyond the limit until the row trips, then closer: between which two values."""
    good, wait_s = 1.0, rule.delay_s + (2.5 if bench.fidelity == LIVE else 2.0)
    for distance in LADDER:
        at_ns = bench.now_ns
        item.to(item.at(distance))
        bench.wait(wait_s)
        if not trip_rows(bench, rule, at_ns):
            good = distance
            continue
        bad = distance
        while bad - good > 1.01:
            middle = (good + bad) / 2
            bench.normal(outputs=False)
            at_ns = bench.now_ns
            item.to(item.at(middle))
            bench.wait(wait_s)
            if trip_rows(bench, rule, at_ns):
                bad = middle
            else:
                good = middle
        return (f"measured no trip at {item.words(item.at(good))}, "
                f"a trip at {item.words(item.at(bad))}")  # fmt: skip
    return f"measured no trip up to {item.words(item.at(LADDER[-1]))}"


def late_words(rule: Rule, required: Requirements, bench: Bench, seconds: float | None) -> str:
    """Why a trip at another time matters."""
    measured = "none" if seconds is None else f"{seconds:.2f} s"
    return (f"Row {rule.row}: requirement {rule.id} v{required.version} asks for a delay of "
            f"{rule.delay_s:g} s; measured {measured}. "
            f"{said(bench.profile, rule.row, 'delay')}.")  # fmt: skip


def effect_words(
    rule: Rule, effect: Effect, required: Requirements, bench: Bench, value: float
) -> str:
    """Why an output elsewhere matters."""
    return (f"Row {rule.row}: requirement {rule.id} v{required.version} asks for {effect.text}; "
            f"{required.confirm_s:g} s after the trip the device does {value:.4g}. "
            f"{said(bench.profile, rule.row, 'then')}.")  # fmt: skip


def prepared(bench: Bench, rule: Rule) -> dict[str, float]:
    """Puts outputs where the row's effects will show; what the devices do then, by output."""
    low = {e.output: OUTPUTS[e.output] * 0.4 for e in rule.effects
           if e.op == ">=" and OUTPUTS[e.output] > 1.0}  # fmt: skip
    for output, value in low.items():
        bench.answer("set_output", output, f"{value:g}")
        bench.until(lambda o=output, v=value: abs(bench.at_device(o) - v) < 0.05 * v, 6.0)  # type: ignore[misc]
    if any(e.op == "mean" for e in rule.effects):
        bench.wait(MEAN_S)
    return {e.output: bench.at_device(e.output) for e in rule.effects}


def state_of(bench: Bench) -> dict[str, Any]:
    """Everything the devices do, rounded, for evidence."""
    return {name: round(value, 4) for name, value in bench.drives().items()}
