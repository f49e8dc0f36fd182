"""The names of one unit while it is compiled: signals, blocks, loops, outputs and their indices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from controller.core.errors import BadInput, nearest
from controller.core.quantity import CANONICAL, canonical, unit_factor
from controller.core.signal import Tag
from controller.core.yamltext import Document
from controller.profile.plan import WINDOWED, BlockOp, SignalKind
from controller.profile.unit import Actuator, Block, Of, UnitModel

WINDOW_BUCKETS = 58  # image.BUCKETS less the running one and one of slack
AGE_RANGE_S = 1e9
DERIVED_NAME_MAX = 120
TIME_NS_MAX = 366 * 86_400 * 1_000_000_000
PERIOD_NS_MIN, PERIOD_NS_MAX = 1_000_000, 1_000_000_000  # of the scan
SUPERVISOR_AGE = "supervisor.age"


def ns(text: str) -> int:
    """A duration as whole nanoseconds; raises ValueError."""
    return round(canonical(text, "time") * 1e9)


class Scope:
    """Collects signals in index order and resolves names with a hint when one is unknown."""

    def __init__(self, document: Document, model: UnitModel) -> None:
        self.document, self.model = document, model
        self.tags: list[Tag] = []
        self.names: list[str] = []
        self.index: dict[str, int] = {}
        self.signal_rows: list[dict[str, Any]] = []
        self.term_rows: list[dict[str, Any]] = []
        self.segment_rows: list[dict[str, Any]] = []
        self._link_of: dict[str, str] = {}
        self._readback: dict[str, int] = {}
        self._windows = 0
        self._derived_blocks: list[dict[str, Any]] = []
        self.told: dict[str, int] = {}  # row -> the signal by which a board tells that it stands
        self.period_ns = self.duration(model.unit.period, "unit", "period")
        if not PERIOD_NS_MIN <= self.period_ns <= PERIOD_NS_MAX:
            raise self.error(
                f"a scan every {model.unit.period} is not possible: 1 ms to 1 s", "unit", "period"
            )

    def error(self, what: str, *path: str | int) -> BadInput:
        """A BadInput at a node of the unit file."""
        return self.document.error(what, *path)

    def canonical_unit(self, unit: str, *path: str | int) -> str:
        """The canonical unit of a unit's dimension."""
        try:
            return CANONICAL[unit_factor(unit)[0]]
        except ValueError as error:
            raise self.error(str(error), *path, "unit") from None

    def plain_unit(self, unit: str, *path: str | int) -> str:
        """The unit of something whose numbers are not converted: it must be the canonical one."""
        canonical_unit = self.canonical_unit(unit, *path)
        if unit != canonical_unit:
            raise self.error(f"give it in {canonical_unit}, not in {unit}", *path, "unit")
        return canonical_unit

    def rate(self, text: str, *path: str | int) -> float:
        """`0.5 /s` -> 0.5, in the thing's own canonical unit per second; empty = no limit."""
        if not text:
            return 0.0
        number, _, unit = text.partition(" ")
        try:
            value = float(number)
        except ValueError:
            value = -1.0
        if unit != "/s" or not 0.0 < value < 1e9:
            raise self.error(f"rate {text!r} must be a number above 0 and /s", *path, "rate")
        return value

    def duration(self, text: str, *path: str | int) -> int:
        """A duration in ns, with the place of a wrong one."""
        try:
            value = ns(text)
        except ValueError as error:
            raise self.error(str(error), *path) from None
        if value < 0:
            raise self.error(f"{text!r} is negative", *path)
        if value > TIME_NS_MAX:
            raise self.error(f"{text!r} is longer than a year", *path)
        return value

    def delay(self, text: str, *path: str | int) -> int:
        """A time that something must last, in ns: none, or at least one scan."""
        value = self.duration(text, *path)
        if 0 < value < self.period_ns:
            raise self.error(
                f"{text!r} is shorter than a scan ({self.model.unit.period}): it could not be told "
                "from none", *path
            )  # fmt: skip
        return value

    def add(
        self, tag: Tag, kind: SignalKind, max_age_ns: int, rate: float, *path: str | int
    ) -> int:
        """Gives a signal its index; a name may stand only once in the whole unit."""
        if tag.name in self.index:
            raise self.error(f"duplicate name {tag.name!r}", *path)
        position = len(self.names)
        self.index[tag.name] = position
        self.names.append(tag.name)
        self.tags.append(tag)
        self.signal_rows.append(
            {"kind": int(kind), "start": 0, "max_age_ns": max_age_ns,
             "low": tag.low, "high": tag.high, "rate_max": rate}
        )  # fmt: skip
        return position

    def add_derived(self) -> None:
        """Blocks, flags, actuators, setpoints, demands, ages of links and supervisor, in order."""
        model = self.model
        for name, block in model.blocks.items():
            unit = self.plain_unit(block.unit, "blocks", name)
            self._derived(name, unit, SignalKind.BLOCK, block.title, "blocks", name)
        for name, flag in model.flags.items():
            self._derived(name, "1", SignalKind.FLAG, flag.title, "flags", name)
            self.signal_rows[-1]["start"] = int(flag.start)
        for name, actuator in model.actuators.items():
            unit = self.plain_unit(actuator.unit, "actuators", name)
            self._derived(name, unit, SignalKind.OUTPUT, name, "actuators", name)
        for name, loop in model.loops.items():
            unit = self.unit_of(loop.pv, "loops", name, "pv")
            self._derived(f"{name}.sp", unit, SignalKind.SETPOINT, loop.title, "loops", name)
            self._derived(f"{name}.op", "%", SignalKind.DEMAND, loop.title, "loops", name)
        for name in model.links:
            self._derived(f"{name}.age", "s", SignalKind.LINK_AGE, "silence", "links", name)
        title = "Time since the supervisor's last beat"
        self._derived(SUPERVISOR_AGE, "s", SignalKind.SUPERVISOR_AGE, title, "unit")
        for name in model.loops:
            title = f"1 while {name} is in auto or cascade"
            self._derived(f"{name}.auto", "1", SignalKind.MODE, title, "loops", name)
        for name, actuator in model.actuators.items():
            unit = self.plain_unit(actuator.unit, "actuators", name)
            title = f"{name} as commands ask"
            self._derived(f"{name}.asked", unit, SignalKind.ASKED, title, "actuators", name)

    def _derived(self, name: str, unit: str, kind: SignalKind, title: str, *path: str) -> None:
        self.add(Tag(name, unit, -AGE_RANGE_S, AGE_RANGE_S, title), kind, 0, 0.0, *path)

    def resolve(self, name: str, *path: str | int) -> int:
        """Index of a signal by name."""
        if name not in self.index:
            raise self.error(f"unknown tag {name!r}. {nearest(name, self.names)}", *path)
        return self.index[name]

    def unit_of(self, name: str, *path: str | int) -> str:
        """Canonical unit of a signal; a loop may name a block that comes later."""
        if name in self.model.blocks:
            return self.canonical_unit(self.model.blocks[name].unit, *path)
        return self.tags[self.resolve(name, *path)].unit

    def actuator(self, name: str, *path: str | int) -> int:
        """Index of an output by name."""
        known = list(self.model.actuators)
        if name not in known:
            raise self.error(f"unknown actuator {name!r}. {nearest(name, known)}", *path)
        return known.index(name)

    def claim(self, link: str, actuators: Mapping[str, str | None]) -> None:
        """Notes which link writes which actuators, and the tag each is read back by."""
        for name, tag in actuators.items():
            self._link_of[name] = link
            if tag is not None:
                self._readback[name] = self.index[tag]

    # -- table rows -------------------------------------------------------------------------

    def block_rows(self) -> list[dict[str, Any]]:
        """One row a block, operands resolved."""
        declared = [self._block_row(name, block) for name, block in self.model.blocks.items()]
        return declared + self._derived_blocks

    def derive(
        self, op: BlockOp, name: str, unit: str, a: int, b: int, over: str, p0: float, p1: float,
        *path: str | int,
    ) -> int:  # fmt: skip
        """Adds a block that a condition needs, after all others; its signal is called `name`."""
        if len(name) > DERIVED_NAME_MAX:
            raise self.error(f"{name!r} is longer than {DERIVED_NAME_MAX} letters", *path)
        target = self.add(Tag(name, unit, -AGE_RANGE_S, AGE_RANGE_S, name), SignalKind.BLOCK, 0,
                          0.0, *path)  # fmt: skip
        row: dict[str, Any] = {
            "op": int(op), "target": target, "a": a, "b": b, "first_term": -1, "n_terms": 0,
            "window": -1, "bucket_ns": 0, "lag": 0, "p0": p0, "p1": p1,
        }  # fmt: skip
        if over:
            self._window(row, over, path)
        self._derived_blocks.append(row)
        return target

    def _window(self, row: dict[str, Any], over: str, path: tuple[str | int, ...]) -> None:
        window = self.delay(over, *path)
        if window == 0:
            raise self.error("a window needs a time", *path)
        bucket = max(window // WINDOW_BUCKETS, self.period_ns)
        row["window"], self._windows = self._windows, self._windows + 1
        row["bucket_ns"], row["lag"] = bucket, -(-window // bucket)

    def _block_row(self, name: str, block: Block) -> dict[str, Any]:
        row: dict[str, Any] = {
            "op": -1, "target": self.index[name], "a": -1, "b": -1, "first_term": -1,
            "n_terms": 0, "window": -1, "bucket_ns": 0, "lag": 0, "p0": 0.0, "p1": 0.0,
        }  # fmt: skip
        given = [k for k in _KEY if getattr(block, _KEY[k]) is not None]
        if len(given) != 1:
            raise self.error("a block needs exactly one operation", "blocks", name)
        key = _KEY[given[0]]
        row["op"] = int(BlockOp[given[0]])
        value = getattr(block, key)
        path = ("blocks", name, key)
        if isinstance(value, tuple):
            row["a"], row["b"] = (self.resolve(part, *path) for part in value)
            row["p0"] = block.above
        elif isinstance(value, dict):
            row["first_term"], row["n_terms"] = len(self.term_rows), len(value)
            for operand, weight in value.items():
                place = self.resolve(operand, *path, operand)
                self.term_rows.append({"signal": place, "weight": weight})
        else:
            self._scaled_block(row, value, path)
        for operand in (row["a"], row["b"]):
            kind = self.signal_rows[operand]["kind"] if operand >= 0 else SignalKind.INPUT
            if kind == SignalKind.BLOCK and operand >= row["target"]:
                raise self.error(f"{self.names[operand]} must be computed before {name}", *path)
        return row

    def _scaled_block(self, row: dict[str, Any], value: Of, path: tuple[str, ...]) -> None:
        row["a"] = self.resolve(value.of, *path, "of")
        row["p0"], row["p1"] = value.gain, value.offset
        if row["op"] == BlockOp.LAG:
            row["p0"] = self.duration(value.time or "0 s", *path) * 1e-9
        if row["op"] == BlockOp.HOLD:
            row["p0"] = self.delay(value.time or "0 s", *path) * 1e-9
        if row["op"] in WINDOWED:
            if value.over is None:
                raise self.error("a window needs `over`", *path)
            self._window(row, value.over, (*path, "over"))
            row["p0"] = value.until_full or 0.0
            row["p1"] = float(value.until_full is not None or row["op"] == BlockOp.SPREAD)

    def _drivers(self) -> dict[str, int]:
        """Which loop drives which actuator; two loops on one would fight."""
        found: dict[str, int] = {}
        for number, (name, loop) in enumerate(self.model.loops.items()):
            for place, part in enumerate(loop.segments):
                if found.setdefault(part.actuator, number) != number:
                    other = list(self.model.loops)[found[part.actuator]]
                    raise self.error(
                        f"{part.actuator} is already driven by {other}",
                        "loops", name, "segments", place,
                    )  # fmt: skip
        return found

    def output_rows(self) -> list[dict[str, Any]]:
        """One row an actuator."""
        loops = self._drivers()
        links = list(self.model.links)
        rows = []
        for name, item in self.model.actuators.items():
            path = ("actuators", name)
            low, high = item.range
            if not low < high:
                raise self.error(f"range {low:g} to {high:g} is not a range", *path, "range")
            if not (low <= item.start <= high and low <= item.safe <= high):
                raise self.error("start and safe must be inside the range", *path)
            rows.append(
                {"signal": self.index[name], "link": links.index(self._link_of[name]),
                 "loop": loops.get(name, -1), "interval_ns": self.duration(item.every, *path),
                 "environment": int(item.environment), "higher_wins": int(item.winner == "higher"),
                 "read_back": int(self._is_read_back(name, item)),
                 "readback": self._readback.get(name, -1), "asked": self.index[f"{name}.asked"],
                 "low": low, "high": high, "resolution": item.resolution,
                 "rate_max": self.rate(item.rate, *path),
                 "start": item.start, "safe": item.safe,
                 "keep": low + item.resolution if item.keep is None else item.keep}
            )  # fmt: skip
        return rows

    def _is_read_back(self, name: str, item: Actuator) -> bool:
        """Whether an actuator goes on as its device says; then a fit tag must read it back."""
        if (item.restart or _RESTART[item.environment]) != "read_back":
            return False
        if name not in self._readback:
            raise self.document.error(
                f"{name} is to go on as it is read back, but no tag reads it back",
                "actuators", name,
                do=f"Bind the point that verifies the write of {name} to a tag under its "
                "device's `tags`, or say `restart: start`.",
            )  # fmt: skip
        tag = self.tags[self._readback[name]]
        if tag.unit != item.unit or not (tag.low <= item.range[0] and item.range[1] <= tag.high):
            raise self.document.error(
                f"{name} can be anywhere in {item.range[0]:g} to {item.range[1]:g} {item.unit}, "
                f"but {tag.name}, which reads it back, is good only in {tag.low:g} to "
                f"{tag.high:g} {tag.unit}", "tags", tag.name, "range",
            )  # fmt: skip
        return True

    def link_rows(self) -> list[dict[str, Any]]:
        """One row a link."""
        return [
            {"age_signal": self.index[f"{name}.age"]} for name in self.model.links
        ]

    def unit_rows(self) -> list[dict[str, Any]]:
        """The single row about the unit."""
        head = self.model.unit
        restarted = self.flag(head.restarted, "unit", "restarted") if head.restarted else -1
        return [
            {"period_ns": self.period_ns, "guard_flag": self.flag(head.guard, "unit", "guard"),
             "held_flag": self.flag(head.held, "unit", "held"), "restarted_flag": restarted,
             "supervisor_signal": self.index[SUPERVISOR_AGE]}
        ]  # fmt: skip

    def flag(self, name: str, *path: str | int) -> int:
        """Index of a flag by name."""
        if name not in self.model.flags:
            known = list(self.model.flags)
            raise self.error(f"unknown flag {name!r}. {nearest(name, known)}", *path)
        return self.index[name]

    def validity(self, name: str, *path: str | int) -> int:
        """Index of what a row may be valid in: a flag, or a loop in automatic (`LOOP.auto`)."""
        loop, _, mode = name.rpartition(".")
        if mode == "auto" and loop in self.model.loops:
            return self.index[name]
        return self.flag(name, *path)


_RESTART = {True: "read_back", False: "start"}
_KEY = {
    "LINEAR": "linear",
    "DIFF": "difference",
    "ABSDIFF": "absolute_difference",
    "RATIO": "ratio",
    "ELSE": "otherwise",
    "SUM": "sum",
    "TOTAL": "total",
    "RISE": "rise",
    "LOWEST": "lowest",
    "SPREAD": "spread",
    "LAG": "lag",
    "HIGHEST": "highest",
    "MEAN": "mean",
    "HOLD": "hold",
}
