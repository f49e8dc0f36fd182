"""What a batch leaves of its process: values within their bands, gaps where nobody looked."""

from __future__ import annotations

import math
import random
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from takeup_bench import MortalDeck, restart_field, skid_says

from controller.by_exception import BANDS, HEARTBEAT_NS, bands_of
from controller.core.clock import NS_PER_S, VIRTUAL_EPOCH_NS
from controller.core.quantity import CANONICAL
from controller.field.image import SIGNAL
from controller.field.moved import KEPT, MEMORY, keep_moved
from controller.profile.compile import Profile
from controller.profile.plan import SignalKind
from controller.record.process import GAP, TAG, WRITE, Block, Stream, chunk_records, tag_chunk
from controller.record.verify import verify

MOVING = {"TT101": (37.0, 0.04), "AT101": (7.2, 0.01), "AT102": (40.0, 0.6), "WT101": (6014.0, 1.5),
          "LT101": (2.0, 0.01), "PT101": (1.0, 0.03)}  # fmt: skip


def log_of(deck: MortalDeck) -> Path:
    return deck.station.state_dir.batch_log("B-1")


def history(deck: MortalDeck, source: int = TAG) -> tuple[list[str], Block]:
    """Every row of one source, and the names its tags count through."""
    stream = Stream(log_of(deck), growing=True)
    blocks = list(stream.blocks())
    found = np.concatenate(blocks)
    return stream.names.names, found[found["source"] == source]


