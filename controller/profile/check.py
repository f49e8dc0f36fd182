"""Whether each row can act in time: sensor age + delay + scan + line against its safety time.

The process safety time is how long the hazard may develop before it harms; safety.md allows a row
half of it. What is added up is the worst case of a healthy unit, not of a failed one: failed lines
have rows of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from controller.profile.compile import Profile
from controller.profile.link_plan import LinkPlan
from controller.profile.plan import BlockOp, CompareOp, SignalKind

WRITE_STEP_NS = 20_000_000  # one short frame at 9600 baud [assumed]
_WAITS = (BlockOp.LOWEST, BlockOp.SPREAD)  # these are true only once their window is full


@dataclass(frozen=True, slots=True)
class RowTime:
    """How long one row may take, all in ns. `ok`: the sum is at most `allowed_ns`."""

    row: str
    sensor_age_ns: int
    delay_ns: int
    scan_ns: int
    line_ns: int
    total_ns: int
    allowed_ns: int
    ok: bool


def safety_times(profile: Profile) -> list[RowTime]:
    """The time of every row that declares a process safety time, in the order of the file."""
    plan, period_ns = profile.plan, int(profile.plan.unit[0]["period_ns"])
    ages = _signal_ages(profile)
    lines = [_line_ns(link) for link in profile.links]
    found = []
    for number, info in enumerate(profile.causes):
        if info.safety_time_ns == 0:
            continue
        cause = plan.causes[number]
        first, count = int(cause["first_condition"]), int(cause["n_conditions"])
        conditions = plan.conditions[first : first + count]
        age_ns = max(_condition_age(profile, ages, condition) for condition in conditions)
        first, count = int(cause["first_effect"]), int(cause["n_effects"])
        outputs = plan.effects[first : first + count]["output"]
        line_ns = max((lines[int(plan.outputs[o]["link"])] for o in outputs), default=0)
        delay_ns = int(cause["on_delay_ns"])
        total_ns = age_ns + delay_ns + period_ns + line_ns
        allowed_ns = info.safety_time_ns // 2
        found.append(
            RowTime(info.row, age_ns, delay_ns, period_ns, line_ns, total_ns, allowed_ns,
                    total_ns <= allowed_ns)
        )  # fmt: skip
    return found


def check_profile(profile: Profile) -> None:
    """Raises BadInput at the line of the first row that cannot act within half its safety time."""
    for time in safety_times(profile):
        if not time.ok:
            place = next(i for i, row in enumerate(profile.model.rows) if row.id == time.row)
            raise profile.document.error(
                f"row {time.row} may take {time.total_ns / 1e9:.2f} s (sensor age "
                f"{time.sensor_age_ns / 1e9:.2f}, delay {time.delay_ns / 1e9:.2f}, scan "
                f"{time.scan_ns / 1e9:.2f}, line {time.line_ns / 1e9:.2f}); half of its process "
                f"safety time is {time.allowed_ns / 1e9:.2f} s",
                "rows", place, "safety_time",
                do="Poll faster, shorten the delay, or show that the hazard gives more time.",
            )  # fmt: skip


def _signal_ages(profile: Profile) -> list[int]:
    """The oldest a good value of each signal can be: poll period and every attempt of its read."""
    ages = [0] * len(profile.signals)
    for link in profile.links:
        for device in link.devices:
            for read in device.reads:
                for point in read.points:
                    if point.signal >= 0:
                        ages[point.signal] = read.period_ns + device.timeout_ns * (
                            device.retries + 1
                        )
    for block in profile.plan.blocks:
        operands = [int(block[key]) for key in ("a", "b") if int(block[key]) >= 0]
        first, count = int(block["first_term"]), int(block["n_terms"])
        operands += [int(term["signal"]) for term in profile.plan.terms[first : first + count]]
        age_ns = max((ages[operand] for operand in operands), default=0)
        if BlockOp(int(block["op"])) in _WAITS:
            age_ns += int(block["bucket_ns"]) * int(block["lag"])
        ages[int(block["target"])] = age_ns
    return ages


def _condition_age(profile: Profile, ages: list[int], row: Any) -> int:
    """Age of a condition's signal; a link's silence counts for as long as its limit."""
    signal = int(row["signal"])
    if profile.plan.signals[signal]["kind"] == SignalKind.LINK_AGE:
        return round(float(row["limit"]) * 1e9)
    if int(row["op"]) == CompareOp.IS_BAD:
        return int(profile.plan.signals[signal]["max_age_ns"])
    return ages[signal]


def _line_ns(link: LinkPlan) -> int:
    """The exchange in flight at its worst, then the longest safe write of the line."""
    flight = max(device.timeout_ns + device.gap_ns for device in link.devices)
    writes = [write for device in link.devices for write in device.writes]
    steps = max((max(len(w.steps), len(w.zero_steps), 1) for w in writes), default=0)
    return flight + steps * WRITE_STEP_NS

