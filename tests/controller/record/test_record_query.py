"""What `log show` answers: filters, the audit trail, an index that is never the truth."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from record_logs import make_log, quality_event, stamp_at
from trail_logs import event, intent, make_trail, outcome, story

from controller.cli.log_show import nothing, print_rows
from controller.core.errors import BadInput, RecordFailure
from controller.record import index
from controller.record.changes import changes, line
from controller.record.files import VolatileFiles
from controller.record.keys import Keys
from controller.record.log import BatchLog
from controller.record.query import Filter, moment, span
from controller.record.show import select, select_all
from controller.record.sources import Source, source_of, sources_of


@pytest.fixture(scope="module")
def trail(tmp_path_factory: pytest.TempPathFactory) -> Source:
    """The log of the story, finished."""
    directory = tmp_path_factory.mktemp("trail") / "B-7" / "log"
    make_trail(directory)
    return source_of(directory.parent)


def asked(source: Source, **wanted: Any) -> list[int]:
    return [row["seq"] for row in select(source, Filter(**wanted), indexed=False)]


# -- filters --------------------------------------------------------------------------------------


def test_a_person_is_found_as_actor_second_person_and_subject(trail: Source) -> None:
    assert asked(trail, who="ana") == [2, 3, 11, 12, 15, 17]
    assert asked(trail, who="bo") == [2, 7, 9]
    assert asked(trail, who="eva") == [14]
    assert asked(trail, who="ANA@desk") == asked(trail, who="an*")
    assert asked(trail, who="n") == []


def test_events_are_asked_for_by_name_by_pattern_and_by_list(trail: Source) -> None:
    assert asked(trail, event="command.intent") == [2, 4, 7, 15, 17]
    assert asked(trail, event="account.*,bypass.*") == [13, 14]


def test_a_reason_is_found_in_reasons_causes_and_refusals(trail: Source) -> None:
    assert asked(trail, why="TOO") == [2, 9]
    assert asked(trail, why="permit") == [8]


def test_a_tag_is_a_word_of_its_own(trail: Source) -> None:
    assert asked(trail, tag="tt101") == [10]
    assert asked(trail, tag="TT10") == []
    assert asked(trail, tag="18.both") == [10, 13, 15]


def test_times_without_an_offset_are_the_wall_clock_of_the_record(trail: Source) -> None:
    some = asked(trail, since=moment("2026-01-05T08:00:20"), until=moment("2026-01-05T08:00:21"))
    assert some == [13, 14]
    assert some == asked(trail, since=moment("2026-01-05T09:00:20+01:00"),
                         until=moment("2026-01-05T07:00:21-01:00"))  # fmt: skip
    assert len(asked(trail, until=moment("2026-01-05", end=True))) == 19
    assert asked(trail, until=moment("2026-01-04", end=True)) == []


def test_record_numbers_are_a_range_and_both_ends_belong_to_it(trail: Source) -> None:
    first, last = span("3..5")
    assert asked(trail, first=first, last=last) == [3, 4, 5]
    assert span("7") == (7, 7)
    assert span("..4")[0] == 0
    assert span("4..")[0] == 4


@pytest.mark.parametrize("text", ["", "a..b", "9..3", "-1..4", "1..2..3", "٣"])
def test_what_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match=r"no range"):
        span(text)


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01", ""])
def test_what_is_no_time_is_refused_and_a_form_is_shown(text: str) -> None:
    with pytest.raises(BadInput, match="2026-01-05T08:30"):
        moment(text)


def test_writes_in_chunks_are_asked_for_by_their_output(trail: Source) -> None:
    rows = list(select(trail, Filter(tag="heater"), expand=True))
    assert [row["output"] for row in rows] == ["heater"] * 4
    rows = list(select(trail, Filter(event="modulating.*"), expand=True))
    assert len(rows) == 8
    assert list(select(trail, Filter(tag="heater", last=10), expand=True)) == []


# -- the audit trail ------------------------------------------------------------------------------


def test_every_change_is_one_line_with_old_new_unit_who_and_why(trail: Source) -> None:
    rows = [change.row() for change in changes(trail, Filter())]
    assert [line(row)[41:] for row in rows] == [
        "output feed: 0 -> 25 mL/min  by recipe  Reason: grow step 2",
        "setpoint of TIC101: 37 -> 36.5 degC  by ana@desk (operator), second bo, signed: "
        "performed by Ana Lind (ana)  Reason: too warm",
        "NOT CHANGED (refused: a permit is missing): flag no_base: 0 -> 1  by "
        "unverified:bo@station",
        "NOT CHANGED (refused: too high): setpoint of AIC101: (none) -> 9  by "
        "unverified:bo@station",
        "variable set_lot: (none) -> LOT-7  by ana@desk  Reason: leak_test.set_lot",
        "sample vcd: (none) -> 0.4 1e6/mL  by ana@desk  Reason: grow.vcd",
        "bypass of row 18.both: (none) -> until 2026-01-05T09:00:00Z  by system",
        "account eva: (none) -> operator  by root@console",
        "NOT KNOWN (no outcome recorded): hold procedure (it was Running)  by ana@desk  "
        "Reason: foam",
    ]
    assert rows[1]["time"] == "2026-01-05T08:00:13.000+00:00"  # when it took effect
    assert (rows[1]["seq"], rows[1]["by"]) == (2, 6)


def test_changes_are_asked_for_like_records(trail: Source) -> None:
    def found(**wanted: Any) -> list[int]:
        return [change.seq for change in changes(trail, Filter(**wanted))]

    assert found(who="bo") == [2, 7, 9]
    assert found(tag="TIC101") == [2]
    assert found(why="foam") == [17]
    assert found(event="sample.*") == [12]
    assert found(first=9, last=11) == [9, 11]
    assert found(since=moment("2026-01-05T08:00:13"), until=moment("2026-01-05T08:00:13")) == [2]


def test_an_intent_whose_outcome_is_far_away_is_still_one_change(tmp_path: Path) -> None:
    log = BatchLog.create(tmp_path / "log", Keys.from_seed(1), stamp_at(0), purpose="B-1",
                          files=VolatileFiles())  # fmt: skip
    log.append(intent(1, 1, "ana@desk", "set_sp", "TIC101", "37", "36"))
    for number in range(2_000):
        log.append(quality_event(number, 2))
    log.append(outcome(1, 3, "unknown", "field gave no answer in time"))
    log.seal(stamp_at(4))
    found = list(changes(source_of(tmp_path), Filter()))
    assert [(change.seq, change.by, change.result) for change in found] == [
        (1, 2002, "unknown: field gave no answer in time")
    ]


# -- the index ------------------------------------------------------------------------------------

WORDS = st.sampled_from(
    ["", "ana", "bo", "*", "recipe", "TT101", "feed", "18.both", "both", "heater", "TIC*", "permit",
     "LOT-7", "command.*", "history.chunk", "modulating.write", "variable.set,sample.*", "8", "?"]
)  # fmt: skip
TIMES = st.none() | st.integers(0, 35).map(lambda s: moment(f"2026-01-05T08:00:{s:02d}+00:00"))


@settings(max_examples=150, deadline=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
@given(who=WORDS, event=WORDS, why=WORDS, tag=WORDS, since=TIMES, until=TIMES,
       first=st.integers(0, 20), last=st.integers(0, 25), expand=st.booleans())  # fmt: skip
def test_with_and_without_an_index_the_rows_are_the_same(
    trail: Source, expand: bool, **wanted: Any
) -> None:
    if not trail.beside(index.NAME).exists():
        index.ensure(trail)
    question = Filter(**wanted)
    with_it = list(select(trail, question, expand=expand))
    assert with_it == list(select(trail, question, expand=expand, indexed=False))


@pytest.fixture
def own(trail: Source, tmp_path: Path) -> Source:
    """A copy of the log, with an index."""
    shutil.copytree(trail.directory.parent, tmp_path / "B-7")
    source = source_of(tmp_path / "B-7")
    index.ensure(source, again=True)
    return source


def test_an_index_says_of_which_root_it_is_and_is_not_made_twice(own: Source) -> None:
    built = index.ensure(own)
    assert not built.made
    assert built.records == 19
    assert index.ensure(own, again=True) == index.Built(built.path, 19, built.root, made=True)


def test_the_index_is_asked_and_not_the_whole_log(
    own: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("controller.record.show.read_frames", None)
    assert [row["seq"] for row in select(own, Filter(tag="TT101"))] == [10]


def test_the_index_of_another_log_is_made_anew(own: Source, tmp_path: Path) -> None:
    make_log(tmp_path / "other" / "log")
    other = source_of(tmp_path / "other")
    index.ensure(other)
    shutil.copyfile(other.beside(index.NAME), own.beside(index.NAME))
    assert [row["seq"] for row in select(own, Filter(tag="TT101"))] == [10]
    assert index.ensure(own).made is False  # the question above made it anew


@pytest.mark.parametrize("spoil", [b"", b"SQLite format 3\0" + bytes(4_000), b"no base at all"])
def test_a_damaged_index_is_made_anew(own: Source, spoil: bytes) -> None:
    own.beside(index.NAME).write_bytes(spoil)
    assert [row["seq"] for row in select(own, Filter(tag="TT101"))] == [10]
    assert not index.ensure(own).made


def test_an_index_that_breaks_off_in_the_middle_loses_no_row(
    own: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = list(select(own, Filter(who="*"), indexed=False))
    real = index.places

    def breaks(*given: Any, **named: Any) -> Any:
        for count, place in enumerate(real(*given, **named)):
            if count == 4:
                raise sqlite3.DatabaseError("database disk image is malformed")
            yield place

    monkeypatch.setattr(index, "places", breaks)
    assert list(select(own, Filter(who="*"))) == whole


def test_an_open_log_outgrows_its_index_and_is_read_itself(tmp_path: Path) -> None:
    log = make_log(tmp_path / "log", sealed=False)
    source = source_of(tmp_path)
    index.ensure(source)
    log.append(quality_event(99, 50, tag="LT101"))
    log.sync(stamp_at(50))
    log.close()
    assert len(list(select(source, Filter(tag="LT101")))) == 1


def test_no_index_is_made_of_a_damaged_log(copy: Path) -> None:
    path = copy / "segments" / "00000000.seg"
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(RecordFailure, match="no index is made"):
        index.ensure(source_of(copy), again=True)
    assert not source_of(copy).beside(index.NAME).exists()


def test_an_index_lies_beside_the_log_and_never_in_it(own: Source, tmp_path: Path) -> None:
    assert own.beside(index.NAME).parent == own.directory.resolve().parent
    station = Source("station", tmp_path / "state" / "station")
    assert station.beside(index.NAME) == tmp_path / "state" / "station.index.sqlite"


# -- several logs ---------------------------------------------------------------------------------


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state directory: a station's log over the time of two batches."""
    make_trail(tmp_path / "station", purpose="station", begin=5, sealed=False)
    make_trail(tmp_path / "batches" / "B-2" / "log", purpose="B-2", begin=100)
    make_trail(tmp_path / "batches" / "B-1" / "log", purpose="B-1", begin=0)
    return tmp_path


