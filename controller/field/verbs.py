"""What a command may ask of field; the integers stand in the command ring."""

from __future__ import annotations

from enum import IntEnum


class Verb(IntEnum):
    """Verbs of the command ring. Targets are indices of the table each names."""

    SET_SP = 1  # loops
    SET_MODE = 2  # loops
    SET_OP = 3  # loops
    SET_OUTPUT = 4  # outputs
    SET_FLAG = 5  # signals of kind FLAG
    RESET = 6  # causes
    BYPASS = 7  # causes, value = seconds
    LATCH = 8  # causes: a latch that a field before this one held
    SET_TOTAL = 9  # blocks that total
    LOCK = 10  # outputs: what a reset left where it was, in a field before this one
