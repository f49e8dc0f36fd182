"""What a case needs of the unit under test, live or in virtual time: hands, desk, device side, log.

A module because a case must not know how it is executed: the same steps run over terminals and an
OPC UA session at the wall's pace, or byte by byte in memory in virtual time.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from controller.core.errors import CellwrightError
from controller.profile.compile import Profile
from hil_sim.plant.state import CHANNELS
from hil_sim.qualification.plant_state import (
    ALWAYS_FORCED,
    NORMAL,
    OUTPUTS,
    RATES,
    drive_of,
)

NS_PER_S = 1_000_000_000
Row = dict[str, Any]
RAMP_S = 0.2  # between two small steps of an instrument
RAMP_SHARE = 0.38  # of what its rate allows in that time: a poll may see one step in 0.1 s
SETTLE_S = 40.0  # until every output was written: pumps are written every 5 s
AGAIN_S = 7.0
ROUNDS_MAX = 4  # a row may trip again on the way back to normal, not for ever
LIVE, VIRTUAL = "live", "virtual"
ASKS_S = 5.0
PUMP_ADDRESS = {"feed": 1, "perfusate": 2, "base": 3}


class BenchFailure(CellwrightError):
    """The unit under test could not be brought into the state a case begins with."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What came in at a device: bytes of a serial line, or a write to the skid with its status."""

    line: str
    mono_ns: int
    data: str
    status: int = 0

    def text(self) -> str:
        """One line of evidence."""
        return f"{self.mono_ns} {self.line} {self.data}"