def _all(path: Path, question: Filter) -> list[dict[str, Any]]:
    return list(select_all(sources_of(path), question, of=lambda each: select(each, question)))


def test_a_state_directory_is_its_station_and_batches_by_time(state: Path) -> None:
    assert [source.name for source in sources_of(state)] == ["station", "B-1", "B-2"]
    rows = _all(state, Filter())
    assert [row["time"] for row in rows] == sorted(row["time"] for row in rows)
    assert {row["log"] for row in rows} == {"station", "B-1", "B-2"}
    assert len(rows) == 3 * 19


def test_a_batch_is_asked_for_by_its_id(state: Path) -> None:
    assert {row["log"] for row in _all(state, Filter(batch="B-2"))} == {"B-2"}
    assert _all(state, Filter(batch="B-3")) == []


def test_of_several_logs_a_damaged_one_does_not_hide_the_others(state: Path) -> None:
    path = state / "batches" / "B-1" / "log" / "segments" / "00000000.seg"
    path.chmod(0o644)
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(bytes(data))
    rows: list[dict[str, Any]] = []
    found = select_all(sources_of(state), Filter(), of=lambda each: select(each, Filter()))
    with pytest.raises(RecordFailure, match="CRC"):
        rows.extend(found)
    assert [row["log"] for row in rows].count("B-1") == 18
    assert [row["log"] for row in rows].count("B-2") == 19


