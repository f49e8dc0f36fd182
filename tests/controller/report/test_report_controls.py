"""What the report says of in-process controls, and of limits people answered within."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_report_batch import happened, pages, story, write

from controller.core.events import Event
from controller.report.batch import make
from controller.report.fold import Fold

S = "culture/grow/sample_day_1"


def result(second: float, value: str, *, within: bool, then: str) -> Event:
    return happened(
        "control.result", second, "bo@desk", control="viability_ok", prompt_id=f"{S}.viability",
        name="viability", value=value, limits="at least 70 %", within=within, then=then,
    )  # fmt: skip


def controlled() -> list[Event]:
    """The story with a sample that was measured twice, and a deviation."""
    asked = {"prompt_id": f"{S}.viability", "path": S}
    happenings = [
        happened("prompt.opened", 10, **asked, kind="sample", text="Viability of the sample"),
        result(10.1, "61 %", within=False, then="retest"),
        result(10.2, "62 %", within=False, then="deviation"),
        happened("deviation.recorded", 10.2, "bo@desk", deviation="DEV-IPC-1", id=0, target=S,
                 what="viability_ok: 62 % is outside at least 70 %", second=""),
        happened("prompt.answered", 10.3, "bo@desk", prompt_id=f"{S}.viability", value="62 %",
                 second="sam@desk", limits="0 % .. 100 %"),
        result(10.4, "93 %", within=True, then=""),
        happened("sample.recorded", 10.4, "bo@desk", name="viability", value="93", unit="%",
                 predicted="", source=f"{S}.viability, counts.csv line 3, counter SN 7, "
                 "2026-01-05T08:00:09+00:00 by bo, SHA-256 " + "ab" * 32),
    ]  # fmt: skip
    events = story()
    return events[:-1] + happenings + events[-1:]


def test_every_result_stands_in_the_report_with_its_limits_and_what_followed(
    tmp_path: Path,
) -> None:
    text = " ".join(pages(make(write(tmp_path / "log", controlled())))).replace("\u200b", "")
    text = text.replace("_ ", "_")  # a name may break after its signs
    assert "In-process controls" in text
    assert "limits at least 70 %" in text
    for part in ("viability_ok", "61 %", "OUTSIDE", "retest", "93 %", "within", "at least 70 %",
                 "csv line 3, counter", "DEV-IPC-1", "100 %",
                 "Viability of the sample"):  # fmt: skip
        assert part in text, part


def fold_of(events: list[Event]) -> Fold:
    fold = Fold()
    for number, event in enumerate(events):
        fold.take({
            "seq": number, "time": event.stamp.rfc3339(), "event": event.name, "reason": "",
            "role": "", "actor": event.actor, "data": dict(event.data),
        })  # fmt: skip
    return fold


def test_a_result_outside_its_limits_is_something_a_reviewer_must_look_at() -> None:
    rows = fold_of(controlled()).table("deviations").rows
    told = [row["what"] for row in rows if row["event"] in ("control.result", "deviation.recorded")]
    assert told == [
        "viability_ok: viability = 61 %, limits at least 70 %: OUTSIDE, retest",
        "viability_ok: viability = 62 %, limits at least 70 %: OUTSIDE, deviation",
        f"Deviation DEV-IPC-1, {S}: viability_ok: 62 % is outside at least 70 %",
    ]


@pytest.mark.parametrize("limits", [True, False])
def test_answers_of_logs_with_and_without_recorded_limits_are_told(limits: bool) -> None:
    event = controlled()[-4]
    data = {name: value for name, value in event.data.items() if limits or name != "limits"}
    fold = Fold()
    fold.take({"seq": 1, "time": event.stamp.rfc3339(), "event": event.name, "reason": "",
               "role": "", "actor": "bo@desk", "data": data})  # fmt: skip
    assert fold.table("answers").rows[0]["limits"] == ("0 % .. 100 %" if limits else "")
