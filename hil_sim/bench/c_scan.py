"""The scan in C, compiled on the spot for this machine and called on the same tables.

The header is made from the numpy dtypes and the enums, so C and numba can never disagree about a
layout. No fast-math and no fused multiply-add: both must give the same bytes.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from enum import IntEnum
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from controller.core.errors import BadInput
from controller.core.signal import Quality, Reason
from controller.field import image as layout
from controller.field.image import Image
from controller.field.ring import EventKind
from controller.field.views import Bound, Handles
from controller.profile import plan as tables
from controller.profile.plan import BlockOp, Plan

SOURCE = Path(__file__).with_name("scan.c")
FLAGS = ("-O3", "-march=native", "-std=c11", "-fno-math-errno", "-ffp-contract=off", "-fPIC",
         "-shared", "-Wall", "-Wextra", "-Werror")  # fmt: skip
COMPILE_S = 60
ENUMS: tuple[type[IntEnum], ...] = (
    Quality, Reason, EventKind, BlockOp, tables.SignalKind, tables.CompareOp, tables.BadRule,
    tables.CauseKind, tables.EffectOp, tables.Mode, tables.Fallback,
)  # fmt: skip
CAPACITIES = (
    "INPUT_CAPACITY", "EVENT_CAPACITY", "HISTORY_CAPACITY", "MEAN_BUCKETS", "MEAN_BUCKET_NS",
    "BUCKETS",
)  # fmt: skip
C_WORDS = {"long", "short", "signed", "unsigned", "register", "default", "switch", "case"}
C_TYPES = {"<i8": "int64_t", "<f8": "double", "|u1": "uint8_t"}


def _one_unit() -> Plan:
    """The smallest plan there is, to ask the layout about every table."""
    return Plan(*(np.zeros(1, tables.TABLES[name]) for name in Plan._fields))


def _struct(name: str, dtype: np.dtype[Any]) -> Iterator[str]:
    """A table's row as a C type called `name_t`."""
    if dtype.names is None:
        yield f"typedef {C_TYPES[dtype.str]} {name}_t;"
        return
    yield "typedef struct {"
    for field in dtype.names:
        suffix = "_" if field in C_WORDS else ""
        yield f"    {C_TYPES[dtype[field].str]} {field}{suffix};"
    yield f"}} {name}_t;"
    yield f'_Static_assert(sizeof({name}_t) == {dtype.itemsize}, "row of {name}");'


def _tables(kind: str, const: str, dtypes: dict[str, np.dtype[Any]], first: int) -> Iterator[str]:
    """Row types, the struct of all tables of one kind, and how it is filled from addresses."""
    for name, dtype in dtypes.items():
        yield from _struct(f"{kind}_{name}", dtype)
    yield "typedef struct {"
    for name in dtypes:
        yield f"    {const}{kind}_{name}_t *restrict {name};"
        yield f"    int64_t n_{name};"
    yield f"}} {kind}_t;"
    yield f"static inline void {kind}_at(const int64_t *handles, {kind}_t *at) {{"
    for place, name in enumerate(dtypes, first):
        yield f"    at->{name} = ({kind}_{name}_t *)(intptr_t)handles[{3 * place}];"
        yield f"    at->n_{name} = handles[{3 * place + 1}];"
    yield "}"


def header() -> str:
    """`tables.h`: what the C must know about the tables, from the tables themselves."""
    image = {name: dtype for name, dtype, _ in layout.layout(_one_unit())}
    if tuple(image) != Image._fields:
        raise ValueError("the layout and the image name different tables")
    lines = ["#include <stdint.h>"]
    lines += [f"#define {name} INT64_C({getattr(layout, name)})" for name in CAPACITIES]
    lines.append(f"#define UNASKED {tables.UNASKED!r}")
    for enum in ENUMS:
        items = ", ".join(f"{enum.__name__}_{item.name} = {item.value}" for item in enum)
        lines.append(f"enum {{ {items} }};")
    lines += _tables("plan", "const ", dict(tables.TABLES), 0)
    lines += _tables("image", "", image, len(tables.TABLES))
    lines.append("static inline void tables_at(const int64_t *handles, plan_t *p, image_t *m) {")
    lines += ["    plan_at(handles, p);", "    image_at(handles, m);", "}", ""]
    return "\n".join(lines)


def compiler() -> str:
    """The C compiler of this machine; raises BadInput when there is none."""
    found = shutil.which(os.environ.get("CC", "cc"))
    if found is None:
        raise BadInput(
            "no C compiler found",
            do="Install one (Debian: apt install gcc), or set CC to its name.",
        )
    return found


@lru_cache(maxsize=1)
def library() -> ctypes.CDLL:
    """Compiles `scan.c` for this machine and loads it; raises BadInput if that fails."""
    text, command = header(), compiler()
    name = hashlib.sha256(text.encode() + SOURCE.read_bytes()).hexdigest()[:16]
    with tempfile.TemporaryDirectory(prefix="cellwright-bench-") as folder:
        built = Path(folder) / f"scan-{name}.so"
        (Path(folder) / "tables.h").write_text(text)
        done = subprocess.run(  # noqa: S603 - our own source, the compiler of this machine
            [command, *FLAGS, f"-I{folder}", "-o", str(built), str(SOURCE), "-lm"],
            capture_output=True, text=True, timeout=COMPILE_S, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            raise BadInput(
                f"the C compiler refused the scan:\n{done.stderr[:2000]}",
                where=str(SOURCE.name),
                do="Set CC to gcc 10 or newer, or clang 12 or newer.",
            )
        found = ctypes.CDLL(str(built))
    found.scans.restype = ctypes.c_int64
    word, pointer = ctypes.c_int64, ctypes.c_void_p
    found.scans.argtypes = [pointer, word, word, word, pointer]
    return found


def prepared(bound: Bound, period_ns: int, feed: Handles) -> Callable[[int, int], int]:
    """`call(now_ns, count)` that does nothing but `count` scans in C after `now_ns`.

    It returns the time of the last, see `scans.numba_scans`, whose twin it is; below 0 for waiting
    commands, which the C does not have.
    """
    handles = np.ascontiguousarray(bound.handles)
    run, tables_at, feed_at = library().scans, handles.ctypes.data, feed.ctypes.data

    def call(now_ns: int, count: int, kept: tuple[Handles, Handles] = (handles, feed)) -> int:
        return int(run(tables_at, now_ns, period_ns, count, feed_at))

    return call


def scans(bound: Bound, now_ns: int, period_ns: int, count: int, feed: Handles) -> int:
    """`count` scans in C after `now_ns`; raises BadInput for commands that wait."""
    end = prepared(bound, period_ns, feed)(now_ns, count)
    if end < 0:
        raise BadInput("the C scan takes no commands", do="Apply them with the kernel first.")
    return end
