"""How kernel functions are compiled: cached, without the GIL, IEEE arithmetic, no exceptions.

`kernel` compiles a function of its own; `inlined` is for the hot leaves of the scan, where a call
would cost more than the work.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from numba import config, njit

F = TypeVar("F", bound=Callable[..., Any])
at = np.uint64
"""A row number that is not negative. On a signed one numba emits code that lets -1 mean the last
row, at every access: a third of a scan's time. A plan's -1 (none) is asked for before."""
INTERPRETED = bool(getattr(config, "DISABLE_JIT", 0))
"""Whether this process runs the kernel as plain Python: for tests of tests, never for a unit."""
floor = np.floor
"""As a float: math.floor goes through an integer and back."""


def kernel(function: F) -> F:
    """Compiles a kernel function: it may allocate nothing, log nothing and call no Python."""
    return cast(F, njit(cache=True, nogil=True, error_model="numpy")(function))


def inlined(function: F) -> F:
    """As `kernel`, and its body is put where it is called."""
    return cast(F, njit(cache=True, nogil=True, error_model="numpy", inline="always")(function))
