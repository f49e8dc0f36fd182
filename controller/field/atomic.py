"""Words shared between threads and processes: acquire loads, release stores, fences.

The memory model in one place. A producer fills its row with plain stores and then publishes the
ring's head with a release store; the consumer takes the head with an acquire load before it reads
rows, and gives places back with a release store of the tail, which the producer takes with an
acquire load. The image is read under a sequence lock, whose writer and reader fence as Boehm
describes ("Can seqlocks get along with programming language memory models?", MSPC 2012, section 4).
Every shared word is an aligned int64, so it is never torn; each has exactly one writer.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from controller.field.jit import INTERPRETED

WORD = 8  # bytes, and the alignment of every shared word


def _word(context: Any, builder: Any, array_type: Any, array: Any, offset: Any) -> Any:
    """A pointer to the int64 that stands `offset` bytes into an array's data."""
    found = context.make_array(array_type)(context, builder, value=array)
    start = builder.bitcast(found.data, ir.IntType(8).as_pointer())
    return builder.bitcast(builder.gep(start, [offset]), ir.IntType(64).as_pointer())


def _load(typing_context: Any, table: Any, offset: Any) -> Any:  # noqa: ARG001
    """The word at byte `offset` of `table`; nothing after it is read before it."""
    if not isinstance(table, types.Array):
        return None

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = _word(context, builder, signature.args[0], arguments[0], arguments[1])
        return builder.load_atomic(pointer, "acquire", WORD)

    return types.int64(table, types.int64), code


def _store(typing_context: Any, table: Any, offset: Any, value: Any) -> Any:  # noqa: ARG001
    """Writes the word at byte `offset` of `table`; everything before it is visible with it."""
    if not isinstance(table, types.Array):
        return None

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = _word(context, builder, signature.args[0], arguments[0], arguments[1])
        builder.store_atomic(arguments[2], pointer, "release", WORD)
        return context.get_dummy_value()

    return types.void(table, types.int64, types.int64), code


def _acquire(typing_context: Any) -> Any:  # noqa: ARG001
    """No read after this fence happens before a read in front of it."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ARG001
        builder.fence("acquire")
        return context.get_dummy_value()

    return types.void(), code


def _release(typing_context: Any) -> Any:  # noqa: ARG001
    """No write after this fence happens before a write in front of it."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ARG001
        builder.fence("release")
        return context.get_dummy_value()

    return types.void(), code


load: Any = intrinsic(_load)
store: Any = intrinsic(_store)
fence_acquire: Any = intrinsic(_acquire)
fence_release: Any = intrinsic(_release)


def _plain_load(table: Any, offset: int) -> int:
    """The word of a numpy table, interpreted and in one thread."""
    return int(np.frombuffer(table, np.int64)[offset // WORD])


def _plain_store(table: Any, offset: int, value: int) -> None:
    """Writes the word of a numpy table, interpreted and in one thread."""
    np.frombuffer(table, np.int64)[offset // WORD] = value


def _no_fence() -> None:
    """One thread sees its own words in order."""


if INTERPRETED:
    load, store = _plain_load, _plain_store
    fence_acquire = fence_release = _no_fence
