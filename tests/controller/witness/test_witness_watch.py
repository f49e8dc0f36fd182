"""A station and its witnesses: what is recorded, what is kept, and what a rollback leads to."""

from __future__ import annotations

import shutil

import pytest
from supervisor_bench import YOU, Deck
from takeup_bench import MortalDeck
from witness_rig import again, answering, copy_of, fake, grow, new_log, now, until, witness

from controller.core.clock import RealClock
from controller.core.errors import RecordFailure
from controller.record.files import VolatileFiles
from controller.record.keys import Keys
from controller.record.layout import read_identity
from controller.record.show import rows
from controller.record.verify import verify
from controller.witness.asking import Asked, WitnessAt
from controller.witness.cosign import open_cosigned
from controller.witness.evidence import Evidence, evidence_of, lacking
from controller.witness.station import StationWatch
from controller.witness.subject import Subject
from controller.witness.watch import Watch

DECK = Keys.from_seed(1)  # the keys of the deck


@pytest.fixture
def own(tmp_path):
    """A witness of this test alone: every deck has the same keys, so the same logs."""
    with witness(tmp_path / "w", keys=DECK) as found:
        yield found


def watch_of(deck: Deck, *at: WitnessAt) -> StationWatch:
    return StationWatch(deck.station, at, RealClock(), VolatileFiles())


def turn_until(deck: Deck, watch: StationWatch, name: str, **data: object) -> dict[str, object]:
    """Beats until an event was recorded and told; its data."""

    def told() -> dict[str, object] | None:
        watch.due(deck.clock.stamp())
        deck.run(1)
        return next(
            (each.data for each in deck.told if each.name == name
             and all(each.data[key] == value for key, value in data.items())), None,
        )  # fmt: skip

    found = until(told, f"{name} {data}")
    assert isinstance(found, dict)
    return found


def finish(deck: Deck) -> None:
    """The batch ends and is sealed."""
    deck.ask("abort", reason="bench")
    deck.run(5)
    deck.ask("end_environment", reason="empty", second=YOU)
    deck.run(3)
    deck.station.close_batch(deck.clock.stamp())


def test_a_batch_ends_with_a_witnessed_final_checkpoint(own, tmp_path):
    deck = Deck(tmp_path / "state")
    watch = watch_of(deck, own.at)
    watch.first(deck.clock.stamp())
    deck.open()
    watch.due(deck.clock.stamp())
    log = deck.station.batch_log
    finish(deck)
    watch.finish(quick=False)
    deck.run(1)
    found = log.published
    assert found.sealed
    data = (tmp_path / "state" / "batches" / "B-1" / "evidence" / "witnessed").read_bytes()
    cosigned = open_cosigned(data, read_identity(log.directory).log, (own.at.key,))
    assert cosigned.checkpoint.sealed
    assert [each.key for each in cosigned.cosignatures] == [own.at.key]
    told = [row["data"] for row in rows(tmp_path / "state" / "station")
            if row["event"] == "checkpoint.witnessed"]  # fmt: skip
    assert told[-1]["origin"] == found.origin
    assert (told[-1]["size"], told[-1]["root"]) == (found.size, found.root.hex())
    assert verify(log.directory, expect_sealed=True, deep=True).ok
    assert verify(tmp_path / "state" / "station", expect_sealed=False, deep=True).ok
    assert (tmp_path / "state" / "station.evidence" / "witnessed").exists()


def test_a_state_directory_put_back_to_an_earlier_copy_is_held_when_it_is_taken_up(
    own, tmp_path
):
    deck = MortalDeck(tmp_path / "state")
    watch = watch_of(deck, own.at)
    watch.first(deck.clock.stamp())
    deck.open()
    deck.run(3)
    copy_of(tmp_path / "state", tmp_path / "copy")
    deck.ask("set_output", "stirrer", "150")
    origin = deck.station.batch_log.published.origin
    deck.station.batch_log.checkpoint(deck.clock.stamp())
    turn_until(deck, watch, "checkpoint.witnessed", origin=origin)
    until(lambda: _seen(own, origin) == deck.station.batch_log.published.size, "the last one")
    watch.finish(quick=True)
    deck.drop()
    shutil.rmtree(tmp_path / "state")
    (tmp_path / "copy").rename(tmp_path / "state")
    for log in (tmp_path / "state" / "station", *tmp_path.glob("state/batches/*/log")):
        assert verify(log, expect_sealed=False, deep=True).ok
    deck.come_back_watched(own.at)
    assert deck.watch.held
    assert "rolled back" in deck.supervisor.failed
    assert deck.supervisor.procedure_state == "Running"
    deck.watch.due(deck.clock.stamp())
    deck.run(5)
    assert deck.supervisor.procedure_state in ("Holding", "Held")
    assert deck.flag("unit_held") == 1
    names = deck.names()
    assert {"log.failed", "log.rolled_back", "unit.hold"} <= set(names)
    told = deck.last("log.rolled_back").data
    assert told["seen_size"] > told["size"]
    assert "rollback" in {each.name.partition(":")[0] for each in deck.supervisor.alarms.active()}
    before = deck.out("stirrer")
    deck.ask("set_output", "stirrer", "99")
    assert deck.out("stirrer") == before
    disputed = list((tmp_path / "state").rglob("disputed"))
    assert disputed
    deck.watch.finish(quick=True)


