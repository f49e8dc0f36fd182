"""What a scan costs, beside the same algorithm in C, numpy, plain Python and beside simple-pid.

All run the same units from the same start. A round runs every implementation once, in an order
of its own, so that a slow minute of the machine meets all of them and none is always next to
another. Counted is the thread's time on the CPU, not that of others.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from statistics import median
from typing import Any

from controller.core.clock import NS_PER_S
from hil_sim.bench import c_scan
from hil_sim.bench.interpreted import interpreted
from hil_sim.bench.numpy_scan import NumpyScan
from hil_sim.bench.result import Result
from hil_sim.bench.scans import numba_scans
from hil_sim.bench.units import PERIOD_NS, plan_of, unit_of

LOOPS = (1, 64, 1024)
CAUSES = (64, 1024, 4096)
COMPLETE = (1, 1024, True)
WARM_SCANS = 200
ROUND_NS = 40_000_000  # what one implementation may take of a round
SCANS_WARM, SCANS_MAX = 2, 20_000
PYTHON_MAX = 64 * 1024  # loops x causes, beyond which plain Python only takes long
WITHOUT_SIMPLE_PID = "simple-pid is not installed"

Row = dict[str, Any]
Runner = Callable[[int], int]
"""Runs so many scans and returns the nanoseconds they took."""


def _timed(call: Callable[[int, int], int]) -> Runner:
    """A runner over `call(now_ns, count) -> now_ns`, whose time goes on from call to call."""
    now_ns = 0

    def run(count: int) -> int:
        nonlocal now_ns
        start = time.thread_time_ns()
        now_ns = call(now_ns, count)
        return time.thread_time_ns() - start

    return run


def _simple_pid(loops: int) -> Runner | None:
    """`loops` updates of simple-pid a scan, None without the package. It has no causes."""
    try:
        from simple_pid import PID
    except ImportError:
        return None
    made = [PID(2.0, 0.1, 1.0, setpoint=50.0, sample_time=None, output_limits=(0, 100))
            for _ in range(loops)]  # fmt: skip

    def run(count: int) -> int:
        start = time.thread_time_ns()
        for scan in range(count):
            value = 49.0 + scan % 3
            for pid in made:
                pid(value, PERIOD_NS * 1e-9)
        return time.thread_time_ns() - start

    return run


@contextmanager
def runners(loops: int, causes: int, complete: bool = False) -> Iterator[dict[str, Runner]]:
    """Every implementation that can run one unit, by its name in the rows.

    Complete causes are run by the kernel and by C only: the others have not all of a row.
    """
    plan = plan_of(loops, causes, complete=complete)
    ours, in_c = unit_of(plan), unit_of(plan)
    found: dict[str, Runner] = {
        "cellwright": _timed(
            lambda now, n: int(numba_scans(ours.bound.handles, now, PERIOD_NS, n, ours.feed))
        ),
        "c": _timed(c_scan.prepared(in_c.bound, PERIOD_NS, in_c.feed)),
    }
    if complete:
        yield found
        return
    vectors = NumpyScan(unit_of(plan))
    found["numpy"] = _timed(lambda now, n: vectors.scans(now, PERIOD_NS, n, ours.feed))
    with ExitStack() as stack:
        if loops * causes <= PYTHON_MAX:
            plain = stack.enter_context(interpreted(loops, causes))
            now_ns = 0

            def run_python(count: int) -> int:
                nonlocal now_ns
                answer = plain.scans(now_ns, count)
                now_ns += count * PERIOD_NS
                return answer.took_ns

            found["python"] = run_python
        alone = _simple_pid(loops)
        if alone is not None:
            found["simple-pid"] = alone
        yield found


def _scans_a_round(runner: Runner, round_ns: int) -> int:
    """How many scans of a runner fill its part of a round; the first calls also warm it."""
    runner(SCANS_WARM)
    took = max(runner(SCANS_WARM) // SCANS_WARM, 1)
    return min(max(round_ns // took, 1), SCANS_MAX)


def measure(
    loops: int, causes: int, rounds: int, round_ns: int, complete: bool = False
) -> list[Row]:
    """Rows of one unit: nanoseconds a scan and the ratio to C, both medians over the rounds."""
    case = f"{loops}x{causes}{' complete' if complete else ''}"
    spent: dict[str, list[float]] = {}
    with runners(loops, causes, complete) as found:
        for name in {"cellwright", "c", "numpy"} & set(found):
            found[name](WARM_SCANS)
        counts = {name: _scans_a_round(runner, round_ns) for name, runner in found.items()}
        # Two that are compared scan by scan must also scan equally often.
        counts["cellwright"] = counts["c"]
        order, chance = list(found), random.Random(1)  # noqa: S311 - an order, not a secret
        for _ in range(rounds):
            chance.shuffle(order)
            for name in order:
                spent.setdefault(name, []).append(found[name](counts[name]) / counts[name])
    rows = []
    for name in found:
        ratios = [mine / c for mine, c in zip(spent[name], spent["c"], strict=True)]
        rows.append({
            "case": case, "impl": name, "median_ns": round(median(spent[name])),
            "ratio_to_c": round(median(ratios), 3),
            "note": "loops only" if name == "simple-pid" else "",
        })  # fmt: skip
    if "simple-pid" not in found and not complete:
        rows.append({"case": case, "impl": "simple-pid", "median_ns": None, "ratio_to_c": None,
                     "note": WITHOUT_SIMPLE_PID})  # fmt: skip
    return rows


def run(rounds: int = 5, seconds: float | None = None) -> Result:
    """All units, 1 to 1,024 loops and 64 to 4,096 causes; raises BadInput without a C compiler.

    `seconds` is what one implementation may take of a round.
    """
    c_scan.library()
    round_ns = ROUND_NS if seconds is None else round(seconds * NS_PER_S)
    return Result([
        row
        for loops, causes, complete in [
            *((loops, causes, False) for loops in LOOPS for causes in CAUSES), COMPLETE
        ]
        for row in measure(loops, causes, rounds, round_ns, complete)
    ])  # fmt: skip
