"""The process image: one layout over any writable buffer, a bytearray in the rig, an mmap live.

One writer for every word: a link worker its input ring and its note ring, the supervisor the
command ring's head, its own beat, the annunciator's level and the read indices of what it drains,
field's main thread `stop` and what it was granted, the kernel everything else. What is read under
the sequence lock stands first (`SNAPSHOT`). `attach` refuses a buffer of another layout, version or
plan.
"""

from __future__ import annotations

import ctypes
import hashlib
from mmap import mmap
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from controller.core.errors import BadInput
from controller.profile.plan import Plan, digest

Table = npt.NDArray[Any]
Buffer = bytearray | memoryview | mmap
VERSION = 4
MAGIC = 0x63656C6C77726967  # "cellwrig"
INPUT_CAPACITY = 1024
EVENT_CAPACITY = 4096
COMMAND_CAPACITY = 256
HISTORY_CAPACITY = 65_536
NOTE_CAPACITY = 128
NOTE_BYTES = 512  # of one note's text, its length in the first two
LATENCY_BINS = 2048  # of wake-ups, 64 to the octave from 64 ns on: 1.1 % wide
BUCKETS = 60  # of a window block
MEAN_BUCKETS = 160  # of MEAN_BUCKET_NS each: 80 min of every output
MEAN_BUCKET_NS = 30_000_000_000


def _dtype(ints: str, floats: str = "") -> np.dtype[Any]:
    return np.dtype([(n, "i8") for n in ints.split()] + [(n, "f8") for n in floats.split()])


def offset_of(dtype: np.dtype[Any], field: str) -> int:
    """Where a field stands in a row, in bytes. Raises KeyError for an unknown one."""
    if dtype.fields is None:
        raise KeyError(field)
    return int(dtype.fields[field][1])


SIGNAL = _dtype("quality reason sample_ns suspect_ns forced_bad", "value")
WINDOW = _dtype("bucket_end_ns filled head", "low high last")
CONDITION = _dtype("raw state since_ns last_ns")
CAUSE = _dtype(
    "raw raw_ns bad_ns active active_ns latched bypass_until_ns order place action_done action_ns"
    " invalid resets"
)
# A first-out group: how many of its causes stand or are latched, and the place of the next one.
GROUP = _dtype("standing places")
EFFECT = _dtype("on since_ns confirm second_on", "mean")
LOOP = _dtype(
    "mode run_ns bad_since_ns in_fallback track", "sp op integral d_filter pv_last out_last"
)
OUTPUT = _dtype(
    "sequence safe released_ns forced reassert locked by_cause force_cause low_cause high_cause"
    " mean_end_ns mean_head mean_filled adopting",
    "request wanted released low_bound high_bound force mean_sum mean_n",
)
LINK = _dtype("last_good_ns")
HEAD = _dtype(
    "magic version layout generation lock scan now_ns orders urgent events_lost history_lost"
    " event_head event_tail history_head history_tail command_head command_tail"
    " last_command_id supervisor_beat_ns holds holds_seen annunciate"
)
# The heartbeat page: what became of the beats, and what the machine granted the loop.
BEAT = _dtype(
    "pid period_ns deadline_ns started_ns ended scans late long missed worst_late_ns worst_scan_ns"
    " stop policy priority cpu locked dma_latency"
)
INPUT = _dtype("point quality reason sample_ns", "value")
RING = _dtype("head tail lost")
EVENT = _dtype("scan time_ns kind index", "a b")
COMMAND = _dtype("id verb target valid_until_ns", "value")
HISTORY = _dtype("scan output cause", "value")


class Image(NamedTuple):
    """The tables in their order in the buffer."""

    head: Table
    beat: Table
    signals: Table
    causes: Table
    effects: Table
    loops: Table
    outputs: Table
    links: Table
    conditions: Table
    groups: Table
    windows: Table
    window_low: Table
    window_high: Table
    window_last: Table
    means: Table
    input_rings: Table
    inputs: Table
    events: Table
    commands: Table
    history: Table
    latency: Table
    note_rings: Table
    notes: Table


SNAPSHOT = ("head", "beat", "signals", "causes", "effects", "loops", "outputs", "links")


