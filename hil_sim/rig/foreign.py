"""Calls of C functions by address out of compiled code, in a form that the compiler may cache.

A module of its own because numba itself refuses to cache a caller that knows a ctypes function: its
address is of this process alone. Here the address is an argument like any other.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

I32, I64, U32, U64, F64 = types.int32, types.int64, types.uint32, types.uint64, types.float64
POINTER = types.uint64  # an address


def foreign(result: Any, *kinds: Any) -> Any:
    """A caller `call(address, (arguments...))` of C functions of one signature.

    Every argument is cast to its kind. uint8_t and uint16_t travel as U32, as the calling
    conventions of this world's machines have it. A wrong address is a crash, as in C.
    """

    @intrinsic
    def call(typingctx: Any, address: Any, arguments: Any) -> Any:  # noqa: ARG001
        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            target, packed = values
            given = [
                context.cast(builder, builder.extract_value(packed, place), has, wanted)
                for place, (has, wanted) in enumerate(zip(signature.args[1], kinds, strict=True))
            ]
            value_type = context.get_value_type
            shape = ir.FunctionType(value_type(result), [value_type(kind) for kind in kinds])
            return builder.call(builder.inttoptr(target, shape.as_pointer()), given)

        return result(address, arguments), generate

    return call