def _seen(own, origin: str) -> int:
    status, body = own.get(f"/checkpoint/{origin}")
    return int(body.split(b"\n")[1]) if status == 200 else 0


def come_back_watched(self: MortalDeck, at: WitnessAt) -> None:
    """As `come_back`, with the question between the start and the batch, as the supervisor asks."""
    take_up = self.station.__class__.take_up

    def asked_first(station, stamp, older=()):
        self.watch = StationWatch(station, [at], RealClock(), VolatileFiles())
        self.watch.first(stamp)
        take_up(station, stamp, older)

    self.station.__class__.take_up = asked_first
    try:
        self.come_back()
    finally:
        self.station.__class__.take_up = take_up


MortalDeck.come_back_watched = come_back_watched


def test_without_a_batch_a_station_log_put_back_lets_nothing_begin(own, tmp_path):
    deck = MortalDeck(tmp_path / "state")
    deck.run(3)
    deck.supervisor.station_log.checkpoint(deck.clock.stamp())
    copy_of(tmp_path / "state", tmp_path / "copy")
    deck.ask("set_output", "stirrer", "150")
    log = deck.supervisor.station_log
    log.checkpoint(deck.clock.stamp())
    Asked(own.at).cosigned(log.published, log.consistency)
    grow(log, 300)
    Asked(own.at).cosigned(log.published, log.consistency)
    deck.drop()
    shutil.rmtree(tmp_path / "state")
    (tmp_path / "copy").rename(tmp_path / "state")
    deck.come_back()
    watch = watch_of(deck, own.at)
    with pytest.raises(RecordFailure, match="rolled back"):
        watch.first(deck.clock.stamp())
    watch.finish(quick=True)


def test_a_finished_batch_that_is_not_the_one_seen_is_an_alarm_and_no_hold(own, tmp_path):
    deck = Deck(tmp_path / "state")
    deck.open()
    log = deck.station.batch_log
    log.checkpoint(deck.clock.stamp())
    copy_of(log.directory, tmp_path / "seen")
    finish(deck)
    other = grow(again(tmp_path / "seen", keys=DECK), 400)
    other.seal(now())
    Asked(own.at).cosigned(other.published, other.consistency)
    watch = watch_of(deck, own.at)
    watch.first(deck.clock.stamp())
    told = turn_until(deck, watch, "log.rolled_back", origin=log.published.origin)
    assert (told["size"], told["seen_size"]) == (log.published.size, other.published.size)
    assert not deck.supervisor.failed
    assert not watch.held
    assert any(each.name.startswith("rollback:") for each in deck.supervisor.alarms.active())
    assert (evidence_of(log.directory) / "disputed").exists()
    watch.finish(quick=True)


def test_one_witness_that_is_down_keeps_no_other_from_answering(own, tmp_path):
    deck = Deck(tmp_path / "state")
    gone = fake("http://127.0.0.1:9")
    watch = watch_of(deck, gone, own.at)
    watch.first(deck.clock.stamp())
    deck.open()
    lost = turn_until(deck, watch, "witness.lost", witness="witness.example/fake")
    assert "efused" in lost["why"]
    origin = deck.station.batch_log.published.origin
    turn_until(deck, watch, "checkpoint.witnessed", origin=origin, witness=own.at.key.name)
    assert not deck.supervisor.failed
    assert deck.supervisor.procedure_state == "Running"
    assert "witness:witness.example/fake" in {
        each.name for each in deck.supervisor.alarms.active()
    }
    assert len([each for each in deck.told if each.name == "witness.lost"]) == 1
    watch.finish(quick=True)


def test_a_witness_that_comes_back_is_recorded_and_has_seen_the_seal(tmp_path):
    deck = Deck(tmp_path / "state")
    with witness(tmp_path / "w", keys=DECK) as first:
        port, at = first.port, first.at
        watch = watch_of(deck, at)
        watch.first(deck.clock.stamp())
        deck.open()
        watch.due(deck.clock.stamp())
    log = deck.station.batch_log
    finish(deck)
    watch.finish(quick=True)
    assert lacking(log.directory, [at.key], stamped=False) is not None
    with witness(tmp_path / "w", keys=DECK, port=port) as second:
        assert second.at == at
        later = watch_of(deck, at)  # the next start of the station
        later.first(deck.clock.stamp())
        turn_until(deck, later, "checkpoint.witnessed", origin=log.published.origin,
                   size=log.published.size)  # fmt: skip
        assert lacking(log.directory, [at.key], stamped=False) is None
        later.finish(quick=True)


