"""The gate spammed: every actuator, every illegal value, every verb, in every state of the gate.

What is legal is judged here from ranges, grids and the rows in force, not by the gate. Both what
was released and what came in at the devices is looked at: no forbidden byte, however it was asked.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from functools import cache

import numpy as np
import pytest
from wire_rig import S, Sent, WireRig

from controller.field.image import HISTORY_CAPACITY
from controller.field.verbs import Verb
from controller.profile.plan import CauseKind, EffectOp, Mode
from hil_sim.qualification.plant_state import drive_of

SLACK = 1e-6  # of a step of the grid
NOT_A_NUMBER = re.compile(rb"-|nan|inf|e\d", re.IGNORECASE)
ODD_VERBS = (0, 11, -1, 1 << 40)
PERMIT, PROTECT = int(CauseKind.PERMIT), int(CauseKind.PROTECT)
LOOP_VERBS = (Verb.SET_SP, Verb.SET_MODE, Verb.SET_OP)
CAUSE_VERBS = (Verb.RESET, Verb.BYPASS, Verb.LATCH)


class Spammed(WireRig):
    """A rig that judges every release and every frame."""

    released: int = 0
    frames: int = 0
    told_ok: dict[str, set[float]]

    def watch(self) -> Spammed:
        """From now on."""
        self.plan = self.profile.plan
        self.told_ok = {name: {self.drive(name), self.out(name)} for name in self.profile.outputs}
        self.before = self.image.outputs["released"].copy()
        self.wrong: list[str] = []
        self.checked = len(self.sent)
        self.answers: Counter[bool] = Counter()
        return self

    def out(self, name: str) -> float:
        """The value last released."""
        return float(self.image.outputs["released"][self.profile.outputs.index(name)])

    def wanted(self, output: int) -> float:
        """What is wanted of an output now."""
        return float(self.image.outputs["wanted"][output])

    def _drain(self) -> None:
        if hasattr(self, "plan"):
            tail, head = (int(self.image.head[n][0]) for n in ("history_tail", "history_head"))
            for place in range(tail, head):
                _, output, _, value = self.image.history[place % HISTORY_CAPACITY].tolist()
                self.judge(output, value)
            for sent in self.sent[self.checked :]:
                self.judge_frame(sent)
            self.checked = len(self.sent)
            self.before = self.image.outputs["released"].copy()
        super()._drain()

    # -- what is legal ------------------------------------------------------------------------

    def judge(self, output: int, value: float) -> None:
        """One release against range, grid and the rows in force."""
        self.released += 1
        limits, name = self.plan.outputs[output], self.profile.outputs[output]
        low, high, size = (float(limits[n]) for n in ("low", "high", "resolution"))
        step = value / size
        faults = []
        if not math.isfinite(value) or not low - SLACK * size <= value <= high + SLACK * size:
            faults.append("outside its range")
        elif abs(step - round(step)) > SLACK:
            faults.append("off its grid")
        if value == 0.0 and math.copysign(1.0, value) < 0.0:
            faults.append("minus zero")
        faults += self.against_rows(output, value, size)
        self.wrong += [f"{name} released {value!r}: {fault}" for fault in faults]
        self.told_ok[name].add(value)

    def wishes(self, output: int) -> tuple[list[float], list[float], list[float], list[float]]:
        """Forces, ceilings, floors and permits in force on an output, from the chart alone."""
        forces, most, least, permits = [], [], [], []
        causes, states = self.image.causes, self.image.effects
        for place, effect in enumerate(self.plan.effects):
            row = int(effect["cause"])
            if effect["op"] == EffectOp.SIGNAL_BAD or not (
                causes["active"][row] or causes["latched"][row]
            ):
                continue
            if states["second_on"][place] and effect["second_output"] == output:
                forces.append(float(effect["second_value"]))
            if effect["output"] != output:
                continue
            value = float(effect["value"])
            if self.plan.causes["kind"][row] == PERMIT:
                permits.append(value)
            elif effect["op"] == EffectOp.AT_MOST:
                most.append(value)
            elif effect["op"] == EffectOp.AT_LEAST:
                least.append(value)
            else:
                mean = effect["op"] == EffectOp.MEAN
                forces.append(float(states["mean"][place]) if mean else value)
        return forces, most, least, permits

    def against_rows(self, output: int, value: float, size: float) -> list[str]:
        """What a release does against the rows in force, the lower winning as the chart says."""
        limits = self.plan.outputs[output]
        assert not limits["higher_wins"], "no output of the shipped unit"
        forces, most, least, permits = self.wishes(output)
        was = float(self.before[output])
        permits = [v for v in permits if abs(was - v) <= size * (1 + SLACK)]
        forces += permits
        ceiling, found = min(most, default=math.inf), []
        if value > ceiling + SLACK * size:
            found.append(f"above the bound {ceiling}")
        if forces and abs(value - min(*forces, ceiling, math.inf)) > size / 2 + SLACK * size:
            found.append(f"not at the force {min(forces)}")
        floor = min(max(least, default=-math.inf), ceiling)
        if not forces and value < floor - SLACK * size:
            found.append(f"below the bound {floor}")
        return found + self.against_guard(output, value, forces, most)

    def against_guard(
        self, output: int, value: float, forces: list[float], most: list[float]
    ) -> list[str]:
        """With a batch open nothing but a row, or a loop in automatic, turns heat, stirring or
        oxygen off."""
        limits, loop = self.plan.outputs[output], int(self.plan.outputs["loop"][output])
        guard = int(self.plan.unit["guard_flag"][0])
        automatic = loop >= 0 and self.image.loops["mode"][loop] >= Mode.AUTO
        if not limits["environment"] or self.image.signals["value"][guard] < 0.5:
            return []
        if forces or most or automatic or not self.before[output] >= limits["keep"]:
            return []
        size = float(limits["resolution"])
        return ["starves the cells"] if value < limits["keep"] - SLACK * size else []

    def judge_frame(self, sent: Sent) -> None:
        """One frame: only what was released, and a number a device can read."""
        if not sent.drives:
            return
        self.frames += 1
        if isinstance(sent.data, bytes) and NOT_A_NUMBER.search(sent.data.rstrip(b"\r")):
            self.wrong.append(f"{sent.line} heard {sent.data!r}")
        for name in self.profile.outputs:
            drive, per_unit = drive_of(name)
            if drive in sent.drives:
                value = sent.drives[drive] / per_unit
                size = float(self.plan.outputs["resolution"][self.profile.outputs.index(name)])
                if not any(abs(value - ok) <= size / 100 for ok in self.told_ok[name] | {0.0}
                           if ok != 0.0 or 0.0 in self.told_ok[name]):  # fmt: skip
                    self.wrong.append(f"{name} was told {value!r}, which was never released")


# -- the states the gate can be in ----------------------------------------------------------------


def free() -> Spammed:
    """Everything runs, no row stands."""
    rig = Spammed()
    rig.started()
    return rig


def guarded() -> Spammed:
    """A batch is open, cells are in."""
    rig = Spammed()
    rig.started(cells=True)
    return rig


def latched() -> Spammed:
    """Every protect that can latch did: forces and locks on nearly all outputs."""
    rig = guarded()
    causes = rig.profile.plan.causes
    for row in np.flatnonzero(causes["kind"] == PROTECT):
        rig.do(Verb.LATCH, int(row), 0.0)
    rig.run(3)
    return rig


def bounded() -> Spammed:
    """Ceilings and floors: temperatures disagree, pressure is unknown, the unit is held."""
    rig = guarded()
    rig.ramp(TT101=38.0)
    rig.field.set_fault("bad_quality", True, point="PT101")
    rig.flag("unit_held", 1)
    rig.run(64)
    return rig


def locked() -> Spammed:
    """Where resets left them."""
    rig = guarded()
    for output in range(len(rig.profile.outputs)):
        rig.do(Verb.LOCK, output, 0.0)
    rig.scan(2)
    return rig


def permitted() -> Spammed:
    """Nothing ever started: every permit that can stands against leaving 0."""
    rig = Spammed()
    rig.flag("cells_in", 1)
    rig.show(ST_STIRRER=0.0)
    rig.run(14)
    return rig


def adopting() -> Spammed:
    """A field that starts with a batch open, and no device says anything yet."""
    rig = Spammed(restarted=True)
    for line in ("gas_bus", "pump_bus", "probe_bus", "balance"):
        rig.field.set_fault("line_silent", True, link=line)
    rig.field.set_fault("skid_killed", True)
    rig.flag("environment", 1)
    return rig


def in_mode(mode: Mode) -> Spammed:
    """Every loop in one mode, masters first."""
    rig = guarded()
    for loop in range(len(rig.profile.loops)):
        rig.do(Verb.SET_MODE, loop, float(min(mode, Mode.AUTO)))
        rig.scan()
        rig.do(Verb.SET_MODE, loop, float(mode))
        rig.scan()
    rig.run(3)
    return rig


STATES = {
    "free": free, "guarded": guarded, "latched": latched, "bounded": bounded, "locked": locked,
    "permitted": permitted, "adopting": adopting, "manual": lambda: in_mode(Mode.MANUAL),
    "auto": lambda: in_mode(Mode.AUTO), "cascade": lambda: in_mode(Mode.CASCADE),
}  # fmt: skip


def values(rig: Spammed, output: int) -> list[float]:
    """What no output may be given as it stands, and what sits on the edge of it."""
    limits = rig.profile.plan.outputs[output]
    low, high, size, keep = (float(limits[n]) for n in ("low", "high", "resolution", "keep"))
    middle = low + 0.37 * (high - low)
    return [
        math.nan, math.inf, -math.inf, 1e308, -1e308, 5e-324, -0.0, low, high,
        math.nextafter(low, -1e9), math.nextafter(high, 1e9), high + size, low - size,
        middle + 0.5 * size, math.nextafter(middle, 1e9), keep - size, keep, keep - 0.51 * size,
        float(1 << 62), 2.0, 3.0, -1.0,
    ]  # fmt: skip


def targets(rig: Spammed, verb: int, output: int) -> list[int]:
    """What a verb can be aimed at to reach an output, and what does not exist."""
    plan = rig.profile.plan
    if verb in LOOP_VERBS:
        loop = int(plan.outputs["loop"][output])
        return [loop, len(rig.profile.loops)]
    if verb in CAUSE_VERBS:
        acting = plan.effects["cause"][plan.effects["output"] == output]
        return [*sorted({int(row) for row in acting})[:3], len(plan.causes)]
    if verb == Verb.SET_FLAG:
        return [rig.profile.index["cells_in"], rig.profile.index["TT101"], len(plan.signals), -1]
    if verb == Verb.SET_TOTAL:
        return [0, len(plan.blocks), -1]
    return [output, len(rig.profile.outputs), -1]


@cache
def spammed(state: str, full: bool) -> Spammed:
    """A state, and every command at every actuator in it."""
    made = STATES[state]
    rig = made().watch()
    for output in range(len(rig.profile.outputs)):
        if full and output:
            fresh = made().watch()
            fresh.wrong, fresh.released = rig.wrong, rig.released + fresh.released
            fresh.frames = rig.frames
            rig = fresh
        verbs = (*(int(verb) for verb in Verb), *ODD_VERBS) if full else (
            int(Verb.SET_OUTPUT), int(Verb.SET_OP))  # fmt: skip
        for verb in verbs:
            for target in targets(rig, verb, output):
                for value in values(rig, output):
                    wanted = rig.wanted(output)
                    rig.do(verb, target, value)  # type: ignore[arg-type]
                    rig.scan()
                    if rig.wanted(output) != wanted:  # it leaves too, at its write class
                        rig.run(float(rig.plan.outputs["interval_ns"][output]) / S + 0.2)
    return rig


@pytest.mark.parametrize("state", STATES)
def test_no_value_however_illegal_makes_a_forbidden_release_or_byte(state):
    rig = spammed(state, full=False)
    assert not rig.wrong[:5]
    assert rig.frames > 0 or state == "adopting"


@pytest.mark.campaign
@pytest.mark.parametrize("state", STATES)
def test_no_command_at_all_makes_a_forbidden_release_or_byte(state):
    rig = spammed(state, full=True)
    print(f"{state}: {rig.released} releases and {rig.frames} frames with a value, none forbidden")
    assert not rig.wrong[:5]


def test_the_judge_of_this_test_sees_what_is_forbidden():
    rig = guarded().watch()
    heater, air = (rig.profile.outputs.index(name) for name in ("heater", "air"))
    for output, value in ((heater, 100.1), (heater, 33.33), (air, math.nan), (air, -0.0),
                          (air, 10.0)):  # fmt: skip
        rig.wrong.clear()
        rig.judge(output, value)
        assert rig.wrong, f"{output} {value}"
    rig.wrong.clear()
    rig.judge_frame(Sent(0, "gas_bus", b"AS 77.7\r", {"air": 77.7}))
    assert rig.wrong
    rig.wrong.clear()
    rig.do(Verb.LATCH, rig.rows["1"], 0.0)
    rig.scan()
    assert not rig.wrong, "what the gate did itself"
    rig.judge(heater, 20.0)
    assert rig.wrong
