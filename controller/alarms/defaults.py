"""What is taken for an alarm where the unit's file says nothing: by kind, and by name.

A module because this is the part of the master alarm database that is the same at every unit:
what goes wrong in the station itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

PRIORITIES: Final = ("critical", "high", "medium", "low")
RESPOND_S: Final[Mapping[str, int]] = {"critical": 120, "high": 300, "medium": 900, "low": 3600}
# Nothing critical is ever shelved.
SHELVE_S: Final[Mapping[str, int]] = {"high": 1800, "medium": 3600, "low": 3600}
BY_ACTION: Final[Mapping[str, str]] = {
    "abort": "critical", "hold": "high", "alarm": "medium", "none": "low",
}  # fmt: skip

DISK = "disk"
# A wall clock that went back: until somebody has seen it, signatures would lie about their time.
CLOCK_BACK = "clock:back"
ANNUNCIATOR = "annunciator"
NO_ANNUNCIATOR = "annunciator:none"
# A shelved one would let something happen that waits for somebody to have seen it.
NEVER_SHELVED: Final = (CLOCK_BACK, "log", ANNUNCIATOR)
KINDS: Final = ("row", "plausibility", "proof", "link", "loop")  # those of the unit itself


@dataclass(frozen=True, slots=True)
class Default:
    """Priority, consequence and action of one alarm or of all of a kind."""

    priority: str
    consequence: str
    action: str


# By name, or by what stands before the colon. What has a name of its own is looked up first.
SYSTEM: Final[Mapping[str, Default]] = {
    "proof": Default("critical", "An output is not proven where its row wants it; its second final "
                     "element acts.", "Look at the device itself, and shut it by hand if it "
                     "moves."),
    "link": Default("high", "No device of this link is read or commanded; each does what it falls "
                    "back to.", "Check cable, plug and power of the devices on this link."),
    "loop": Default("high", "The loop runs on its declared fallback, not on its measurement.",
                    "Find out why the measurement is bad."),
    "link:field": Default("critical", "Field does not scan: nothing controls the unit, its devices "
                          "fall back.", "Look at the vessel; see what runs on this machine."),
    "unit:hold": Default("high", "Phases wait; heat, stirring and oxygen go on.",
                         "Remove the cause, reset what latched, then restart."),
    "witness": Default("medium", "Nobody outside sees what this station records.",
                       "Check the network and the witness."),
    "log": Default("critical", "Nothing is recorded in the log and no command but Hold is possible;"
                   " loops and interlocks go on.", "Make room on the disk, or repair it."),
    DISK: Default("high", "When the disk is full the unit goes to Hold.", "Make room on the disk."),
    "step": Default("medium", "The recipe waits for what did not come.",
                    "Look at the step, then answer or repair what it waits for."),
    "bypass": Default("high", "A row is without effect, or acts again.",
                      "See that the compensating measure is in place, or taken away."),
    "ring": Default("critical", "Events or values were lost before they could be recorded.",
                    "Note the time; review the batch for it."),
    "verify": Default("medium", "A device shows another value than it was told.",
                      "Look at the device; its link repeats the write."),
    "clock": Default("medium", "Times in the record jump.", "Check what sets the clock."),
    CLOCK_BACK: Default("medium", "Nothing can be signed until somebody has seen it.",
                        "Check the time, then acknowledge."),
    "record": Default("critical", "The record of this batch has a gap or a replaced entry.",
                      "Tell quality assurance; the report lists it."),
    "record:log.recovered": Default("high", "The end of a log was torn and is kept aside.",
                                    "Tell quality assurance; the report lists it."),
    "supervisor": Default("high", "A new supervisor goes on with the batch from its log.",
                          "Look at the state of the batch before you go on."),
    "supervisor:supervisor.fault": Default("critical", "The program met a fault of its own; the "
                                           "unit is held.", "Look at the vessel; report the "
                                           "fault."),
    "board": Default("high", "An I/O board has started again or runs an image nobody named; its "
                     "liquids stay shut.", "Look at the vessel and the board, then reset row "
                     "io.lapse."),
    "scan": Default("medium", "Interlocks were late by some scans.",
                    "See what else runs on this machine."),
    "field": Default("critical", "Nothing scanned for a moment; liquids are shut until a person "
                     "has looked.", "Look at the vessel, reset what latched, then restart."),
    "field:field.restored": Default("high", "Something could not be given to the new field again.",
                                    "Set by hand what the alarm names."),
    "batch": Default("medium", "A batch was named open in which nothing was ever commanded.",
                     "Open it again if it is wanted."),
    "account": Default("high", "A user is locked: somebody gave wrong passwords.",
                       "Ask the person; tell an admin if it was not they."),
    "rollback": Default("critical", "A log is not the one that a witness has seen.",
                        "Stop. Tell quality assurance; keep the disk as it is."),
    ANNUNCIATOR: Default("critical", "No horn, beacon or call-out: nobody hears an alarm but at "
                         "the screen.", "Stay at the screen, and repair the annunciator."),
    NO_ANNUNCIATOR: Default("low", "No horn, beacon or call-out is set up: nobody hears an alarm "
                            "but at the screen.", "Stay at the screen, or start the run with "
                            "--annunciator."),
}  # fmt: skip
# What stands for many alarms and is the name of none.
KINDS_ONLY: Final = frozenset(
    name for name in SYSTEM if ":" not in name and name not in ("log", DISK, ANNUNCIATOR)
)