def test_a_loss_is_told_once_over_a_restart_and_its_alarm_ends_with_the_first_answer(tmp_path):
    deck = MortalDeck(tmp_path / "state")
    with witness(tmp_path / "w", keys=DECK) as first:
        port, at = first.port, first.at
    watch = watch_of(deck, at)
    watch.first(deck.clock.stamp())
    turn_until(deck, watch, "witness.lost")
    watch.finish(quick=True)
    deck.drop()
    deck.come_back()
    alarm = f"witness:{at.key.name}"
    assert deck.supervisor.alarms.stands(alarm)
    watch = watch_of(deck, at)
    watch.first(deck.clock.stamp())
    deck.run(1)
    assert "witness.lost" not in deck.names()
    with witness(tmp_path / "w", keys=DECK, port=port):
        turn_until(deck, watch, "witness.back", witness=at.key.name)
        watch.finish(quick=True)
    assert not deck.supervisor.alarms.stands(alarm)
    events = [row["event"] for row in rows(tmp_path / "state" / "station")]
    assert events.count("witness.lost") == 1


def test_two_witnesses_stand_under_one_checkpoint(own, tmp_path):
    log = grow(new_log(tmp_path / "log", keys=DECK, purpose="batch two"), 40)
    with witness(tmp_path / "w2", keys=DECK) as other:
        watch = Watch([own.at, other.at], RealClock())
        watch.follow(Subject.of(log, VolatileFiles()))
        watch.start()
        log.seal(now())
        watch.news()
        assert watch.sealed(20)
        watch.stop()
        data = (evidence_of(log.directory) / "witnessed").read_bytes()
        found = open_cosigned(data, read_identity(log.directory).log, (own.at.key, other.at.key))
        assert {each.key for each in found.cosignatures} == {own.at.key, other.at.key}
        assert found.checkpoint.sealed
        names = [(each.name, each.data["witness"]) for each in watch.events]
        for at in (own.at, other.at):
            assert ("checkpoint.witnessed", at.key.name) in names


def test_a_cosignature_kept_before_stays_when_another_witness_signs_the_same(own, tmp_path):
    log = grow(new_log(tmp_path / "log", keys=DECK, purpose="batch kept"), 4)
    with witness(tmp_path / "w2", keys=DECK) as other:
        known = (own.at.key, other.at.key)
        path = evidence_of(log.directory) / "witnessed"

        def kept() -> tuple[int, list[str]]:
            found = open_cosigned(path.read_bytes(), read_identity(log.directory).log, known)
            return found.checkpoint.size, [each.key.name for each in found.cosignatures]

        first = Asked(own.at).cosigned(log.published, log.consistency)
        Evidence(log.directory, VolatileFiles()).witnessed(*first)
        second = Asked(other.at).cosigned(log.published, log.consistency)
        Evidence(log.directory, VolatileFiles()).witnessed(*second)  # another start
        assert kept() == (5, [own.at.key.name, other.at.key.name])
        newer = Asked(own.at).cosigned(grow(log, 3).published, log.consistency)
        evidence = Evidence(log.directory, VolatileFiles())
        evidence.witnessed(*newer)
        evidence.witnessed(*second)  # of an older checkpoint: too late
        assert kept() == (8, [own.at.key.name])
        path.write_bytes(b"spoiled")
        evidence.witnessed(*newer)
        assert kept() == (8, [own.at.key.name])


def test_who_only_sits_on_the_network_cannot_hold_a_unit_with_what_the_log_signed(tmp_path):
    log = grow(new_log(tmp_path / "log", keys=DECK, purpose="batch net"), 4)

    def answer(path: str, _: bytes) -> tuple[int, bytes]:
        if path == "/add-checkpoint":
            grow(log, 1)
            return 409, b"%d\n" % log.published.size
        return 200, log.published.note

    with answering(answer) as url:
        watch = Watch([fake(url)], RealClock())
        watch.follow(Subject.of(log, VolatileFiles()))
        watch.start()
        found = until(lambda: list(watch.events), "a record")[0]
        watch.stop()
    assert found.name == "witness.lost"
    assert not watch.rolled_back


def test_evidence_that_cannot_be_kept_is_a_witness_that_is_lost(own, tmp_path):
    class Full(VolatileFiles):
        def replace(self, path, data):
            raise OSError(28, "No space left on device")

    log = grow(new_log(tmp_path / "log", keys=DECK, purpose="batch full"), 4)
    watch = Watch([own.at], RealClock())
    watch.follow(Subject.of(log, Full()))
    watch.start()
    found = until(lambda: list(watch.events), "a record")[0]
    watch.stop()
    assert found.name == "witness.lost"
    assert "No space left on device" in found.data["why"]
