"""Whether each row can act in time: sensor age + delay + scan + line against its safety time.

The process safety time is how long the hazard may develop before it harms; safety.md allows a row
half of it. Added up is the worst case of healthy lines with every retry, windows included that must
be full before they speak, or, if slower, of a lost signal that makes the row act by being bad.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from controller.core.clock import NS_PER_S
from controller.profile.compile import Profile
from controller.profile.link_plan import DevicePlan, LinkPlan
from controller.profile.plan import UNASKED, BadRule, BlockOp, CompareOp, SignalKind

OPCUA_WRITE_NS = 50_000_000  # one write and its status on a local network [assumed]
BITS_PER_BYTE_MAX = 12  # start, eight data, parity, two stop
_SILENCES = (SignalKind.LINK_AGE, SignalKind.SUPERVISOR_AGE)
# True only once their window is full, or moved by half of it.
_WAITS = (BlockOp.LOWEST, BlockOp.SPREAD, BlockOp.HIGHEST, BlockOp.MEAN)


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
    ages, lost = _signal_ages(profile)
    found = []
    for number, info in enumerate(profile.causes):
        if info.safety_time_ns == 0:
            continue
        cause = plan.causes[number]
        first, count = int(cause["first_condition"]), int(cause["n_conditions"])
        conditions = plan.conditions[first : first + count]
        age_ns = max(
            _condition_age(profile, ages, condition) + int(condition["on_delay_ns"])
            for condition in conditions
        )
        delay_ns = int(cause["on_delay_ns"])
        voting = [c for c in conditions if c["bad"] == BadRule.TRIP and c["op"] != CompareOp.IS_BAD]
        lost_ns = max((lost[int(condition["signal"])] for condition in voting), default=0)
        if lost_ns + int(cause["bad_delay_ns"]) > age_ns + delay_ns and lost_ns > 0:
            # Slower still: the sensor goes, and the row acts because its signal is bad.
            age_ns, delay_ns = lost_ns, int(cause["bad_delay_ns"])
        first, count = int(cause["first_effect"]), int(cause["n_effects"])
        outputs = {int(o) for o in plan.effects[first : first + count]["output"]}
        line_ns = max((_line_ns(link, outputs) for link in profile.links), default=0)
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


def _signal_ages(profile: Profile) -> tuple[list[int], list[int]]:
    """How old a good value of each signal can be, and after how long a lost one is bad.

    Good: poll period and every attempt of its read. A block is as old as its oldest operand, and
    its window too where it speaks only once that is full.
    """
    ages = [0] * len(profile.signals)
    lost = [int(limit) for limit in profile.plan.signals["max_age_ns"]]
    for link in profile.links:
        for device in link.devices:
            for read in device.reads:
                age_ns = read.period_ns + device.timeout_ns * (device.retries + 1)
                for point in read.points:
                    if point.signal >= 0:
                        ages[point.signal] = age_ns
    for block in profile.plan.blocks:
        operands = [int(block[key]) for key in ("a", "b") if int(block[key]) >= 0]
        first, count = int(block["first_term"]), int(block["n_terms"])
        operands += [int(term["signal"]) for term in profile.plan.terms[first : first + count]]
        target, window_ns = int(block["target"]), 0
        if BlockOp(int(block["op"])) in _WAITS:
            window_ns = int(block["bucket_ns"]) * int(block["lag"])
        ages[target] = max((ages[operand] for operand in operands), default=0) + window_ns
        lost[target] = max((lost[operand] for operand in operands), default=0)
        if int(block["op"]) == BlockOp.HOLD and float(block["p0"]) < UNASKED:
            lost[target] += round(float(block["p0"]) * NS_PER_S)
    return ages, lost


def _condition_age(profile: Profile, ages: list[int], row: Any) -> int:
    """Age of a condition's signal; silence counts for as long as its limit."""
    signal = int(row["signal"])
    if int(profile.plan.signals[signal]["kind"]) in _SILENCES:
        return round(float(row["limit"]) * 1e9)
    if int(row["op"]) == CompareOp.IS_BAD:
        return int(profile.plan.signals[signal]["max_age_ns"])
    return ages[signal]


def _line_ns(link: LinkPlan, outputs: set[int]) -> int:
    """The exchange in flight at its worst, then every safe write of the row on that line."""
    writes_ns = sum(
        _exchange_ns(link, device) * max(len(write.steps), len(write.zero_steps), 1)
        for device in link.devices
        for write in device.writes
        if write.output in outputs
    )
    if writes_ns == 0:
        return 0
    return max(device.timeout_ns + device.gap_ns for device in link.devices) + writes_ns


def _exchange_ns(link: LinkPlan, device: DevicePlan) -> int:
    """One write with its answer: the longest frame the device knows at the line's speed."""
    if link.kind == "opcua":
        return OPCUA_WRITE_NS
    return device.frame_bytes_max * BITS_PER_BYTE_MAX * NS_PER_S // link.baud + device.gap_ns
