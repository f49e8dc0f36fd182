"""Alarms after ISA-18.2: one state each, from the trips and losses that field reports."""

from __future__ import annotations

from controller.alarms.alarm import RECORDS as ALARM_RECORDS
from controller.alarms.alarm import Alarm
from controller.alarms.alarms import Alarms
from controller.alarms.book import Book, Entry
from controller.alarms.defaults import (
    ANNUNCIATOR,
    CLOCK_BACK,
    DISK,
    NO_ANNUNCIATOR,
    PRIORITIES,
)
from controller.alarms.table import (
    ACK,
    HIDDEN,
    LATCHED_ACK,
    LATCHED_UNACK,
    NORM,
    OUT_OF_SERVICE,
    RTN_UNACK,
    SHELVED,
    SUPPRESSED,
    UNACK,
    WAITING,
)

__all__ = [
    "ACK", "ALARM_RECORDS", "ANNUNCIATOR", "CLOCK_BACK", "DISK", "HIDDEN", "LATCHED_ACK",
    "LATCHED_UNACK", "NORM", "NO_ANNUNCIATOR", "OUT_OF_SERVICE", "PRIORITIES", "RTN_UNACK",
    "SHELVED", "SUPPRESSED", "UNACK", "WAITING", "Alarm", "Alarms", "Book", "Entry",
]  # fmt: skip
