"""What the report says of a running recipe that people changed, and of what was found later."""

from __future__ import annotations

from pathlib import Path

from test_report_batch import happened, pages, story, write

from controller.report.batch import make

EXPAND = "culture/grow/expand"
CHANGED = {"path": EXPAND, "after": "", "check": "the unit can run it", "second": "quinn@desk"}


def changed() -> list[object]:
    """The story, with a value changed, a phase put in, and a deviation recorded afterwards."""
    happenings = [
        happened("recipe.changed", 10, "emil@desk", "slow growth", **CHANGED, deviation="DEV-71",
                 id=71, change="set", name="until", old="168 h", new="180 h"),
        happened("recipe.changed", 10.1, "emil@desk", "one count more",
                 **{**CHANGED, "path": "culture/grow/sample_2", "after": EXPAND},
                 deviation="DEV-72", id=72, change="insert", name="sample", old="",
                 new={"at": "30 h", "ph_offset": "0.1 pH"}),
        happened("recipe.changed", 10.15, "emil@desk", "it takes longer", **CHANGED,
                 deviation="DEV-74", id=74, change="extend", name="step 4", old="770400",
                 new="1800"),
        happened("deviation.recorded", 10.2, "olivia@desk", "seen on the round",
                 deviation="DEV-73", id=73, target=EXPAND, what="a clamp was loose", second=""),
    ]  # fmt: skip
    events = story()
    return events[:-1] + happenings + events[-1:]


def test_every_change_stands_in_the_report_with_old_new_reason_and_both_people(
    tmp_path: Path,
) -> None:
    text = " ".join(pages(make(write(tmp_path / "log", changed())))).replace("\u200b", "")
    text = text.replace(" @", "@")  # a name may break at its signs
    assert "of the recipe or found later 4" in text
    for part in ("DEV-71", "until: 168 h -> 180 h", "slow growth", "emil@desk", "quinn@desk",
                 "DEV-72", "sample: at = 30 h", "one count more", "step 4: 214 h and 30 min more",
                 "DEV-73", "a clamp was loose", "seen on the round"):  # fmt: skip
        assert part in text, part


def test_a_batch_that_nobody_changed_says_so(tmp_path: Path) -> None:
    text = " ".join(pages(make(write(tmp_path / "log", story()))))
    assert "of the recipe or found later 0" in text