def test_a_path_that_is_no_log_is_refused_by_name(tmp_path: Path, state: Path) -> None:
    with pytest.raises(BadInput, match="no such log directory"):
        sources_of(tmp_path / "nowhere")
    with pytest.raises(BadInput, match="more than one log"):
        source_of(state)


# -- what is printed ------------------------------------------------------------------------------


def test_nothing_that_matches_is_said_with_what_comes_near(
    trail: Source, capsys: pytest.CaptureFixture[str]
) -> None:
    print_rows(trail.directory, Filter(event="command.intend"), changes=False, expand=False,
               indexed=False, json=False)  # fmt: skip
    out, err = capsys.readouterr()
    assert out == ""
    assert "Did you mean 'command.intent'?" in err
    words = nothing(Filter(who="carl"), [trail], changes=False, expand=False)
    assert "ana@desk" in words
    words = nothing(Filter(batch="B-8"), [trail], changes=True, expand=False)
    assert "no batch 'B-8' is here. Did you mean 'B-7'?" in words
    words = nothing(Filter(tag="TIC101.spp"), [trail], changes=False, expand=False)
    assert "no tag is called 'TIC101.spp'. Did you mean 'TIC101.sp'?" in words
    words = nothing(Filter(since=moment("2027-01-01")), [trail], changes=False, expand=False)
    assert "they reach from 2026-01-05T08:00:00.000+00:00 to 2026-01-05T08:00:3" in words


