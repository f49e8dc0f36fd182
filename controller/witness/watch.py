"""The threads that ask a station's witnesses and its time-stamping authority, one thread each.

A module because nothing here may make a tick or a record wait: the logs are read by their newest
checkpoint alone, what is to be recorded waits in a queue with a limit, and one that is down keeps
no other from being asked.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from controller.core.clock import NS_PER_S, Clock
from controller.core.events import Event
from controller.core.quantity import decimal_text
from controller.record.publish import Published
from controller.witness.asking import Asked, Forked, Lost, WitnessAt
from controller.witness.http import words
from controller.witness.subject import Subject, Turn

LOST_NS = 30 * NS_PER_S
IDLE_S = 1.0
SUBJECTS_MAX = 64
EVENTS_MAX = 256


@dataclass(frozen=True, slots=True)
class RolledBack:
    """A witness has seen more of a log, or another one, than there is now."""

    event: Event
    held: bool
    words: str


class Watch:
    """What is watched, by whom, and what is to be recorded of it."""

    def __init__(self, witnesses: Sequence[WitnessAt], clock: Clock) -> None:
        self.events: deque[Event] = deque(maxlen=EVENTS_MAX)
        self.rolled_back: deque[RolledBack] = deque(maxlen=SUBJECTS_MAX)
        self.ended = False
        self._clock = clock
        self._changed = threading.Condition()
        self._subjects: list[Subject] = []
        self._askers: list[Asker] = [Attester(self, Asked(at)) for at in witnesses]

    def add(self, asker: Asker) -> None:
        """One more that is asked; before `start`."""
        self._askers.append(asker)

    @property
    def askers(self) -> list[Asker]:
        """Everybody who is asked."""
        return self._askers

    def start(self) -> None:
        """Starts the threads."""
        for asker in self._askers:
            threading.Thread(target=asker.run, name=f"ask-{asker.name}", daemon=True).start()

    def stop(self) -> None:
        """Lets the threads end after what they do now; nobody waits for them."""
        with self._changed:
            self.ended = True
            self._changed.notify_all()

    def follow(self, subject: Subject) -> None:
        """Watches one more log, or one anew; those that are over are watched no longer."""
        with self._changed:
            kept = [
                each for each in self._subjects
                if each.evidence.path != subject.evidence.path and not self._over(each)
            ]  # fmt: skip
            sealed = [each for each in kept if _sealed(each)]
            written = [each for each in kept if not _sealed(each)]
            self._subjects = [*written, *sealed[-SUBJECTS_MAX:], subject]
            self._changed.notify_all()

    def news(self, published: Published | None = None) -> None:  # noqa: ARG002
        """A checkpoint was published, or somebody has answered. From any thread; does not wait."""
        with self._changed:
            self._changed.notify_all()

    def tried(self, limit_s: float) -> bool:
        """Waits until everybody was asked about every log; False when the time is over."""
        with self._changed:
            return self._changed.wait_for(
                lambda: not any(
                    turn.untried for each in self._subjects for turn in self._open(each)
                ),
                limit_s,
            )

    def sealed(self, limit_s: float) -> bool:
        """Waits until everybody has answered to the seal of what was closed in this run; False
        when the time is over."""
        with self._changed:
            return self._changed.wait_for(
                lambda: all(
                    self._over(each) for each in self._subjects if each.held and _sealed(each)
                ),
                limit_s,
            )

    def due(self, asker: Asker) -> tuple[Subject, Published] | None:
        """The next log somebody is to be asked about; waits up to a second for one."""
        now_ns = self._clock.stamp().mono_ns
        with self._changed:
            found = self._wanted(asker, now_ns)
            if found is None and not self.ended:
                self._changed.wait(IDLE_S)
            return found

    def _wanted(self, asker: Asker, now_ns: int) -> tuple[Subject, Published] | None:
        for subject in self._subjects:
            found = subject.newest()
            if found is not None and not subject.forked and asker.may(found) and (
                subject.turn(asker.name).wants(found, now_ns)
            ):
                return subject, found
        return None

    def _over(self, subject: Subject) -> bool:
        found = subject.newest()
        return found is not None and found.sealed and not self._open(subject)

    def _open(self, subject: Subject) -> list[Turn]:
        """The turns of those who have not answered to a log's newest checkpoint."""
        found = subject.newest()
        if found is None or subject.forked:
            return []
        turns = [subject.turn(asker.name) for asker in self._askers if asker.may(found)]
        return [turn for turn in turns if turn.done != found.note]

    # -- for the askers -------------------------------------------------------------------------

    @property
    def clock(self) -> Clock:
        """The machine's clocks."""
        return self._clock

    def record(self, name: str, **data: str | int | bool) -> None:
        """Queues a record for the station's log."""
        self.events.append(Event(name, self._clock.stamp(), data=data))


