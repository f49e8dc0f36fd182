"""What the kernel's event numbers mean in words: ring entries become events of the record."""

from __future__ import annotations

import math

from controller.core.clock import Stamp
from controller.core.events import Event
from controller.core.quantity import decimal_text
from controller.core.signal import Quality, Reason
from controller.core.wording import NO_SECOND
from controller.field.board import Board, KernelEvent
from controller.field.links.bridge_notes import read_note
from controller.field.links.note import Note, NoteKind
from controller.field.ring import EventKind
from controller.profile.compile import Profile
from controller.profile.plan import Action, Fallback


def shown(value: float) -> str:
    """A number of field as text; one that is not finite is said, never recorded as a number."""
    return decimal_text(value) if math.isfinite(value) else "not finite"


_FALLBACKS = {Fallback.OTHER: "other sensor", Fallback.MEAN: "10 min mean", Fallback.VALUE: "value"}
_PERMIT = {EventKind.CAUSE_ACTIVE: "permit.withdrawn", EventKind.CAUSE_CLEARED: "permit.given"}

_ONLY_BAD = 2  # what `matrix.vote` says of a vote reached because signals are bad
_OWN = {NoteKind.STARTED: "field.started", NoteKind.STOPPING: "field.stopping"}


class Translator:
    """Words for one profile. Commands' answers are not translated here: they are the desk's."""

    def __init__(self, profile: Profile, board: Board) -> None:
        self._profile, self._board = profile, board
        self._blind: dict[int, str] = {}

    def kernel(self, found: KernelEvent, stamp: Stamp) -> Event | None:
        """The event of one ring entry, or None for commands' answers."""
        kind = EventKind(found.kind)
        index, scan = found.index, found.scan
        if kind in (EventKind.CAUSE_ACTIVE, EventKind.CAUSE_CLEARED, EventKind.CAUSE_RESET,
                    EventKind.RESET_REFUSED, EventKind.BYPASS_LAPSED):  # fmt: skip
            return self._cause(kind, found, stamp)
        if kind is EventKind.VALIDITY:
            cause = self._profile.causes[index]
            return Event("row.valid" if found.a > 0.5 else "row.not_valid", stamp, data={
                "row": cause.row, "title": cause.title, "scan": scan})  # fmt: skip
        if kind is EventKind.ACTION:
            cause = self._profile.causes[index]
            action = Action(int(found.a)).name.lower()
            title = self._blind.get(index, cause.title)
            return Event("row.asks", stamp, data={
                "row": cause.row, "title": title, "action": action, "scan": scan,
            })  # fmt: skip
        if kind is EventKind.OVERRUN:
            return Event("scan.late", stamp, data={
                "late": index, "long": int(found.a), "missed": int(found.b)})  # fmt: skip
        if kind in (EventKind.EFFECT_ON, EventKind.NOT_CONFIRMED, EventKind.CONFIRMED):
            return self._effect(kind, found, stamp)
        if kind is EventKind.QUALITY:
            new, reason = divmod(int(found.b), 100)
            return Event("quality.changed", stamp, data={
                "tag": self._profile.signals[index], "old": Quality(int(found.a)).name.lower(),
                "new": Quality(new).name.lower(), "reason": Reason(reason).words, "scan": scan,
            })  # fmt: skip
        if kind is EventKind.FALLBACK:
            words = _FALLBACKS[Fallback(int(found.a))]
            return Event("loop.fallback", stamp, data={
                "loop": self._profile.loops[index], "fallback": words, "scan": scan})  # fmt: skip
        if kind is EventKind.RESTORED:
            loop = self._profile.loops[index]
            return Event("loop.restored", stamp, data={"loop": loop, "scan": scan})
        if kind is EventKind.BYPASS_SET:
            return Event("bypass.set", stamp, data={
                "row": self._profile.causes[index].row, "until": f"{found.a:.0f} s", "scan": scan,
            })  # fmt: skip
        return None

    def _cause(self, kind: EventKind, found: KernelEvent, stamp: Stamp) -> Event:
        cause = self._profile.causes[found.index]
        if kind is EventKind.BYPASS_LAPSED:
            return Event("bypass.lapsed", stamp, data={"row": cause.row, "scan": found.scan})
        data: dict[str, object] = {"row": cause.row, "title": cause.title, "scan": found.scan}
        if cause.kind == "permit" and kind in _PERMIT:
            return Event(_PERMIT[kind], stamp, data=data)
        if cause.kind == "procedure":
            data["stands"] = kind is EventKind.CAUSE_ACTIVE
            return Event("procedure.rule", stamp, data=data)
        if kind is EventKind.CAUSE_ACTIVE:
            data["title"] = self._why(found)
            data["first_out"] = int(found.a)
            data["signals"] = [self._shown(name) for name in dict.fromkeys(cause.signals)]
            return Event("cause.active", stamp, data=data)
        if kind is EventKind.CAUSE_CLEARED:
            data["latched"] = found.a > 0.5
            return Event("cause.cleared", stamp, data=data)
        name = "cause.reset" if kind is EventKind.CAUSE_RESET else "cause.reset_refused"
        return Event(name, stamp, data=data)

    def _effect(self, kind: EventKind, found: KernelEvent, stamp: Stamp) -> Event:
        row, output = self._profile.effects[found.index]
        data: dict[str, object] = {
            "row": row, "output": output, "value": shown(found.a), "scan": found.scan,
        }  # fmt: skip
        if kind is EventKind.NOT_CONFIRMED:
            second = int(self._profile.plan.effects[found.index]["second_output"])
            data["second"] = self._profile.outputs[second] if second >= 0 else NO_SECOND
            return Event("effect.not_confirmed", stamp, data=data)
        name = "effect.applied" if kind is EventKind.EFFECT_ON else "effect.confirmed"
        return Event(name, stamp, data=data)

    def _why(self, found: KernelEvent) -> str:
        """What a row acts on: its title, unless it only does not know."""
        cause = self._profile.causes[found.index]
        if int(found.b) != _ONLY_BAD:
            self._blind.pop(found.index, None)
            return cause.title
        signals = list(dict.fromkeys(cause.signals))
        bad = [name for name in signals if self._board.read(name).quality is Quality.BAD]
        named = bad or signals
        what = f"signal {named[0]} is" if len(named) == 1 else f"signals {' and '.join(named)} are"
        words = f"its {what} bad ({cause.title})"
        self._blind[found.index] = words
        return words

    def _shown(self, name: str) -> str:
        reading = self._board.read(name)
        if reading.quality is Quality.BAD:
            return f"{name} bad: {reading.reason.words}"
        return f"{name} = {shown(reading.value)}"

    def note(self, link: str, note: Note, stamp: Stamp, source: str = "") -> Event:
        """The event of what a link or field itself has to say: every note is one record.

        `source` is where it lay, `GENERATION.RING.SEQUENCE`, or empty for a ring in the rig.
        """
        if note.kind in _OWN:
            generation = int(source.partition(".")[0] or self._board.generation)
            return Event(_OWN[note.kind], stamp, data={
                "generation": generation, "words": note.what})  # fmt: skip
        if note.kind is NoteKind.BOARD:
            return self._of_board(link, note, stamp)
        output = self._profile.outputs[note.output] if note.output >= 0 else ""
        base: dict[str, object] = {"link": link, "device": note.device}
        if note.kind in (NoteKind.SENT, NoteKind.CONFIRMED):
            return Event("link.write", stamp, data={
                **base, "output": output, "value": shown(note.value),
                "frame": note.frame.hex(), "confirmed": note.kind is NoteKind.CONFIRMED,
            })  # fmt: skip
        if note.kind is NoteKind.MISMATCH:
            return Event("link.verify", stamp, data={
                **base, "output": output, "wanted": shown(note.value),
                "found": shown(note.found), "count": note.count,
            })  # fmt: skip
        if note.kind in (NoteKind.LOST, NoteKind.RESTORED) and not note.device:
            state = "lost" if note.kind is NoteKind.LOST else "restored"
            return Event("link.state", stamp, data={
                "link": link, "state": state, "why": note.what[:500]})  # fmt: skip
        if note.kind is NoteKind.IDENTIFIED:
            return Event("link.identified", stamp, data={**base, "what": note.what[:200]})
        what = f"{note.kind.value} {output} {note.what}".replace("  ", " ")[:200]
        return Event("link.fault", stamp, data={**base, "what": what, "count": note.count})

    def _of_board(self, link: str, note: Note, stamp: Stamp) -> Event:
        """What an I/O board tells; the title of a row of its own table is the unit's."""
        told, fields = read_note(note)
        data: dict[str, object] = {"link": link, "device": note.device, **fields}
        if "row" in fields:
            titles = {cause.row: cause.title for cause in self._profile.causes}
            data["title"] = titles[str(fields["row"])]
        return Event(told.value, stamp, data=data)


def replaced(what: str, stamp: Stamp, error: Exception, source: str) -> Event:
    """The record in place of one that cannot be made or stored."""
    data = {"event": what, "why": ascii(str(error))[:300]}
    return Event("record.replaced", stamp, data=data, source=source)
