"""Signal fidelity of the I/O board: its real core, pass by pass, called from the compiled loop.

Line and session are left out. What the host's link does with a board stands here once more, in
compiled code: samples up, rows told, the pulse of a lapse, commands under leases, beats, resets and
clears (`controller/field/links/bridge*.py` says why each is as it is).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy.typing as npt
from numba import njit

from controller.core.signal import Quality, Reason
from controller.field.host_view import SOUNDING, SUPERVISOR_SILENT_NS
from controller.field.ring import put_sample
from firmware_bridge.codes import PWM_CHANNEL, RowFlag
from hil_sim.devices.board_line import DRIFT_PPM
from hil_sim.plant.sensors import sample
from hil_sim.plant.state import ANNUNCIATOR
from hil_sim.rig.foreign import F64, I32, I64, POINTER, U32, U64, foreign

Table = npt.NDArray[Any]
GOOD, BAD = int(Quality.GOOD), int(Quality.BAD)
COMMUNICATION, DRIVER, DEVICE = int(Reason.COMMUNICATION), int(Reason.DRIVER), int(Reason.DEVICE)
STANDS, LATCHED = int(RowFlag.STANDS), int(RowFlag.LATCHED)
NS_PER_S = 1_000_000_000
PASSES = 4  # of the board in a tick: a contact needs two, a median three
PWM_FULL = 1000.0
OPEN_NS = 500_000_000  # from power, reset or a healed cable to an armed session
BEAT_NS = 200_000_000
LATE_NS = 240_000_000  # an answer later than all tries is none
TOLD_NS, LAPSE_NS, SILENT_NS, AGAIN_NS = NS_PER_S, 2 * NS_PER_S, NS_PER_S, NS_PER_S
SHOW_NS = 500_000_000  # what does not change is shown this often
RUN, STATUS, COMMAND, BEAT, GIVE, RESET, CLEAR, LOAD = range(8)
ANALOG, CONTACT, COIL = range(3)

_run = foreign(I32, POINTER, POINTER, U64, U64, U64)
_status = foreign(I32, POINTER, POINTER)
_command = foreign(I32, POINTER, I32, I32, I32, U64)
_beat = foreign(I32, POINTER, U32, U32, U64)
_give = foreign(I32, POINTER, I32, F64, I32, I32, I64, U64)
_reset = foreign(I32, POINTER, I32, U64)
_clear = foreign(I32, POINTER, U32, U64)
_load = foreign(I32, POINTER, POINTER, U64)


class BoardTables(NamedTuple):
    """One board and its link; rows as `signal_wiring` makes them."""

    board: Table
    loops: Table
    contacts: Table
    coils: Table
    shown: Table
    told: Table
    lapse: Table
    channels: Table
    rows: Table
    given: Table
    guards: Table
    pins: Table
    status: Table
    table: Table
    calls: Table


@njit(cache=True, error_model="numpy", nogil=True)
def live(t: BoardTables, s: Table, p: Table, u: Table, f: Table, rng: Table, now_ns: int) -> None:
    """The board up to now: what lies on its inputs, its passes, what its outputs do."""
    b, drive = t.board[0], u[0].drive
    if b.powered == 0:
        for number in range(len(t.coils)):
            drive[t.coils[number]] = 0.0
        drive[ANNUNCIATOR] = 0.0
        return
    pins = t.pins[0]
    for number in range(len(t.loops)):
        loop = t.loops[number]
        value = sample(s[0], p[0], f[0], loop.channel, rng)
        counts = min(max(loop.scale * (value - loop.zero), loop.least), loop.most)
        pins.analog[number] = 0 if loop.broken == 1 else round(counts)
    word = 0
    for number in range(len(t.contacts)):
        contact = t.contacts[number]
        closed = sample(s[0], p[0], f[0], contact.channel, rng) > 0.5
        word |= (1 << number) if closed and contact.broken == 0 else 0
    pins.digital = word
    step_us = (board_us(t, now_ns) - b.reached_us) // PASSES
    until_us = b.reached_us + step_us * PASSES
    _run(t.calls[RUN], (b.handle, t.pins.ctypes.data, b.reached_us, until_us, step_us))
    b.reached_us = until_us
    _status(t.calls[STATUS], (b.handle, t.status.ctypes.data))
    status = t.status[0]
    for number in range(len(t.coils)):
        drive[t.coils[number]] = float((status.driven >> number) & 1)
    drive[ANNUNCIATOR] = status.pwm / PWM_FULL


@njit(cache=True, error_model="numpy", nogil=True)
def board_us(t: BoardTables, at_ns: int) -> int:
    """Board time of an instant, in us; below 0 before its boot."""
    elapsed = at_ns - t.board[0].epoch_ns
    return int((elapsed + elapsed * DRIFT_PPM // 1_000_000) // 1_000)


@njit(cache=True, error_model="numpy", nogil=True)
def show(image: Any, t: BoardTables, lines: Table, now_ns: int) -> None:
    """What the link says to the kernel of the board, or that it says nothing."""
    b = t.board[0]
    line = lines[b.link]
    dead = line.silent == 1 or line.late_ns > LATE_NS or b.powered == 0
    if line.driver > 0:
        line.driver = 0
        blind(image, t, DRIVER, now_ns)
        dead = True
    if dead:
        b.armed, b.open_ns = 0, now_ns + OPEN_NS
    if b.armed == 0:
        if now_ns - b.heard_ns >= SILENT_NS and b.lost == 0:
            b.lost = 1
            blind(image, t, COMMUNICATION, now_ns)
        return
    b.heard_ns, b.lost = now_ns, 0
    status, rings, inputs = t.status[0], image.input_rings, image.inputs
    for number in range(len(t.shown)):
        point = t.shown[number]
        if point.kind == ANALOG:
            found = status.analog[point.number]
            good = found.quality == GOOD and math.isfinite(found.value)
            put_sample(rings, inputs, b.link, point.signal, found.value if good else math.nan,
                       GOOD if good else BAD, 0 if good else DEVICE, now_ns)  # fmt: skip
            continue
        if point.kind == CONTACT:
            value = float((status.inputs >> point.number) & 1)
        else:
            value = float((status.driven >> point.number) & 1)
        tell(image, t, point, value, now_ns)
    for number in range(len(t.rows)):
        row = t.rows[number]
        told = tell_row(image, row, status.rows[row.row], now_ns)
        tell(image, t, t.told[number], told, now_ns)
    tell(image, t, t.lapse[0], tell_lapse(image, t, status.latched, now_ns), now_ns)


@njit(cache=True, error_model="numpy", nogil=True)
def tell(image: Any, t: BoardTables, point: Any, value: float, now_ns: int) -> None:
    """One sample of something that is 0 or 1: when it changes, and now and then."""
    if value != point.last or now_ns - point.put_ns >= SHOW_NS:
        point.last, point.put_ns = value, now_ns
        put_sample(image.input_rings, image.inputs, t.board[0].link, point.signal, value, GOOD, 0,
                   now_ns)  # fmt: skip


@njit(cache=True, error_model="numpy", nogil=True)
def blind(image: Any, t: BoardTables, reason: int, now_ns: int) -> None:
    """Every signal of the board is bad."""
    link = t.board[0].link
    for points in (t.shown, t.told, t.lapse):
        for number in range(len(points)):
            points[number].last = math.nan
            put_sample(image.input_rings, image.inputs, link, points[number].signal, math.nan, BAD,
                       reason, now_ns)  # fmt: skip


@njit(cache=True, error_model="numpy", nogil=True)
def tell_row(image: Any, row: Any, flags: int, now_ns: int) -> float:
    """Whether the kernel is told that a row of the board stands."""
    if (flags & ~row.flags) & (STANDS | LATCHED):
        row.until = now_ns + TOLD_NS
    row.flags = flags
    if flags & LATCHED and image.causes[row.cause].latched == 0 and now_ns >= row.until + TOLD_NS:
        row.until = now_ns + TOLD_NS
    return 1.0 if flags & STANDS or now_ns < row.until else 0.0


@njit(cache=True, error_model="numpy", nogil=True)
def tell_lapse(image: Any, t: BoardTables, latched: int, now_ns: int) -> float:
    """Whether the kernel is told of a lapse; what the board was cleared of takes commands again."""
    b = t.board[0]
    gone = b.latched & ~latched
    b.latched = latched
    b.shown &= latched
    b.telling &= latched
    if latched & ~(b.shown | b.telling):
        b.telling |= latched & ~b.shown
        b.lapse_until = now_ns + LAPSE_NS
    for number in range(len(t.channels)):
        if gone >> t.channels[number].channel & 1:
            t.channels[number].due, t.channels[number].not_before = 1, 0
    kernel_latched = b.lapse_cause >= 0 and image.causes[b.lapse_cause].latched == 1
    if latched and not kernel_latched and now_ns >= b.lapse_until + LAPSE_NS:
        b.lapse_until = now_ns + LAPSE_NS
    if now_ns < b.lapse_until:
        return 1.0
    b.shown |= b.telling
    b.telling = 0
    return 0.0


@njit(cache=True, error_model="numpy", nogil=True)
def attend(image: Any, t: BoardTables, now_ns: int) -> None:
    """After a scan: what the kernel shows the board, and what it wants of it."""
    b = t.board[0]
    wanted(image, t, now_ns)
    if b.armed == 0:
        if b.powered == 0 or now_ns < b.open_ns:
            return
        if _load(t.calls[LOAD], (b.handle, t.table.ctypes.data, len(t.table))) != 0:
            b.open_ns = now_ns + OPEN_NS
            return
        b.armed, b.beat_ns = 1, 0
        for number in range(len(t.channels)):
            t.channels[number].due, t.channels[number].not_before = 1, 0
    now_us = b.reached_us
    if now_ns - b.beat_ns >= BEAT_NS:
        b.beat_ns = now_ns
        beat(image, t, now_us, now_ns)
    pass_resets(image, t, now_us)  # first: a channel that was locked takes only what comes later
    hand_over(t, True, now_us, now_ns)
    hand_over(t, False, now_us, now_ns)


@njit(cache=True, error_model="numpy", nogil=True)
def beat(image: Any, t: BoardTables, now_us: int, now_ns: int) -> None:
    """The signals that the board is given, then the beat that renews its leases."""
    b = t.board[0]
    for number in range(len(t.given)):
        row = t.given[number]
        signal = image.signals[row.signal]
        at_us = board_us(t, signal.sample_ns) if row.dated == 1 else now_us
        _give(t.calls[GIVE], (b.handle, row.board_signal, signal.value, signal.quality,
                              signal.reason, at_us, now_us))  # fmt: skip
    bypassed = 0
    for number in range(len(t.rows)):
        row = t.rows[number]
        if row.bypassable == 1 and image.causes[row.cause].bypass_until_ns > now_ns:
            bypassed |= 1 << row.row
    progress = image.head[0].scan & 0xFFFFFFFF
    _beat(t.calls[BEAT], (b.handle, progress, bypassed, now_us))


@njit(cache=True, error_model="numpy", nogil=True)
def wanted(image: Any, t: BoardTables, now_ns: int) -> None:
    """Takes what the kernel released, and how loud the annunciator shall be."""
    head = image.head[0]
    for number in range(len(t.channels)):
        channel = t.channels[number]
        if channel.output >= 0:
            state = image.outputs[channel.output]
            if state.sequence != channel.seen:
                channel.seen = state.sequence
                channel.raw = round(state.released * channel.scale)
                channel.safe, channel.due, channel.not_before = state.safe, 1, 0
            continue
        level = min(max(head.annunciate, 0), SOUNDING)
        if now_ns - head.supervisor_beat_ns > SUPERVISOR_SILENT_NS:
            for guard in t.guards:
                level = SOUNDING if image.signals[guard].value > 0.5 else level
        if level != channel.raw:
            channel.raw, channel.due, channel.not_before = level, 1, 0


@njit(cache=True, error_model="numpy", nogil=True)
def hand_over(t: BoardTables, safe: bool, now_us: int, now_ns: int) -> None:
    """Commands what is due; a latched channel is left alone, but for safe values."""
    b, status = t.board[0], t.status[0]
    for number in range(len(t.channels)):
        channel = t.channels[number]
        latched = status.latched >> channel.channel & 1
        wished = status.wished >> channel.channel & 1
        if channel.channel != PWM_CHANNEL and wished != channel.raw and latched == 0:
            channel.due = 1
        if channel.due == 0 or channel.raw < 0 or now_ns < channel.not_before:
            continue
        if (channel.safe == 1) != safe or (latched == 1 and not safe):
            continue
        code = _command(
            t.calls[COMMAND], (b.handle, channel.channel, channel.raw, channel.lease_ms, now_us)
        )
        channel.due = 0 if code == 0 else 1
        channel.not_before = now_ns if code == 0 else now_ns + AGAIN_NS


@njit(cache=True, error_model="numpy", nogil=True)
def pass_resets(image: Any, t: BoardTables, now_us: int) -> None:
    """A reset that the kernel accepted resets the board's row, or clears what lapsed."""
    b = t.board[0]
    for number in range(len(t.rows)):
        row = t.rows[number]
        count = image.causes[row.cause].resets
        asked = 0 <= row.resets < count and row.flags & LATCHED
        if asked and _reset(t.calls[RESET], (b.handle, row.row, now_us)) == 0:
            row.flags &= ~LATCHED
        row.resets = count
    if b.lapse_cause >= 0:
        count = image.causes[b.lapse_cause].resets
        mask = b.latched & b.shown
        if 0 <= b.lapse_resets < count and mask != 0:
            _clear(t.calls[CLEAR], (b.handle, mask, now_us))
        b.lapse_resets = count
