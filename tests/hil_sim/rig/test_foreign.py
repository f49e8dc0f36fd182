"""C functions called by address out of compiled code."""

from __future__ import annotations

import ctypes

import numpy as np
from numba import njit

from firmware_bridge.native_board import NativeBoard, address
from hil_sim.rig.foreign import I32, I64, POINTER, foreign

labs = foreign(I64, I64)
value_of = foreign(I32, POINTER, I32)


@njit
def magnitude(at: int, number: int) -> int:
    return labs(at, (number,))


@njit
def many(at: int, board: int, out: np.ndarray) -> None:
    for channel in range(len(out)):
        out[channel] = value_of(at, (board, channel))


def test_arguments_are_cast_to_the_functions_own_kinds() -> None:
    at = ctypes.cast(ctypes.CDLL(None).labs, ctypes.c_void_p).value
    assert magnitude(at, np.int32(-5)) == 5
    assert magnitude(at, -(2**40)) == 2**40


def test_a_board_answers_compiled_code_as_it_answers_python() -> None:
    with NativeBoard() as board:
        out = np.full(9, 99, np.int64)
        many(address("cw_value"), board.handle, out)
        assert out.tolist() == [board.value(channel) for channel in range(9)]
        assert out[8] == -1
