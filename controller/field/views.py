"""Plan and image as the kernel sees them: tables at addresses, not Python objects.

A table made from an address carries no reference count, which makes a scan five times faster than
one on arrays passed from Python, and lets a thread without the GIL run it. `Bound` keeps the arrays
alive for as long as their addresses are in use.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import carray, types  # type: ignore[attr-defined]
from numba.extending import intrinsic

from controller.field import image as layout
from controller.field.image import Image
from controller.field.jit import inlined
from controller.profile import plan as tables
from controller.profile.plan import Plan

Handles = npt.NDArray[np.int64]
F8, I8, U1 = np.float64, np.int64, np.uint8
P_SIGNAL, P_BLOCK, P_TERM = tables.SIGNAL, tables.BLOCK, tables.TERM
P_CONDITION, P_CAUSE, P_EFFECT = tables.CONDITION, tables.CAUSE, tables.EFFECT
P_LOOP, P_SEGMENT, P_OUTPUT = tables.LOOP, tables.SEGMENT, tables.OUTPUT
P_LINK, P_UNIT = tables.LINK, tables.UNIT
I_HEAD, I_BEAT = layout.HEAD, layout.BEAT
I_SIGNAL, I_WINDOW = layout.SIGNAL, layout.WINDOW
I_CONDITION, I_CAUSE, I_EFFECT = layout.CONDITION, layout.CAUSE, layout.EFFECT
I_GROUP, I_LOOP, I_OUTPUT = layout.GROUP, layout.LOOP, layout.OUTPUT
I_LINK, I_RING = layout.LINK, layout.RING
I_INPUT, I_EVENT, I_COMMAND = layout.INPUT, layout.EVENT, layout.COMMAND
I_HISTORY = layout.HISTORY


def _address_as_pointer(typing_context: Any, address: Any) -> Any:  # noqa: ARG001
    """An integer address as a pointer, for `carray`."""
    signature = types.voidptr(types.int64)

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ARG001
        return builder.inttoptr(arguments[0], context.get_value_type(types.voidptr))

    return signature, code


_pointer: Any = intrinsic(_address_as_pointer)


class Bound:
    """A plan and an image with the table of addresses that kernel entry points take."""

    def __init__(self, plan: Plan, image: Image) -> None:
        self.plan, self.image = plan, image
        rows = []
        for array in (*plan, *image):
            if not array.flags["C_CONTIGUOUS"]:
                raise ValueError("every table must be contiguous")
            columns = array.shape[1] if array.ndim > 1 else 0
            rows.append((array.ctypes.data, array.shape[0], columns))
        self.handles: Handles = np.array(rows, dtype=np.int64)


@inlined
def plan_at(h: Handles) -> Plan:
    """The plan's tables."""
    return Plan(
        carray(_pointer(h[0, 0]), (h[0, 1],), P_SIGNAL),
        carray(_pointer(h[1, 0]), (h[1, 1],), P_BLOCK),
        carray(_pointer(h[2, 0]), (h[2, 1],), P_TERM),
        carray(_pointer(h[3, 0]), (h[3, 1],), P_CONDITION),
        carray(_pointer(h[4, 0]), (h[4, 1],), P_CAUSE),
        carray(_pointer(h[5, 0]), (h[5, 1],), P_EFFECT),
        carray(_pointer(h[6, 0]), (h[6, 1],), P_LOOP),
        carray(_pointer(h[7, 0]), (h[7, 1],), P_SEGMENT),
        carray(_pointer(h[8, 0]), (h[8, 1],), P_OUTPUT),
        carray(_pointer(h[9, 0]), (h[9, 1],), P_LINK),
        carray(_pointer(h[10, 0]), (h[10, 1],), P_UNIT),
    )


@inlined
def image_at(h: Handles) -> Image:
    """The image's tables."""
    return Image(
        carray(_pointer(h[11, 0]), (h[11, 1],), I_HEAD),
        carray(_pointer(h[12, 0]), (h[12, 1],), I_BEAT),
        carray(_pointer(h[13, 0]), (h[13, 1],), I_SIGNAL),
        carray(_pointer(h[14, 0]), (h[14, 1],), I_CAUSE),
        carray(_pointer(h[15, 0]), (h[15, 1],), I_EFFECT),
        carray(_pointer(h[16, 0]), (h[16, 1],), I_LOOP),
        carray(_pointer(h[17, 0]), (h[17, 1],), I_OUTPUT),
        carray(_pointer(h[18, 0]), (h[18, 1],), I_LINK),
        carray(_pointer(h[19, 0]), (h[19, 1],), I_CONDITION),
        carray(_pointer(h[20, 0]), (h[20, 1],), I_GROUP),
        carray(_pointer(h[21, 0]), (h[21, 1],), I_WINDOW),
        carray(_pointer(h[22, 0]), (h[22, 1], h[22, 2]), F8),
        carray(_pointer(h[23, 0]), (h[23, 1], h[23, 2]), F8),
        carray(_pointer(h[24, 0]), (h[24, 1], h[24, 2]), F8),
        carray(_pointer(h[25, 0]), (h[25, 1], h[25, 2]), F8),
        carray(_pointer(h[26, 0]), (h[26, 1],), I_RING),
        carray(_pointer(h[27, 0]), (h[27, 1], h[27, 2]), I_INPUT),
        carray(_pointer(h[28, 0]), (h[28, 1],), I_EVENT),
        carray(_pointer(h[29, 0]), (h[29, 1],), I_COMMAND),
        carray(_pointer(h[30, 0]), (h[30, 1],), I_HISTORY),
        carray(_pointer(h[31, 0]), (h[31, 1],), I8),
        carray(_pointer(h[32, 0]), (h[32, 1],), I_RING),
        carray(_pointer(h[33, 0]), (h[33, 1], h[33, 2]), U1),
    )