def looks_of(deck: MortalDeck) -> list[tuple[int, np.ndarray]]:
    """Makes the deck note the image at each look: UTC in ms, and the signals."""
    seen: list[tuple[int, np.ndarray]] = []
    tags = deck.supervisor.historian.tags
    look = tags.look

    def noting(image, stamp):
        now_ns = int(image.head["now_ns"][0])
        seen.append(((VIRTUAL_EPOCH_NS + now_ns) // 1_000_000, image.signals.copy()))
        look(image, stamp)

    tags.look = noting
    return seen


@pytest.fixture
def deck(tmp_path: Path) -> MortalDeck:
    deck = MortalDeck(tmp_path)
    deck.open()
    return deck


def test_the_chunks_of_a_batch_give_the_image_back_within_the_bands(deck: MortalDeck) -> None:
    deck.supervisor.keep_history(deck.clock.stamp())
    looks, chance = looks_of(deck), random.Random(5)
    for second in range(700):
        for tag, (middle, width) in MOVING.items():
            deck.values[tag] = middle + chance.gauss(0, width)
        if second == 300:
            deck.values["AT101"] = math.nan  # a probe that says nothing for a while
        deck.run(1)
    deck.supervisor.keep_history(deck.clock.stamp())
    names, rows = history(deck)
    bands = bands_of(deck.profile)
    assert set(names) == set(deck.profile.signals)
    checked = 0
    for name in deck.profile.signals:
        index = deck.profile.index[name]
        mine = rows[rows["tag"] == names.index(name)]
        assert np.all(np.diff(mine["time_ms"]) >= 0)
        assert np.max(np.diff(mine["time_ms"])) <= HEARTBEAT_NS // 1_000_000 + 1_000
        for time_ms, image in looks:
            row = mine[np.searchsorted(mine["time_ms"], time_ms, "right") - 1]
            assert (row["quality"], row["reason"]) == (
                image["quality"][index], image["reason"][index],
            )  # fmt: skip
            if row["quality"] == 2:
                assert math.isnan(row["value"])
            else:
                assert abs(row["value"] - image["value"][index]) <= bands[index]
            checked += 1
    assert checked == len(deck.profile.signals) * len(looks)
    bad = rows[(rows["tag"] == names.index("AT101")) & (rows["quality"] == 2)]
    assert len(bad) == 1
    quiet = rows[rows["tag"] == names.index("STIRRER_SP")]
    assert len(quiet) <= 4  # what stands still leaves next to nothing
    assert verify(log_of(deck), expect_sealed=False, deep=True).ok


def test_a_killed_supervisor_leaves_a_gap_and_not_a_line(deck: MortalDeck) -> None:
    deck.run(70)
    deck.supervisor.keep_history(deck.clock.stamp())
    known_ms = (VIRTUAL_EPOCH_NS + deck.clock.now_ns) // 1_000_000
    deck.run(5)  # seen, and not stored when it is killed
    deck.drop()
    deck.scan_alone(40)
    deck.values["TT101"] = 36.0
    deck.come_back()
    deck.run(10)
    deck.supervisor.keep_history(deck.clock.stamp())
    names, rows = history(deck)
    gaps = rows[rows["quality"] == GAP]
    assert sorted(gaps["tag"]) == list(range(len(names)))  # every tag, once
    assert set(gaps["time_ms"]) == {known_ms}
    assert np.isnan(gaps["value"]).all()
    after = rows[rows["time_ms"] > known_ms]
    back_ms = int(after["time_ms"].min())
    assert back_ms - known_ms >= 45_000
    assert set(after[after["time_ms"] == back_ms]["tag"]) == set(range(len(names)))
    covers = [tag_chunk(log_of(deck), record)[0] for record in chunk_records(log_of(deck))
              if record["event"] == "history.tags"]  # fmt: skip
    assert [cover.joined for cover in covers].count(False) == 2  # the beginning and the restart
    for before, cover in pairwise(covers):
        assert cover.begin_ms >= before.end_ms
        assert not cover.joined or cover.begin == before.end


def test_a_field_that_stands_still_is_a_gap(deck: MortalDeck) -> None:
    deck.run(10)
    for _ in range(20):  # ticks, and nobody scans
        deck.clock.advance_to(deck.clock.now_ns + NS_PER_S)
        deck.supervisor.tick(deck.clock.stamp())
    deck.run(10)
    deck.supervisor.keep_history(deck.clock.stamp())
    names, rows = history(deck)
    gaps = rows[rows["quality"] == GAP]
    assert len(gaps) == len(names)
    assert rows[rows["time_ms"] > gaps["time_ms"][0]]["time_ms"].min() - gaps["time_ms"][0] > 20_000


def test_another_field_begins_with_every_tag_anew(deck: MortalDeck) -> None:
    deck.run(70)
    skid_says(deck)
    board = restart_field(deck)
    deck.station.field_restarted(board, deck.clock.stamp())
    deck.run(20)
    deck.supervisor.keep_history(deck.clock.stamp())
    names, rows = history(deck)
    assert (rows["quality"] == GAP).sum() == len(names)
    assert verify(log_of(deck), expect_sealed=False, deep=True).ok


def test_a_wall_clock_that_is_set_begins_a_chunk_and_is_no_gap(deck: MortalDeck) -> None:
    deck.run(10)
    deck.clock._epoch_ns += 3_600 * NS_PER_S
    deck.values["TT101"] = 36.5
    deck.run(10)
    deck.supervisor.keep_history(deck.clock.stamp())
    covers = [tag_chunk(log_of(deck), record)[0] for record in chunk_records(log_of(deck))
              if record["event"] == "history.tags"]  # fmt: skip
    assert [cover.joined for cover in covers[-2:]] == [False, True]
    assert covers[-1].begin_ms - covers[-2].end_ms == 3_600_000
    _, rows = history(deck)
    assert not (rows["quality"] == GAP).any()


def test_writes_stand_at_the_time_of_their_scan(deck: MortalDeck) -> None:
    deck.run(30)
    began_ms = (VIRTUAL_EPOCH_NS + deck.clock.now_ns) // 1_000_000
    deck.ask("set_output", "stirrer", "150")
    deck.run(70)
    deck.supervisor.keep_history(deck.clock.stamp())
    names, rows = history(deck, WRITE)
    mine = rows[(rows["tag"] == names.index("stirrer")) & (rows["value"] == 150)]
    assert len(mine) == 1
    assert began_ms <= mine["time_ms"][0] <= began_ms + 3_000
    assert mine["quality"][0] == 0


def test_without_a_batch_nothing_is_kept(tmp_path: Path) -> None:
    deck = MortalDeck(tmp_path)
    deck.run(400)
    deck.supervisor.keep_history(deck.clock.stamp())
    events = [record["event"] for record in deck.logs()]
    assert "station.started" in events
    assert "history.tags" not in events


def test_chunks_come_seldom_while_little_moves(deck: MortalDeck) -> None:
    deck.run(1_000)
    found = [r for r in chunk_records(log_of(deck)) if r["event"] == "history.tags"]
    assert 2 <= len(found) <= 5
    assert sum(record["data"]["rows"] for record in found) < 4 * len(deck.profile.signals)


def test_every_canonical_unit_has_a_band() -> None:
    assert set(CANONICAL.values()) == set(BANDS)


def test_bands_are_above_nothing_and_below_a_tenth_of_a_range(deck: MortalDeck) -> None:
    profile: Profile = deck.profile
    bands = bands_of(profile)
    for index, name in enumerate(profile.signals):
        kind, tag = int(profile.plan.signals["kind"][index]), profile.tags[index]
        if kind == SignalKind.INPUT:
            assert 0 < bands[index] <= (tag.high - tag.low) / 10, name
        elif kind == SignalKind.FLAG:
            assert bands[index] == 0, name
    for loop in profile.plan.loops:
        followed = int(loop["master"]) >= 0
        assert (bands[int(loop["sp_signal"])] > 0) == followed


def test_a_value_that_is_not_finite_is_kept_as_bad_and_once() -> None:
    image, memory, rows = np.zeros(2, SIGNAL), np.zeros(2, MEMORY), np.zeros(20, KEPT)
    memory["band"] = 0.5
    fill = keep_moved(image, memory, rows, 0, 100, -1, 10_000)
    assert fill == 2
    image["value"] = [math.nan, math.inf]
    fill = keep_moved(image, memory, rows, fill, 200, 100, 10_000)
    assert fill == 4
    assert np.isnan(rows["value"][2:4]).all()
    assert (rows["state"][2:4] == 2 * 256 + 3).all()
    assert keep_moved(image, memory, rows, fill, 300, 200, 10_000) == 4
    image["value"] = [0.2, 0.0]
    assert keep_moved(image, memory, rows, fill, 400, 300, 10_000) == 6
    assert rows["value"][4] == 0.2


def test_history_that_cannot_be_a_chunk_is_said_and_stops_no_tick(deck: MortalDeck) -> None:
    deck.run(5)
    tags = deck.supervisor.historian.tags
    units, tags.units = tags.units, ["u" * 100] * len(tags.units)
    deck.supervisor.keep_history(deck.clock.stamp())
    tags.units = units
    deck.run(5)
    deck.supervisor.keep_history(deck.clock.stamp())
    assert deck.last("record.replaced").data["event"] == "history.tags"
    assert not deck.supervisor.failed
    covers = [tag_chunk(log_of(deck), r)[0] for r in chunk_records(log_of(deck))
              if r["event"] == "history.tags"]  # fmt: skip
    assert [cover.joined for cover in covers] == [False]  # it began anew, and says so