class Asker:
    """Somebody who is asked about logs, in a thread of its own."""

    def __init__(self, watch: Watch, name: str) -> None:
        self.name = name
        self._watch = watch
        self._failing: dict[str, int] = {}
        self._lost_ns = -1
        self._heard = False

    def was_lost(self) -> None:
        """The supervisor before this one has said so already; before `Watch.start`."""
        self._lost_ns = self._watch.clock.stamp().mono_ns

    def may(self, found: Published) -> bool:
        """Whether it is asked about such a checkpoint."""
        raise NotImplementedError

    def ask(self, subject: Subject, found: Published, turn: Turn) -> None:
        """Asks once; raises Lost, or OSError when an answer cannot be kept."""
        raise NotImplementedError

    def lost(self, why: str, seconds: str) -> None:
        """It has not answered for a while."""
        raise NotImplementedError

    def back(self, seconds: str) -> None:
        """It answers again."""
        raise NotImplementedError

    def run(self) -> None:
        """The thread."""
        while not self._watch.ended:
            found = self._watch.due(self)
            if found is None:
                continue
            turn = found[0].turn(self.name)
            try:
                self._once(*found, turn)
            except Exception as error:
                self._failed(found[1], turn, f"a fault of ours: {words(error)}")
            turn.untried = False
            self._watch.news()

    def _once(self, subject: Subject, found: Published, turn: Turn) -> None:
        try:
            self.ask(subject, found, turn)
        except Lost as error:
            self._failed(found, turn, str(error))
        except OSError as error:
            self._failed(found, turn, f"its answer cannot be kept: {words(error)}")
        else:
            self._answered(found, turn)

    def _answered(self, found: Published, turn: Turn) -> None:
        now_ns = self._watch.clock.stamp().mono_ns
        turn.answered(found.note, now_ns)
        self._heard = True
        since_ns = self._failing.pop(found.origin, now_ns)
        if self._lost_ns >= 0 and not self._failing:
            self.back(decimal_text(round((now_ns - min(since_ns, self._lost_ns)) / NS_PER_S)))
            self._lost_ns = -1

    def _failed(self, found: Published, turn: Turn, why: str) -> None:
        now_ns = self._watch.clock.stamp().mono_ns
        turn.failed(now_ns)
        since_ns = self._failing.setdefault(found.origin, now_ns)
        if self._lost_ns < 0 and (not self._heard or now_ns - since_ns >= LOST_NS):
            self._lost_ns, turn.told_ns = since_ns, -1
            self.lost(why, decimal_text(round((now_ns - since_ns) / NS_PER_S)))


class Attester(Asker):
    """A witness."""

    def __init__(self, watch: Watch, asked: Asked) -> None:
        super().__init__(watch, asked.key.name)
        self._asked = asked

    def may(self, found: Published) -> bool:  # noqa: ARG002
        """Every checkpoint."""
        return True

    def ask(self, subject: Subject, found: Published, turn: Turn) -> None:
        """See Asker. A rollback is proven once, and asked about no more."""
        try:
            known, cosignature = self._asked.cosigned(found, subject.consistency, subject.newest)
        except Forked as error:
            self._forked(subject, error)
            return
        subject.evidence.witnessed(known, cosignature)
        now_ns = self._watch.clock.stamp().mono_ns
        if turn.tells(found, now_ns):
            self._watch.record(
                "checkpoint.witnessed", origin=found.origin, size=found.size,
                root=found.root.hex(), witness=self.name, time=str(cosignature.time_s),
            )  # fmt: skip

    def lost(self, why: str, seconds: str) -> None:
        """See Asker."""
        self._watch.record("witness.lost", witness=self.name, why=why, seconds=seconds)

    def back(self, seconds: str) -> None:
        """See Asker."""
        self._watch.record("witness.back", witness=self.name, seconds=seconds)

    def _forked(self, subject: Subject, error: Forked) -> None:
        seen, now = error.seen.checkpoint, error.now
        subject.forked = True
        with suppress(OSError):  # the record says it too
            subject.evidence.disputed(error.seen)
        event = Event("log.rolled_back", self._watch.clock.stamp(), data={
            "origin": now.origin, "size": now.size, "root": now.root.hex(), "witness": self.name,
            "seen_size": seen.size, "seen_root": seen.root.hex(),
        })  # fmt: skip
        what = (
            f"the log was rolled back: witness {self.name} has seen {seen.size} records of "
            f"{now.origin}, {now.size} are here and do not continue them"
        )
        self._watch.rolled_back.append(RolledBack(event, subject.held, what))


def _sealed(subject: Subject) -> bool:
    found = subject.newest()
    return found is not None and found.sealed