class Bench(ABC):
    """The unit under test. Times are of its own monotonic clock, in ns."""

    fidelity: str
    profile: Profile
    state: Path
    spent = False  # it cannot be brought back: the next case gets another

    # -- time -------------------------------------------------------------------------------

    @property
    @abstractmethod
    def now_ns(self) -> int:
        """Its monotonic clock."""

    @abstractmethod
    def wait(self, seconds: float) -> None:
        """Lets time pass."""

    def until(self, condition: Callable[[], Any], timeout_s: float, every_s: float = 0.1) -> Any:
        """The first true value of `condition`, or its last when the time is over."""
        end_ns = self.now_ns + round(timeout_s * NS_PER_S)
        while True:
            found = condition()
            if found or self.now_ns >= end_ns:
                return found
            self.wait(every_s)

    # -- the device side --------------------------------------------------------------------

    @abstractmethod
    def show(self, values: Mapping[str, float]) -> None:
        """From now on instruments show these values, by channel."""

    @abstractmethod
    def unforce(self, channels: Sequence[str]) -> None:
        """Instruments show what is there again."""

    @abstractmethod
    def fault(self, name: str, on: bool, **how: Any) -> None:
        """Switches a fault of the devices or their lines."""

    @abstractmethod
    def drives(self) -> dict[str, float]:
        """What each device does with its output, by drive."""

    @abstractmethod
    def sent(self, since_ns: int) -> list[Sent]:
        """What came in at the devices since then."""

    # -- the desk and the record --------------------------------------------------------------

    @abstractmethod
    def ask(self, *requests: Mapping[str, str]) -> None:
        """Puts requests at the desk: verb, target, value, reason."""

    @abstractmethod
    def rows(self) -> list[Row]:
        """Every record of station and batch so far, oldest first."""

    @abstractmethod
    def silence_supervisor(self, seconds: float) -> None:
        """The supervisor does nothing for so long."""

    @abstractmethod
    def logs(self) -> list[Path]:
        """The log directories, with everything so far in them."""

    @abstractmethod
    def close(self) -> None:
        """Ends the unit under test."""

    # -- what follows from these --------------------------------------------------------------

    _shown: dict[str, float]
    _faults: dict[tuple[str, str], dict[str, Any]]

    def _begin(self) -> None:
        self._shown, self._faults = dict(NORMAL), {}

    def force(self, within: Mapping[str, float] | None = None, /, **channels: float) -> int:
        """Instruments go to these values, no faster than they may; returns when the last step was.

        What cannot move by itself at such a rate would be taken for broken, as it should be. A step
        of at most `within` (by channel) is taken at once.
        """
        goal = dict(channels)
        while True:
            step, done = {}, True
            for name, wanted in goal.items():
                rate, now = RATES.get(name), self._shown.get(name)
                if rate is None or now is None:
                    step[name] = wanted
                    continue
                room = max(rate * RAMP_S * RAMP_SHARE, (within or {}).get(name, 0.0))
                step[name] = now + max(-room, min(room, wanted - now))
                done = done and abs(step[name] - wanted) < 1e-9
            at_ns = self.now_ns
            self.show(step)
            self._shown.update(step)
            if done:
                return at_ns
            self.wait(RAMP_S)

    def spoil(self, point: str, on: bool = True) -> int:
        """The device behind a signal says that it is bad; returns when."""
        at_ns = self.now_ns
        if point in ("ST_FEED", "ST_PERF", "ST_BASE"):
            self.hurt("line_silent", on, link="pump_bus")
        elif board := self._contact_of(point):
            self.hurt("line_silent", on, link=board)
        else:
            self.hurt("bad_quality", on, point=point)
        return at_ns

    def _contact_of(self, tag: str) -> str:
        """The line of the I/O board that shows this tag as a contact, or whether it has lapsed: no
        such tag turns bad by itself, only its whole board falls silent. "" for any other tag."""
        signal = self.profile.index.get(tag, -1)
        for link in self.profile.links:
            board = link.board
            if board is not None and signal in (
                board.lapse_signal, *(number for _, number in board.digital)
            ):
                return link.name
        return ""

    def hurt(self, name: str, on: bool = True, **how: Any) -> int:
        """Switches a fault; what is on is switched off before the next case."""
        at_ns = self.now_ns
        self.fault(name, on, **how)
        key = (name, str(how.get("link") or how.get("point") or how.get("pump") or ""))
        if on:
            self._faults[key] = how
        else:
            self._faults.pop(key, None)
        return at_ns

    def since(self, at_ns: int, *events: str, **data: Any) -> list[Row]:
        """Records of some kinds since an instant, whose fields have these values."""
        return [
            row for row in self.rows()
            if int(row["mono_ns"]) >= at_ns and row["event"] in events
            and all(row["data"].get(key) == value for key, value in data.items())
        ]  # fmt: skip

    def at_device(self, output: str) -> float:
        """What the device does with an output now, canonical unit."""
        name, per_unit = drive_of(output)
        return self.drives()[name] / per_unit

    def told(self, pump: str, since_ns: int) -> float | None:
        """What a pump was told last since then: 0 to stop, else not 0; None when nothing."""
        head = f"{PUMP_ADDRESS[pump]}"
        found = None
        for one in self.sent(since_ns):
            if one.line != "pump_bus":
                continue
            for word in bytes.fromhex(one.data).decode("ascii", "replace").split("\r"):
                if word == f"{head}ST":
                    found = 0.0
                elif word == f"{head}GO":
                    found = 1.0
        return found

    def standing(self) -> dict[str, str]:
        """Rows in force as the records tell: `active` or `latched`, by row."""
        found: dict[str, str] = {}
        for row in self.rows():
            data, event = row["data"], row["event"]
            if event == "cause.active":
                found[data["row"]] = "active"
            elif event == "cause.cleared":
                if data["latched"]:
                    found[data["row"]] = "latched"
                else:
                    found.pop(data["row"], None)
            elif event == "cause.reset":
                found.pop(data["row"], None)
        return found

    @property
    def procedure(self) -> str:
        """The state of the procedure as recorded last."""
        for row in reversed(self.rows()):
            if row["event"] == "procedure.state" and row["data"]["level"] == "procedure":
                return str(row["data"]["new"])
        return ""

    def answer(self, verb: str, target: str, value: str = "", reason: str = "") -> tuple[str, str]:
        """Asks one thing and returns (applied, refused .. and why), as the record says."""
        at_ns = self.now_ns
        self.ask({"verb": verb, "target": target, "value": value, "reason": reason})

        def found() -> tuple[str, str] | None:
            for row in self.since(at_ns, "command.refused", verb=verb, target=target):
                return "refused", str(row["data"]["why"])
            for row in self.since(at_ns, "command.intent", verb=verb, target=target):
                for end in self.since(at_ns, "command.outcome", id=row["data"]["id"]):
                    return str(end["data"]["result"]), str(end["data"]["why"])
            return None

        return self.until(found, ASKS_S) or ("no answer", "")

    # -- the state a case begins with -----------------------------------------------------------

    def normal(self, outputs: bool = True) -> None:
        """Instruments normal, nothing latched, procedure Running, outputs as OUTPUTS says.

        Raises BenchFailure when the unit cannot be brought there.
        """
        for (name, _), how in list(self._faults.items()):
            self.hurt(name, False, **how)
        odd = [c for c in self._shown if c not in ALWAYS_FORCED and c in CHANNELS]
        self.unforce(odd)
        for channel in odd:
            self._shown.pop(channel)
        self.force(**NORMAL)
        unit = self.profile.model.unit
        present = self._flags()
        self.ask(*({"verb": "set_flag", "target": name, "value": "0", "reason": "normal state"}
                   for name in self.profile.model.flags
                   if name not in (unit.held, unit.guard, unit.restarted)
                   and present.get(name) != "0"))  # fmt: skip
        for _ in range(ROUNDS_MAX):
            self._clear()
            if not outputs or self._outputs():
                return
        raise BenchFailure(
            f"the unit trips again and again at normal values: {self.procedure}, "
            f"rows {self.standing()}"
        )

    @property
    def _at_rest(self) -> bool:
        return not self.standing() and self.procedure == "Running"

    def _outputs(self) -> bool:
        """Asks for every output that is elsewhere, again until it is there.

        False when a row trips meanwhile: an instrument's way back to normal can be a cause of its
        own, seconds after all looked clear, and what a row holds no request moves.
        """
        end_ns = self.now_ns + round(SETTLE_S * NS_PER_S)
        while off := self._off():
            if self.now_ns >= end_ns:
                raise BenchFailure(f"outputs are not as they were asked: {', '.join(off.values())}")
            self.ask(*({"verb": "set_output", "target": name, "value": f"{OUTPUTS[name]:g}"}
                       for name in off))  # fmt: skip
            self.until(lambda: not self._at_rest or not self._off(), AGAIN_S, 0.2)
            if not self._at_rest:
                return False
        return self._at_rest

    def _flags(self) -> dict[str, str]:
        """What the record says of the flags: the last applied command on each."""
        applied = {row["data"]["id"] for row in self.rows() if row["event"] == "command.outcome"
                   and row["data"]["result"] == "applied"}  # fmt: skip
        found: dict[str, str] = {}
        for row in self.rows():
            data = row["data"]
            if row["event"] == "command.intent" and data["verb"] == "set_flag" and (
                data["id"] in applied
            ):
                found[data["target"]] = "1" if data["new"] in ("1", "true", "1.0") else "0"
        return found

    def _off(self) -> dict[str, str]:
        """Outputs that are not at their normal value, each in words."""
        drives = self.drives()
        found: dict[str, str] = {}
        for output, wanted in OUTPUTS.items():
            name, per_unit = drive_of(output)
            if abs(drives[name] / per_unit - wanted) > 0.02 * abs(wanted) + 1e-3:
                found[output] = f"{output} is {drives[name] / per_unit:.3g}, not {wanted:g}"
        return found

    def _clear(self) -> None:
        """Resets what latched and restarts a held procedure."""

        def clear() -> bool:
            standing = self.standing()
            latched = [row for row, how in standing.items() if how == "latched"]
            held = self.procedure == "Held"
            if latched:
                self.ask(*({"verb": "reset", "target": row, "reason": "cause removed"}
                           for row in latched))  # fmt: skip
            elif held and not standing:
                self.ask({"verb": "restart", "target": "procedure", "reason": "as it was before"})
            if latched or held:
                self.wait(0.3)
            return self._at_rest

        if not self.until(clear, self.clear_s, 0.2):
            raise BenchFailure(
                f"the unit does not come to rest: {self.procedure}, rows {self.standing()}"
            )

    @property
    def clear_s(self) -> float:
        """How long causes may take to go: in virtual time also the longest off-delay."""
        return 90.0 if self.fidelity == LIVE else 1_300.0