def layout(plan: Plan) -> list[tuple[str, np.dtype[Any], tuple[int, ...]]]:
    """Name, type and shape of every table for one plan."""
    windows = int(plan.blocks["window"].max(initial=-1)) + 1
    groups = int(plan.causes["group"].max(initial=-1)) + 1
    f8 = np.dtype("f8")
    outputs, links = len(plan.outputs), len(plan.links)
    return [
        ("head", HEAD, (1,)),
        ("beat", BEAT, (1,)),
        ("signals", SIGNAL, (len(plan.signals),)),
        ("causes", CAUSE, (len(plan.causes),)),
        ("effects", EFFECT, (len(plan.effects),)),
        ("loops", LOOP, (len(plan.loops),)),
        ("outputs", OUTPUT, (outputs,)),
        ("links", LINK, (links,)),
        ("conditions", CONDITION, (len(plan.conditions),)),
        ("groups", GROUP, (groups,)),
        ("windows", WINDOW, (windows,)),
        ("window_low", f8, (windows, BUCKETS)),
        ("window_high", f8, (windows, BUCKETS)),
        ("window_last", f8, (windows, BUCKETS)),
        ("means", f8, (outputs, MEAN_BUCKETS)),
        ("input_rings", RING, (links,)),
        ("inputs", INPUT, (links, INPUT_CAPACITY)),
        ("events", EVENT, (EVENT_CAPACITY,)),
        ("commands", COMMAND, (COMMAND_CAPACITY,)),
        ("history", HISTORY, (HISTORY_CAPACITY,)),
        ("latency", np.dtype("i8"), (LATENCY_BINS,)),
        ("note_rings", RING, (links + 1,)),  # the last is field's own
        ("notes", np.dtype("u1"), (links + 1, NOTE_CAPACITY * NOTE_BYTES)),
    ]


def size(plan: Plan) -> int:
    """Bytes a buffer needs for this plan."""
    return sum(t.itemsize * int(np.prod(shape)) for _, t, shape in layout(plan))


def layout_id(plan: Plan) -> int:
    """A number that differs when layout or plan differ."""
    text = f"{VERSION} {[(n, t.descr, s) for n, t, s in layout(plan)]} {digest(plan)}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:7], "big")


def snapshot_bytes(plan: Plan) -> int:
    """How much of the region the sequence lock covers: SNAPSHOT, which stands first."""
    return sum(t.itemsize * int(np.prod(n)) for name, t, n in layout(plan) if name in SNAPSHOT)


def _views(plan: Plan, buffer: Buffer) -> Image:
    offset, views = 0, []
    for _, dtype, shape in layout(plan):
        count = int(np.prod(shape))
        views.append(np.frombuffer(buffer, dtype, count, offset).reshape(shape))
        offset += dtype.itemsize * count
    return Image(*views)


def snapshot_of(plan: Plan, image: Image) -> tuple[Image, Table, Table]:
    """An image whose SNAPSHOT tables are a copy of one's own, the words of that copy, and the
    words in the region it is a copy of."""
    space = np.zeros(snapshot_bytes(plan) // 8, np.int64)
    words = (ctypes.c_int64 * len(space)).from_address(image.head.ctypes.data)
    offset, copies = 0, {}
    for name, dtype, shape in layout(plan):
        if name in SNAPSHOT:
            count = int(np.prod(shape))
            copies[name] = np.frombuffer(space, dtype, count, offset).reshape(shape)
            offset += dtype.itemsize * count
    return image._replace(**copies), space, np.frombuffer(memoryview(words), np.int64)


def create(
    plan: Plan, now_ns: int, generation: int = 1, buffer: Buffer | None = None
) -> Image:
    """A fresh image at cold start: no reading yet, every output at its start value, urgent.

    The magic number is written last: until it is there nobody can attach. Raises BadInput for a
    buffer that is too small.
    """
    space = bytearray(size(plan)) if buffer is None else buffer
    if len(space) < size(plan):
        raise BadInput(
            f"the region has {len(space)} bytes, {size(plan)} are needed",
            do="Remove the region and start field again.",
        )
    image = _views(plan, space)
    for view in image:
        view[...] = np.zeros((), view.dtype)
    head = image.head[0]
    head["version"], head["layout"] = VERSION, layout_id(plan)
    head["generation"], head["now_ns"] = generation, now_ns
    head["supervisor_beat_ns"] = now_ns
    image.beat["period_ns"] = plan.unit["period_ns"]
    image.signals["quality"], image.signals["reason"] = 2, 1
    image.signals["sample_ns"] = now_ns
    image.links["last_good_ns"] = now_ns
    image.causes["raw_ns"] = image.causes["bad_ns"] = -1
    image.outputs["request"] = image.outputs["wanted"] = plan.outputs["start"]
    image.outputs["released"] = plan.outputs["start"]
    image.outputs["sequence"], image.outputs["safe"] = 1, 1
    image.outputs["released_ns"] = now_ns
    image.loops["run_ns"] = now_ns
    image.loops["bad_since_ns"] = -1
    image.loops["sp"] = np.clip(0.0, plan.loops["sp_low"], plan.loops["sp_high"])
    head["magic"] = MAGIC
    return image


def attach(plan: Plan, buffer: Buffer) -> Image:
    """The image another process created; raises BadInput if it is not of this plan and version."""
    if len(buffer) < size(plan):
        raise BadInput("the region is too small for this profile", do="Start field again.")
    image = _views(plan, buffer)
    head = image.head[0]
    found = (int(head["magic"]), int(head["version"]), int(head["layout"]))
    if found != (MAGIC, VERSION, layout_id(plan)):
        raise BadInput(
            "the region was made by another version or for another profile",
            do="Stop both programs, remove the region and start both again with one version.",
        )
    return image
