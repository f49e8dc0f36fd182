"""How kernel functions are compiled: cached, without the GIL, IEEE arithmetic, no exceptions.

`kernel` compiles a function of its own; `inlined` is for the hot leaves of the scan, where a call
would cost more than the work.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit

F = TypeVar("F", bound=Callable[..., Any])


def kernel(function: F) -> F:
    """Compiles a kernel function: it may allocate nothing, log nothing and call no Python."""
    return cast(F, njit(cache=True, nogil=True, error_model="numpy")(function))


def inlined(function: F) -> F:
    """As `kernel`, and its body is put where it is called."""
    return cast(F, njit(cache=True, nogil=True, error_model="numpy", inline="always")(function))
