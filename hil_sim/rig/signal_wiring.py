"""The tables of an I/O board in signal fidelity, and what can be done to it from outside.

A module because the compiled loop knows numbers only: which pin is which channel of the plant
stands in `devices.terminals`, which number of the board is which signal in the unit's BoardPlan.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from controller.core.errors import BadInput
from controller.profile.compile import Profile
from controller.profile.link_plan import BoardPlan
from firmware_bridge.codes import ResetReason
from firmware_bridge.layout import Number, layout
from firmware_bridge.messages import Analog, Status
from firmware_bridge.native_board import NativeBoard, address
from firmware_bridge.table import Header
from hil_sim.devices.terminals import (
    COILS,
    CONTACTS,
    COUNTS_PER_MA,
    FULL_MA,
    HIGHEST_MA,
    LIVE_ZERO_MA,
    LOOPS,
    LOWEST_MA,
    tag_at,
)
from hil_sim.plant.plant import ACTUATOR_INDEX, CHANNEL_INDEX
from hil_sim.rig.signal_board import ANALOG, COIL, CONTACT, OPEN_NS, BoardTables

Table = npt.NDArray[Any]


def _ints(names: str, floats: str = "") -> np.dtype[Any]:
    return np.dtype([(n, "i8") for n in names.split()] + [(n, "f8") for n in floats.split()])


BOARD = _ints(
    "handle powered armed open_ns epoch_ns reached_us beat_ns link heard_ns lost lapse_cause"
    " latched shown telling lapse_until lapse_resets"
)
LOOP = _ints("channel broken", "zero scale least most")
CONTACT_ROW = _ints("channel broken")
POINT = _ints("kind number signal put_ns", "last")
CHANNEL = _ints("channel output lease_ms seen raw due safe not_before", "scale")
ROW = _ints("row cause flags until resets bypassable")
GIVEN = _ints("board_signal signal dated")
PINS = np.dtype([("analog", "u2", (4,)), ("digital", "u4")])
CALLS = ("cw_run", "cw_status", "cw_command", "cw_beat", "cw_give", "cw_reset", "cw_clear",
         "cw_load")  # fmt: skip
LONG_AGO = -(2**62)


class SignalBoard:
    """The board of a link, powered at 0. Raises BadInput for a unit with other terminals."""

    def __init__(self, profile: Profile, link: int, seed: int) -> None:
        plan = profile.links[link].board
        if plan is None:
            raise BadInput(f"link {profile.links[link].name} has no board")
        self._core = NativeBoard()
        self._boots = seed * 1_000
        board = np.zeros(1, BOARD)
        board[0]["link"], board[0]["lapse_cause"] = link, plan.lapse_cause
        board[0]["lapse_until"], board[0]["lapse_resets"] = LONG_AGO, -1
        guards = [int(profile.plan.unit[0][key]) for key in ("guard_flag", "restarted_flag")]
        self.tables = BoardTables(
            board, *_terminals(), _shown(plan), _points(COIL, [row.told for row in plan.rows]),
            _points(COIL, [plan.lapse_signal]), _channels(plan), _rows(plan), _given(plan),
            np.array([flag for flag in guards if flag >= 0], np.int64), np.zeros(1, PINS),
            np.zeros(1, _status_of(plan)), np.frombuffer(plan.table, np.uint8).copy(),
            np.array([address(name) for name in CALLS], np.int64),
        )  # fmt: skip
        self.power_up(0)

    def power_up(self, now_ns: int) -> None:
        """It starts as from the shelf: what its memory held is gone."""
        self._core.close()
        self._core = NativeBoard()
        self._boot(ResetReason.POWER_UP, now_ns)

    def cut_power(self) -> None:
        """Nothing drives and nothing answers any more."""
        self.tables.board[0]["powered"] = 0

    def watchdog(self, now_ns: int) -> None:
        """Its watchdog has run out: it starts anew, with what survives a reset."""
        self._boot(ResetReason.WATCHDOG, now_ns)

    def _boot(self, reason: ResetReason, now_ns: int) -> None:
        self._boots += 1
        self._core.start(self._boots, reason)
        row = self.tables.board[0]
        row["handle"], row["powered"], row["armed"] = self._core.handle, 1, 0
        row["epoch_ns"], row["reached_us"], row["open_ns"] = now_ns, 0, now_ns + OPEN_NS

    def break_wire(self, tag: str, broken: bool) -> bool:
        """Takes a wire off its terminal or puts it back; False if the tag hangs elsewhere."""
        place = tag_at(tag)
        if place is None:
            return False
        kind, number = place
        (self.tables.loops if kind == "analog" else self.tables.contacts)["broken"][number] = broken
        return True


def _terminals() -> tuple[Table, Table, Table]:
    loops, contacts = np.zeros(len(LOOPS), LOOP), np.zeros(len(CONTACTS), CONTACT_ROW)
    for number, loop in enumerate(LOOPS):
        # counts = scale (value - zero), between the ends that a healthy transmitter drives
        scale = (FULL_MA - LIVE_ZERO_MA) * COUNTS_PER_MA / (loop.high - loop.low)
        zero = loop.low - LIVE_ZERO_MA * COUNTS_PER_MA / scale
        ends = LOWEST_MA * COUNTS_PER_MA, HIGHEST_MA * COUNTS_PER_MA
        loops[number] = (CHANNEL_INDEX[loop.channel], 0, zero, scale, *ends)
    contacts["channel"] = [CHANNEL_INDEX[name] for name in CONTACTS]
    return loops, contacts, np.array([ACTUATOR_INDEX[name] for name in COILS], np.int64)


def _points(kind: int, signals: list[int], numbers: list[int] | None = None) -> Table:
    points = np.zeros(len(signals), POINT)
    points["kind"], points["signal"], points["put_ns"] = kind, signals, LONG_AGO
    points["number"] = numbers if numbers is not None else range(len(signals))
    points["last"] = np.nan
    return points


def _shown(plan: BoardPlan) -> Table:
    driven = [(row.channel, row.driven_signal) for row in plan.channels if row.driven_signal >= 0]
    return np.concatenate([
        _points(kind, [signal for _, signal in found], [number for number, _ in found])
        for kind, found in ((ANALOG, plan.analog), (CONTACT, plan.digital), (COIL, driven))
    ])  # fmt: skip


def _channels(plan: BoardPlan) -> Table:
    rows = [(row.channel, row.output, row.lease_ms, 0, -1, 0, 0, 0, row.scale)
            for row in plan.channels]  # fmt: skip
    return np.array(rows, CHANNEL)


def _rows(plan: BoardPlan) -> Table:
    rows = [(row.row, row.cause, 0, LONG_AGO, -1, row.bypassable) for row in plan.rows]
    return np.array(rows, ROW)


def _given(plan: BoardPlan) -> Table:
    return np.array([(row.board_signal, row.signal, row.dated) for row in plan.given], GIVEN)


def _status_of(plan: BoardPlan) -> np.dtype[Any]:
    """STATUS as this table makes it: with so many analog inputs and rows."""
    head = [(name, f"<{_KINDS[part.code]}") for name, part in layout(Status).parts
            if isinstance(part, Number)]  # fmt: skip
    analog = [(name, f"<{_KINDS[part.code]}") for name, part in layout(Analog).parts
              if isinstance(part, Number)]  # fmt: skip
    table = Header.unpack(plan.table[: layout(Header).fixed])
    return np.dtype([
        *head, ("n_analog", "u1"), ("analog", analog, (table.n_analog,)),
        ("n_rows", "u1"), ("rows", "u1", (table.n_causes,)),
    ])  # fmt: skip


_KINDS = {"B": "u1", "H": "u2", "I": "u4", "Q": "u8", "d": "f8"}
