"""Every kind of event, declared once: name, severity, fields and the words a person reads.

The log, the alarms, the screen and the report all read this one table. An event with an unknown
name or with fields other than the declared ones cannot be made.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from controller.core.clock import Stamp
from controller.core.wording import spoken

MAX_TEXT = 2_000


class Severity(StrEnum):
    """What an event asks of people."""

    INFO = "info"
    WARNING = "warning"
    ALARM = "alarm"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True)
class EventType:
    """One kind of event. `wording` is a format string over its fields and `said`, the part that
    depends on them (`wording.spoken`)."""

    name: str
    severity: Severity
    fields: tuple[str, ...]
    wording: str

    def words(self, data: Mapping[str, Any]) -> str:
        """The event as a person reads it; raises KeyError or IndexError for unknown fields."""
        return spoken(self.name, self.wording, data)


def _declare(*rows: tuple[str, str, str, str]) -> dict[str, EventType]:
    return {
        name: EventType(name, Severity(severity), tuple(fields.split()), wording)
        for name, severity, fields, wording in rows
    }


EVENTS: dict[str, EventType] = _declare(
    # -- batch ------------------------------------------------------------------------------
    ("batch.opened", "info",
     "batch_id unit use notice identity set_lot calibration recipe profile software sync"
     " parameters rights boards",
     "Batch {batch_id} opened on {unit}, use {use}. {notice}"),
    ("recipe.unapproved", "warning", "recipe digest", "Recipe {recipe} has no approval"),
    ("batch.state", "info", "state cause", "Batch is {state}: {cause}"),
    ("batch.closed", "info", "state", "Batch closed as {state}"),
    ("batch.attached", "warning", "gap_s state", "Batch taken up again after {said}; {state}"),
    ("batch.never_began", "warning", "batch_id",
     "Batch {batch_id} was named open, but nothing was ever commanded in it"),
    # -- procedure --------------------------------------------------------------------------
    ("procedure.state", "info", "path level old new cause",
     "{level} {path}: {old} -> {new}{said}"),
    ("step.started", "info", "path index text", "{path} step {nth}: {text}"),
    ("step.timer", "info", "path index elapsed_s", "{path} step {nth}: {elapsed_s} s counted"),
    ("step.timeout", "alarm", "path index text", "{path} step {nth} is overdue: {text}"),
    ("variable.set", "info", "name old new unit source",
     "{name}: {said} ({source})"),
    ("prompt.opened", "info", "prompt_id path kind text", "Prompt {prompt_id}: {text}"),
    ("prompt.answered", "info", "prompt_id value second limits",
     "Prompt {prompt_id} answered: {value}"),
    ("prompt.refused", "warning", "prompt_id value why", "Answer to {prompt_id} refused: {why}"),
    ("sample.recorded", "info", "name value unit predicted source",
     "Sample {name} = {value} {unit}"),
    # -- commands ---------------------------------------------------------------------------
    ("command.intent", "info", "id verb target old new second expected valid_until",
     "{said}"),
    ("command.outcome", "info", "id result why", "Command {id} {result}{said}"),
    ("command.refused", "warning", "verb target new why", "{said} refused: {why}"),
    ("command.next", "info", "id", "The next command of this station is {id}"),
    # -- people -----------------------------------------------------------------------------
    ("session.opened", "info", "user name session station",
     "{user} ({name}) logged in at {station}"),
    ("session.refused", "warning", "user station why",
     "Log-in of {user} at {station} refused: {why}"),
    ("session.ended", "info", "user session station why", "{user} logged out at {station}: {why}"),
    ("signature.given", "info", "id user name role meaning digest utc station",
     "Command {id}: {meaning} by {name} ({user}, {role}), {utc}"),
    ("signature.refused", "warning", "user meaning station why",
     "Signature of {user} ({meaning}) at {station} refused: {why}"),
    ("account.added", "info", "user name role", "User {user} ({name}) added as {role}"),
    ("account.disabled", "warning", "user", "User {user} disabled"),
    ("account.password_changed", "info", "user", "User {user} has a new password"),
    ("account.locked", "alarm", "user station lock_s",
     "User {user} locked for {lock_s} s: wrong passwords at {station}"),
    ("hold.identified", "info", "id who", "Hold {id} was pressed by {who}"),
    # -- protective -------------------------------------------------------------------------
    ("cause.active", "alarm", "row title scan first_out signals", "Row {row} tripped: {title}"),
    ("cause.cleared", "info", "row title scan latched", "Row {row} cause gone: {title}"),
    ("procedure.rule", "info", "row title scan stands", "{title}: {said}"),
    ("permit.withdrawn", "info", "row title scan", "Permit withdrawn: {title}"),
    ("permit.given", "info", "row title scan", "Permit given: {title}"),
    ("cause.reset", "info", "row title scan", "Row {row} reset"),
    ("row.valid", "info", "row title scan", "Row {row} applies now: {title}"),
    ("row.not_valid", "info", "row title scan",
     "Row {row} does not apply in this phase or mode: {title}"),
    ("cause.reset_refused", "warning", "row title scan",
     "Row {row} cannot be reset: its cause stands"),
    ("effect.applied", "info", "row output value scan", "Row {row} asks for {output} at {value}"),
    ("effect.not_confirmed", "critical", "row output value second scan",
     "NOT CONFIRMED: {output} is not at {value} (row {row}); {said}"),
    ("effect.confirmed", "info", "row output value scan", "{output} confirmed at {value}"),
    ("bypass.set", "critical", "row until scan", "Row {row} bypassed until {until}"),
    ("bypass.lapsed", "alarm", "row scan", "Bypass of row {row} lapsed"),
    ("deviation.opened", "alarm", "deviation id row title seconds measure second",
     "Deviation {deviation}: row {row} ({title}) is to be bypassed for {seconds} s; instead:"
     " {measure}"),
    ("row.asks", "warning", "row title action scan", "Row {row} asks for {action}: {title}"),
    ("unit.hold", "alarm", "cause", "Hold: {cause}"),
    ("unit.hold_released", "info", "cause", "Hold released: {cause}"),
    ("field.restarted", "critical", "generation why state",
     "Field started again as number {generation}: {why}; {state}"),
    ("field.started", "info", "generation words", "Field {generation} has started: {words}"),
    ("field.stopping", "warning", "generation words", "Field {generation} is stopping: {words}"),
    ("field.left", "critical", "generation rows outputs",
     "Field {generation} left what no record told: {said}"),
    ("run.ending", "warning", "who state",
     "The run is ended by {who}; the batch stays open, {state}"),
    ("field.restored", "warning", "generation refused",
     "Field {generation} has its setpoints, modes and latches again{said}"),
    # -- signals, loops, links --------------------------------------------------------------
    ("quality.changed", "warning", "tag old new reason scan", "{tag}: {old} -> {new}{said}"),
    ("loop.fallback", "alarm", "loop fallback scan", "{loop} uses its fallback: {fallback}"),
    ("loop.restored", "info", "loop scan", "{loop} is back on its process value"),
    ("link.state", "warning", "link state why", "Link {link} is {state}{said}"),
    ("link.fault", "warning", "link device what count", "{said}: {what} ({count})"),
    ("link.identified", "info", "link device what",
     "{link}/{device} is what its profile says{said}"),
    ("link.write", "info", "link device output value frame confirmed",
     "{output} = {value} {said}"),
    ("link.verify", "alarm", "link device output wanted found count",
     "{output}: wrote {wanted}, reads {found} (number {count})"),
    ("board.session", "info", "link device boot_id reset image table known",
     "I/O board {device} answers; it was started by {reset}"),
    ("board.unknown", "critical", "link device image",
     "I/O board {device} runs an image nobody named; its liquids stay shut"),
    ("board.restarted", "alarm", "link device boot_id reset",
     "I/O board {device} has started again, by {reset}; its liquids stay shut"),
    ("board.started", "info", "link device reset at_us error_us boot_id number",
     "I/O board {device} was started by {reset}"),
    ("board.trip", "warning", "link device row title first_out at_us error_us boot_id number",
     "Row {row} tripped on I/O board {device}: {title}"),
    ("board.row_gone", "info", "link device row title at_us error_us boot_id number",
     "Row {row} cause gone on I/O board {device}: {title}"),
    ("board.row_reset", "info", "link device row title at_us error_us boot_id number",
     "Row {row} reset on I/O board {device}"),
    ("board.bypass", "info", "link device row title stands at_us error_us boot_id number",
     "Bypass of row {row} on I/O board {device}: {said}"),
    ("board.lapsed", "warning", "link device channel at_us error_us boot_id number",
     "{channel}: its lease ran out on I/O board {device}"),
    ("board.latched", "alarm", "link device channel why at_us error_us boot_id number",
     "{channel} is latched on I/O board {device}: {why}"),
    ("board.cleared", "info", "link device channel at_us error_us boot_id number",
     "{channel} may be commanded again on I/O board {device}"),
    ("board.events_lost", "critical", "link device count at_us error_us boot_id number",
     "I/O board {device} lost {count} events before they could be read"),
    ("board.retold", "info", "link device boot_id number",
     "{device} told its event {number} again: it is recorded"),
    ("board.refused", "warning", "link device request why",
     "I/O board {device} refused {request}: {why}"),
    ("ring.overflow", "critical", "ring lost", "{ring} ring overflowed, {lost} lost"),
    ("clock.step", "alarm", "seconds", "The wall clock stepped by {seconds} s"),
    ("scan.late", "warning", "late long missed", "Scan: {late} late, {long} long, {missed} missed"),
    ("totaliser.value", "info", "name value", "{name} stands at {value}"),
    # -- alarms -----------------------------------------------------------------------------
    ("alarm.state", "info", "alarm old new priority text condition detail", "Alarm {said}"),
    ("alarm.condition", "info", "alarm state condition text detail", "Alarm {said}"),
    ("alarm.escalated", "warning", "alarm priority number after_s text",
     "Not acknowledged for {after_s} s, call {number}: {text}"),
    ("alarm.silenced", "info", "alarms", "The horn is silenced, not the alarms: {said}"),
    ("alarm.carried", "info", "part parts alarms", "Alarms that go on{said}"),
    ("annunciator.lost", "critical", "why", "The annunciator is lost: {why}"),
    ("annunciator.back", "info", "seconds", "The annunciator answers again, after {seconds} s"),
    ("annunciator.none", "warning", "batch_id", "Nobody hears an alarm but at the screen"),
    ("callout.done", "warning", "alarm number exit_code why",
     "Call {number} for {alarm} went out: {said}"),
    # -- record -----------------------------------------------------------------------------
    ("history.chunk", "info", "first_scan last_scan rows sha256 file", "History chunk {file}"),
    ("history.tags", "info", "from to rows sha256 file", "Values of tags {file}"),
    ("history.no_tables", "warning", "why",
     "The history is in the log, but not as tables: {why}"),
    ("history.not_mirrored", "warning", "why",
     "The SQLite copy of the process history is not kept: {why}"),
    ("blob.stored", "info", "name bytes sha256 file", "{name} stored as {file}"),
    ("log.opened", "info", "kind purpose key vkey", "{kind} log opened: {purpose}"),
    ("log.recovered", "alarm", "torn_bytes sha256", "{torn_bytes} torn bytes kept aside"),
    ("record.replaced", "critical", "event why", "A record of {event} could not be kept: {why}"),
    ("supervisor.fault", "critical", "why", "A fault of the supervisor: {why}"),
    ("face.lost", "warning", "face why", "The face {face} failed and is no longer served: {why}"),
    ("disk.enough", "info", "free_mb rest_mb hours", "The disk has space again: {free_mb} MB"),
    ("disk.low", "warning", "free_mb rest_mb hours",
     "The disk gets full: {free_mb} MB are free, the rest of the batch may take {rest_mb} MB"),
    ("disk.critical", "alarm", "free_mb rest_mb hours",
     "The disk is all but full: {free_mb} MB are free, enough for {hours} h"),
    ("log.gap", "alarm", "begin end records why",
     "The log was down from {begin} to {end} ({why}); {records} records kept aside stand before"
     " this one"),
    ("emergency.full", "critical", "kept", "Only the first {kept} records are kept in memory"),
    ("batch.was_closed", "warning", "batch_id", "Batch {batch_id} was sealed but still named open"),
    ("log.failed", "critical", "why", "The log cannot be written: {why}"),
    ("checkpoint.witnessed", "info", "origin size root witness time",
     "Witness {witness} has seen {size} records of {origin}"),
    ("checkpoint.timestamped", "info", "origin size authority time trusted sha256",
     "The end of {origin}, {size} records, is time-stamped {time} by {authority}{said}"),
    ("timestamp.failed", "warning", "authority why", "No time-stamp from {authority}: {why}"),
    ("witness.lost", "warning", "witness why seconds",
     "Witness {witness} has not answered for {seconds} s: {why}"),
    ("witness.back", "info", "witness seconds",
     "Witness {witness} answers again, after {seconds} s"),
    ("log.rolled_back", "critical", "origin size root witness seen_size seen_root",
     "ROLLED BACK: witness {witness} has seen {seen_size} records of {origin}, {size} are here and"
     " do not continue them"),
    ("station.started", "info", "unit software profile rights", "Station started for {unit}"),
    ("simulation.hands", "info", "action data", "At the vessel: {action}{said}"),
    # -- qualification ----------------------------------------------------------------------
    ("qualification.run", "info", "run stage state unit config selection cases",
     "Run {run} {state}"),
    ("qualification.planned", "info", "run case title digest file",
     "{run} {case}: criteria fixed, plan {digest}"),
    ("qualification.step", "info", "run case step state", "{run} {case}: step {step} {state}"),
    ("qualification.measured", "info", "run case step name criterion actual verdict",
     "{run} {case}: step {step}, {name}: {criterion}; {actual}: {verdict}"),
    ("qualification.case", "info", "run case verdict executed",
     "{run} {case}: {verdict}, protocol {executed}"),
    ("qualification.deviation", "alarm", "deviation run case what where means todo",
     "Deviation {deviation}, {run} {case}: {what}"),
    ("qualification.reviewed", "info", "stage run verdict executed",
     "{stage}, run {run}: {verdict}"),
    # -- recipe -----------------------------------------------------------------------------
    ("loop.again", "info", "path count", "{path}: round {count} is over, once more"),
    ("loop.limit", "warning", "path count", "{path}: {count} rounds, the most there may be"),
    ("selection.taken", "info", "path branch cause", "{path} takes the way of: {cause}"),
    ("parameter.resolved", "info", "path name value source", "{path}: {name} = {value} ({source})"),
    ("exception.taken", "alarm", "path operation target cause",
     "{path}: {cause}; {operation} ends and {target} follows"),
    ("part.held", "alarm", "path cause", "{path} is held: {cause}"),
    ("procedure.reset", "info", "path", "{path} may run again"),
    ("step.re_entry", "info", "path index at", "{path} goes on from step {nth}"),
    ("recipe.changed", "alarm", "deviation id change path after name old new check second",
     "Deviation {deviation}: {said}"),
    ("change.refused", "warning", "change path name new why",
     "Change of {path} refused ({change} {name} {new}): {why}"),
    ("control.result", "info", "control prompt_id name value limits within then",
     "{control}: {name} = {value}, limits {limits}: {said}"),
    ("deviation.recorded", "alarm", "deviation id target what second",
     "Deviation {deviation}, {target}: {what}"),
    ("step.skipped", "info", "path index text", "{path} step {nth} skipped: {text}"),
    ("step.condition", "info", "path index part holds",
     "{path} step {nth}: part {part} {said}"),
    ("step.followed", "info", "path index target value", "{path} step {nth}: {target} = {value}"),
    ("step.unknown", "alarm", "path index text", "{path} step {nth}: value unknown: {text}"),
    ("prompt.repeat", "warning", "prompt_id value predicted",
     "{prompt_id}: {value} is outside 0.5 to 2 times {predicted}; again, with a second person"),
)


@dataclass(frozen=True, slots=True)
class Event:
    """One event as it happened: what, when, who in which role, why, and its declared fields.

    `data` values are strings, bools, ints below 2**53, None, and lists or dicts of those; measured
    numbers are decimal strings (see `quantity.decimal_text`). Raises ValueError for anything else.
    `source` is the entry of field's rings it was made from, `GENERATION.RING.SEQUENCE`, or empty.
    """

    name: str
    stamp: Stamp
    actor: str = "system"
    role: str = ""
    reason: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""

    def __post_init__(self) -> None:
        kind = EVENTS.get(self.name)
        if kind is None:
            raise ValueError(f"unknown event {self.name!r}")
        if set(self.data) != set(kind.fields):
            odd = sorted(set(self.data) ^ set(kind.fields))
            raise ValueError(f"event {self.name}: fields {odd} are missing or not declared")
        for name, value in self.data.items():
            check_recordable(value, f"{self.name}.{name}")
        if len(self.reason) > MAX_TEXT:
            raise ValueError(f"event {self.name}: the reason is longer than {MAX_TEXT} characters")

    @property
    def severity(self) -> Severity:
        """The declared severity."""
        return EVENTS[self.name].severity

    def words(self) -> str:
        """The event as a person reads it."""
        return EVENTS[self.name].words(self.data)


def check_recordable(value: Any, where: str, depth: int = 0) -> None:
    """Raises ValueError for a value the record cannot hold exactly (floats, huge integers)."""
    if value is None or isinstance(value, bool):
        return
    if isinstance(value, str):
        if len(value) > MAX_TEXT:
            raise ValueError(f"{where}: text longer than {MAX_TEXT} characters")
    elif isinstance(value, int):
        if abs(value) >= 2**53:
            raise ValueError(f"{where}: {value} is beyond 2**53, record it as text")
    elif isinstance(value, float):
        hint = "not finite" if not math.isfinite(value) else "a binary float"
        raise ValueError(f"{where}: {value} is {hint}; record a decimal string")
    elif isinstance(value, Mapping) and depth < 4 and len(value) <= 256:
        for key, part in value.items():
            check_recordable(part, f"{where}.{key}", depth + 1)
    elif isinstance(value, list | tuple) and depth < 4 and len(value) <= 1024:
        for part in value:
            check_recordable(part, where, depth + 1)
    else:
        raise ValueError(f"{where}: {type(value).__name__} cannot be recorded")