def test_the_story_uses_every_kind_of_change_the_trail_knows() -> None:
    from controller.record.changes import EVENTS

    told = {each.name for each in story()}
    assert set(EVENTS) - told == {"bypass.lapsed", "account.disabled", "account.password_changed",
                                  "account.locked", "recipe.changed"}  # fmt: skip


def test_a_change_of_the_recipe_is_told_with_its_old_and_its_new_value(tmp_path: Path) -> None:
    log = BatchLog.create(tmp_path / "log", Keys.from_seed(5), stamp_at(0), purpose="B-7",
                          files=VolatileFiles())  # fmt: skip
    grow = {"path": "grow", "after": "", "check": "", "second": "quinn"}
    kinds: list[dict[str, Any]] = [
        {"change": "set", "name": "until", "old": "168 h", "new": "180 h"},
        {"change": "extend", "name": "step 4", "old": "770400", "new": "1800"},
        {"change": "insert", "name": "sample", "old": "", "new": {"at": "24 h"}, "after": "seed"},
    ]
    for number, data in enumerate(kinds, 1):
        log.append(intent(number, number, "emil", "change", "grow", "", f"{data['change']};...",
                          second="quinn", because="slow"))  # fmt: skip
        log.append(event("recipe.changed", number, "emil", because="slow", id=number,
                         deviation=f"DEV-{number}", **grow | data))  # fmt: skip
        log.append(outcome(number, number))
    log.seal(stamp_at(9))
    said = [line(each.row()) for each in changes(source_of(tmp_path / "log"), Filter())]
    for text, wanted in zip(said, (
        "set grow until: 168 h -> 180 h  by emil, second quinn",
        "extend grow step 4: 214 h -> 30 min more  by emil, second quinn",
        "insert grow sample behind seed: (none) -> at = 24 h  by emil, second quinn",
    ), strict=True):  # fmt: skip
        assert wanted in text
