"""The process image: one layout over any writable buffer, a bytearray in the rig, an mmap live.

Single writer per table: link workers write only their input ring, the kernel everything else but
the command ring's head and the read indices. `create` lays the tables out, `attach` refuses a
buffer of another layout, version or plan.
"""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from controller.core.errors import BadInput
from controller.profile.plan import Plan, digest

Table = npt.NDArray[Any]
VERSION = 1
MAGIC = 0x63656C6C77726967  # "cellwrig"
INPUT_CAPACITY = 1024
EVENT_CAPACITY = 4096
COMMAND_CAPACITY = 256
HISTORY_CAPACITY = 65_536
BUCKETS = 60  # of a window block
MEAN_BUCKETS = 160  # of MEAN_BUCKET_NS each: 80 min of every output
MEAN_BUCKET_NS = 30_000_000_000


def _dtype(ints: str, floats: str = "") -> np.dtype[Any]:
    return np.dtype([(n, "i8") for n in ints.split()] + [(n, "f8") for n in floats.split()])


SIGNAL = _dtype("quality reason sample_ns suspect_ns forced_bad", "value")
WINDOW = _dtype("bucket_end_ns filled head", "low high last")
CONDITION = _dtype("state")
CAUSE = _dtype(
    "raw raw_ns bad_ns active active_ns latched bypass_until_ns order action_done action_ns"
)
EFFECT = _dtype("on since_ns confirm second_on", "mean")
LOOP = _dtype(
    "mode run_ns bad_since_ns in_fallback track", "sp op integral d_filter pv_last out_last"
)
OUTPUT = _dtype(
    "sequence safe released_ns forced reassert locked by_cause force_cause low_cause high_cause"
    " mean_end_ns mean_head mean_filled",
    "request wanted released low_bound high_bound force mean_sum mean_n",
)
LINK = _dtype("last_good_ns")
HEAD = _dtype(
    "magic version layout generation scan now_ns orders urgent events_lost history_lost input_lost"
    " event_head event_tail history_head history_tail command_head command_tail"
    " last_command_id supervisor_beat_ns"
)
INPUT = _dtype("point quality reason sample_ns", "value")
RING = _dtype("head tail lost")
EVENT = _dtype("scan time_ns kind index", "a b")
COMMAND = _dtype("id verb target valid_until_ns", "value")
HISTORY = _dtype("scan output cause", "value")


class Image(NamedTuple):
    """The tables in their order in the buffer."""

    head: Table
    signals: Table
    windows: Table
    window_low: Table
    window_high: Table
    window_last: Table
    conditions: Table
    causes: Table
    effects: Table
    loops: Table
    outputs: Table
    means: Table
    links: Table
    input_rings: Table
    inputs: Table
    events: Table
    commands: Table
    history: Table


def layout(plan: Plan) -> list[tuple[str, np.dtype[Any], tuple[int, ...]]]:
    """Name, type and shape of every table for one plan."""
    windows = int(plan.blocks["window"].max(initial=-1)) + 1
    f8 = np.dtype("f8")
    outputs, links = len(plan.outputs), len(plan.links)
    return [
        ("head", HEAD, (1,)),
        ("signals", SIGNAL, (len(plan.signals),)),
        ("windows", WINDOW, (windows,)),
        ("window_low", f8, (windows, BUCKETS)),
        ("window_high", f8, (windows, BUCKETS)),
        ("window_last", f8, (windows, BUCKETS)),
        ("conditions", CONDITION, (len(plan.conditions),)),
        ("causes", CAUSE, (len(plan.causes),)),
        ("effects", EFFECT, (len(plan.effects),)),
        ("loops", LOOP, (len(plan.loops),)),
        ("outputs", OUTPUT, (outputs,)),
        ("means", f8, (outputs, MEAN_BUCKETS)),
        ("links", LINK, (links,)),
        ("input_rings", RING, (links,)),
        ("inputs", INPUT, (links, INPUT_CAPACITY)),
        ("events", EVENT, (EVENT_CAPACITY,)),
        ("commands", COMMAND, (COMMAND_CAPACITY,)),
        ("history", HISTORY, (HISTORY_CAPACITY,)),
    ]


def size(plan: Plan) -> int:
    """Bytes a buffer needs for this plan."""
    return sum(t.itemsize * int(np.prod(shape)) for _, t, shape in layout(plan))


def layout_id(plan: Plan) -> int:
    """A number that differs when layout or plan differ."""
    text = f"{VERSION} {[(n, t.descr, s) for n, t, s in layout(plan)]} {digest(plan)}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:7], "big")


def _views(plan: Plan, buffer: bytearray | memoryview) -> Image:
    offset, views = 0, []
    for _, dtype, shape in layout(plan):
        count = int(np.prod(shape))
        views.append(np.frombuffer(buffer, dtype, count, offset).reshape(shape))
        offset += dtype.itemsize * count
    return Image(*views)


def create(
    plan: Plan, now_ns: int, generation: int = 1, buffer: bytearray | memoryview | None = None
) -> Image:
    """A fresh image at cold start: no reading yet, every output at its start value, urgent.

    Raises BadInput for a buffer that is too small.
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
    head["magic"], head["version"], head["layout"] = MAGIC, VERSION, layout_id(plan)
    head["generation"], head["now_ns"] = generation, now_ns
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
    return image


def attach(plan: Plan, buffer: bytearray | memoryview) -> Image:
    """The image another process created; raises BadInput if it is not of this plan and version."""
    if len(buffer) < size(plan):
        raise BadInput("the region is too small for this profile", do="Start field again.")
    image = _views(plan, buffer)
    head = image.head[0]
    found = (int(head["magic"]), int(head["version"]), int(head["layout"]))
    if found != (MAGIC, VERSION, layout_id(plan)):
        raise BadInput(
            "the region was made by another version or for another profile",
            do="Stop both programs, remove the region and start again with one version.",
        )
    return image


class InputRing:
    """The producer's end of one link's input ring (one link worker, nobody else)."""

    def __init__(self, image: Image, link: int) -> None:
        self._ring = image.input_rings[link : link + 1]
        self._rows = image.inputs[link]

    def push(self, point: int, value: float, quality: int, reason: int, sample_ns: int) -> bool:
        """Queues one sample; False and counted when the ring is full."""
        ring = self._ring
        head = ring["head"][0]
        if head - ring["tail"][0] >= INPUT_CAPACITY:
            ring["lost"] += 1
            return False
        self._rows[head % INPUT_CAPACITY] = (point, quality, reason, sample_ns, value)
        ring["head"][0] = head + 1
        return True
