"""What the compiler cannot know: which conditions are rare, so their code stands out of the way."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from controller.field.jit import INTERPRETED


def _rare(typing_context: Any, condition: Any) -> Any:  # noqa: ARG001
    """The condition itself, expected to be false."""
    if not isinstance(condition, types.Boolean):
        return None

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ARG001
        bit = ir.IntType(1)
        expect = builder.module.declare_intrinsic(
            "llvm.expect", [bit], ir.FunctionType(bit, [bit, bit])
        )
        return builder.call(expect, [arguments[0], bit(0)])

    return types.boolean(types.boolean), code


rare: Any = intrinsic(_rare)
if INTERPRETED:  # interpreted, there is no compiler to tell
    rare = bool
