"""A deck whose supervisor can be killed at any step it takes, and comes back on the same field."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from supervisor_bench import SHOWN, TICK, YOU, Deck

from controller.field import image as layout
from controller.field import kernel
from controller.field.board import Board
from controller.field.kernel import scan_at
from controller.field.views import Bound
from controller.record.entry import read_records
from controller.record.keys import Keys
from controller.record.state import StateDir
from controller.station import Station


class Killed(BaseException):
    """The process is gone: nobody catches this."""


class MortalDeck(Deck):
    """Counts the supervisor's steps towards the outside, and dies before or after a given one."""

    def __init__(self, path: Path) -> None:
        self.path, self.steps, self.dies_at, self.after = path, 0, -1, False
        self.deaths: Counter[str] = Counter()
        super().__init__(path)
        self.offer = self.station.offer

    def arm(self, steps: int, after: bool) -> None:
        """Dies at the step that many from now."""
        self.dies_at, self.after = self.steps + steps, after

    def watch(self) -> None:
        """Puts the counter between the present supervisor and its logs and its field."""
        board, supervisor = self.station.board, self.supervisor
        for name in ("command", "events_done", "history_done"):
            setattr(board, name, self._step(name, getattr(board, name)))
        for log in filter(None, (supervisor.station_log, self.station.batch_log)):
            for name in ("append", "sync"):
                setattr(log, name, self._step(name, getattr(log, name)))

    def _step(self, name: str, act: Callable[..., Any]) -> Callable[..., Any]:
        def step(*given: Any) -> Any:
            self.steps += 1
            if self.steps == self.dies_at and not self.after:
                self.deaths[f"before {name}"] += 1
                raise Killed
            result = act(*given)
            if self.steps == self.dies_at and self.after:
                self.deaths[f"after {name}"] += 1
                raise Killed
            return result

        return step

    def drop(self) -> None:
        """What the kernel does with a killed process: its files are let go, nothing is written."""
        for log in (self.supervisor.station_log, self.station.batch_log):
            if log is not None:
                log.close()

    def field_board(self) -> Board:
        """A fresh view of the field that runs on."""
        return Board(self.station.image, self.profile.index)

    def come_back(self, board: Board | None = None, older: tuple[Board, ...] = ()) -> None:
        """A new supervisor, from what is on the disk and in the region."""
        stamp = self.clock.stamp()
        self.station = Station(
            self.profile, self.offer, StateDir(self.path, self.disk), Keys.from_seed(1), self.disk,
            stamp, board or self.field_board(),
        )  # fmt: skip
        self.supervisor = self.station.supervisor
        self.told.clear()
        self.supervisor.listeners.append(self._listen)
        self.watch()
        if self.station.found_open:
            self.station.take_up(stamp, older)

    def scan_alone(self, seconds: float) -> None:
        """Field goes on without a supervisor."""
        for _ in range(round(seconds * 10)):
            self.clock.advance_to(self.clock.now_ns + TICK)
            self._sample()
            scan_at(self.handles, self.clock.now_ns)

    def run(self, seconds: float) -> None:
        """As the deck does; `handles` outlive the station that made them."""
        if not hasattr(self, "handles"):
            self.handles = self.station.bound.handles
        for count in range(round(seconds * 10)):
            self.clock.advance_to(self.clock.now_ns + TICK)
            self._sample()
            scan_at(self.handles, self.clock.now_ns)
            if count % 10 == 9 or seconds < 1:
                self.supervisor.tick(self.clock.stamp())

    def logs(self) -> list[dict[str, Any]]:
        """Every durable record of the station and the batch."""
        state = self.station.state_dir
        found = list(read_records(state.station))
        if state.batch_log("B-1").is_dir():
            found += list(read_records(state.batch_log("B-1")))
        return found


def sources(records: list[dict[str, Any]], ring: str) -> dict[int, list[int]]:
    """Sequences recorded of one ring, by generation, in the order of the records."""
    found: dict[int, list[int]] = {}
    for record in records:
        generation, _, rest = record.get("source", "").partition(".")
        name, _, sequence = rest.rpartition(".")
        if name == ring:
            found.setdefault(int(generation), []).append(int(sequence))
    return found


def restart_field(deck, batch_open=True):
    """Another field process: a new image, adopting what its devices say."""
    generation = deck.station.board.generation + 1
    image = layout.create(deck.profile.plan, deck.clock.now_ns, generation)
    bound = Bound(deck.profile.plan, image)
    kernel.initialise_at(bound.handles, deck.clock.now_ns, batch_open)
    deck.bound, deck.handles = bound, bound.handles
    deck.station.board = Board(image, deck.profile.index)
    return deck.station.board


def skid_says(deck):
    """What the devices stand at, whatever a new field knows."""
    deck.values |= {tag: deck.out(name) for tag, name in SHOWN.items()}
    stood = dict(deck.values)
    out = deck.out

    def known(name):
        value = out(name)
        tags = [tag for tag, shown in SHOWN.items() if shown == name]
        return value if value == value else stood[tags[0]]

    deck.out = known


def prepared(deck):
    """Running, with setpoints, modes, outputs, a latched row and a bypass to be given again."""
    deck.run(3)
    people = {"reason": "test", "second": YOU}
    deck.ask("set_output", "stirrer", "150")
    deck.ask("set_output", "air", "120")
    deck.ask("set_sp", "TIC101", "36.5")
    deck.ask("set_mode", "TIC101", "auto")
    deck.ask("set_mode", "TIC103", "cascade")
    deck.ask("set_flag", "lineup", "1", **people)
    deck.ask("bypass", "2", "600;the jacket is watched", **people)
    deck.values["PT101"] = 4.6
    deck.run(2)
    deck.values["PT101"] = 1.0
    deck.run(70)
    assert deck.supervisor.orders.latched.keys() == {"6"}
    assert deck.supervisor.procedure_state == "Held"


def given_again(deck, generation):
    """What a new field must have after it was given everything again."""
    image, profile = deck.station.board.image, deck.profile
    mode = {loop: int(image.loops[i]["mode"]) for i, loop in enumerate(profile.loops)}
    assert (mode["TIC101"], mode["TIC103"]) == (2, 3)
    assert float(image.loops[profile.loops.index("TIC101")]["sp"]) == 36.5
    assert deck.out("stirrer") == 150
    assert (deck.flag("environment"), deck.flag("lineup"), deck.flag("restarted")) == (1, 1, 0)
    assert deck.flag("unit_held") == 1
    rows = {cause.row: i for i, cause in enumerate(profile.causes)}
    assert image.causes[rows["6"]]["latched"] == 1
    assert image.causes[rows["restart"]]["latched"] == 1
    names = [r["event"] for r in deck.logs()]
    restarted = [r for r in deck.logs() if r["event"] == "field.restarted"]
    assert [r["data"]["generation"] for r in restarted] == [generation]
    assert names.count("field.restored") == 1
    restored = next(r for r in deck.logs() if r["event"] == "field.restored")
    assert restored["data"]["refused"] == ""
    assert names.count("bypass.lapsed") == 1
    assert deck.supervisor.procedure_state == "Held"
