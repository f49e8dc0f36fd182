"""The kernel's own functions without numba, in a process of its own: what plain Python costs.

Rows are slotted objects, the fastest Python has, instead of numpy records. The process reads
`FIRST_NS COUNT` a line and answers with the nanoseconds those scans took and a digest of the
outputs, so that its rounds can alternate with the others'.
"""

from __future__ import annotations

import importlib
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO, Any

# What the kernel takes from numpy for the compiler's sake, as plain Python has it.
PLAIN: dict[str, Any] = {"at": int, "floor": math.floor}
WORD = 8  # bytes of every field


def _row_class(dtype: Any) -> type:
    """A class with one slot a field."""
    return type("Row", (), {"__slots__": dtype.names})


class Rows(list[Any]):
    """A table as a list of slotted objects; `names` in the order of the fields."""

    names: tuple[str, ...] = ()


class Grid:
    """A two-dimensional table, read and written by `[row, column]`."""

    def __init__(self, rows: list[Any]) -> None:
        self._rows = rows

    def __getitem__(self, place: tuple[int, int]) -> Any:
        return self._rows[place[0]][place[1]]

    def __setitem__(self, place: tuple[int, int], value: Any) -> None:
        self._rows[place[0]][place[1]] = value


def as_objects(table: Any) -> Any:
    """A numpy table as plain Python objects that the kernel's functions can run on."""
    if table.dtype.names is None:
        return Grid(table.tolist()) if table.ndim == 2 else table.tolist()
    kind = _row_class(table.dtype)

    def row(values: tuple[Any, ...]) -> Any:
        made = kind()
        for name, value in zip(table.dtype.names, values, strict=True):
            setattr(made, name, value)
        return made

    if table.ndim == 2:
        return Grid([[row(values) for values in line] for line in table.tolist()])
    made = Rows(row(values) for values in table.tolist())
    made.names = table.dtype.names
    return made


def without_intrinsics() -> None:
    """Puts plain functions in the place of the shared words, before anything imports them."""
    from controller.field import atomic, jit

    def load(table: Rows, offset: int) -> Any:
        row, place = divmod(offset // WORD, len(table.names))
        return getattr(table[row], table.names[place])

    def store(table: Rows, offset: int, value: Any) -> None:
        row, place = divmod(offset // WORD, len(table.names))
        setattr(table[row], table.names[place], value)

    vars(jit).update({name: plain for name, plain in PLAIN.items() if name in vars(jit)})
    with suppress(ImportError):
        hint = importlib.import_module("controller.field.hint")
        vars(hint)["rare"] = lambda condition: condition
    atomic.load, atomic.store = load, store
    atomic.fence_acquire = atomic.fence_release = lambda: None


def serve(loops: int, causes: int, lines: IO[str]) -> None:
    """Runs the scans that `lines` ask for; numba must be switched off in this process."""
    import time

    without_intrinsics()
    from controller.field import kernel
    from controller.profile.plan import Plan
    from hil_sim.bench.units import PERIOD_NS, plan_of, unit_of

    unit = unit_of(plan_of(loops, causes))
    plan = Plan(*(as_objects(table) for table in unit.bound.plan))
    image = type(unit.bound.image)(*(as_objects(table) for table in unit.bound.image))
    # Nothing has an address here: the two themselves go through where handles would.
    tables: Any = (plan, image)
    vars(kernel).update(plan_at=lambda handles: handles[0], image_at=lambda handles: handles[1])
    feed = unit.feed.tolist()
    head = image.head[0]
    for line in lines:
        now_ns, count = map(int, line.split())
        start = time.thread_time_ns()
        for _ in range(count):
            now_ns += PERIOD_NS
            for link, samples in enumerate(feed):
                image.input_rings[link].head += samples
            kernel.scan_at(tables, now_ns)
            head.event_tail = head.event_head
            head.history_tail = head.history_head
        took = time.thread_time_ns() - start
        total = sum(output.released for output in image.outputs)
        sys.stdout.write(f"{took} {head.event_head} {total!r}\n")
        sys.stdout.flush()


@dataclass(frozen=True, slots=True)
class Answer:
    """What one call of the interpreted scans took, and what it came to."""

    took_ns: int
    events: int
    released: float


class Interpreted:
    """The process that runs the scans without numba."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def scans(self, now_ns: int, count: int) -> Answer:
        """`count` scans after `now_ns`; raises OSError when the process is gone."""
        if self._process.stdin is None or self._process.stdout is None:
            raise OSError("the interpreted scan has no pipes")
        self._process.stdin.write(f"{now_ns} {count}\n")
        self._process.stdin.flush()
        words = self._process.stdout.readline().split()
        if len(words) != 3:
            raise OSError("the interpreted scan ended; run it by hand to see why")
        return Answer(int(words[0]), int(words[1]), float(words[2]))


@contextmanager
def interpreted(loops: int, causes: int) -> Iterator[Interpreted]:
    """Starts the process for one unit and ends it."""
    command = [sys.executable, "-m", "hil_sim.bench.interpreted", str(loops), str(causes)]
    process = subprocess.Popen(  # noqa: S603 - this interpreter, our own module
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env=os.environ | {"NUMBA_DISABLE_JIT": "1"},
    )  # fmt: skip
    try:
        yield Interpreted(process)
    finally:
        process.kill()
        process.communicate()


if __name__ == "__main__":
    serve(int(sys.argv[1]), int(sys.argv[2]), sys.stdin)
