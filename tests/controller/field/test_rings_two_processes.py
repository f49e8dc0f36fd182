"""Every ring and the image between two processes: nothing torn, nothing lost, nothing twice.

The same harness must see it when one rule of the memory model is broken.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from field_room import ROOT, profile_of
from ring_stress import CONTROL_WORDS

from controller.field.image import create, size
from controller.profile import planfile

STRESS = Path(__file__).with_name("ring_stress.py")
RINGS = ("events", "history", "samples", "notes", "commands")


def stressed(folder, timeout_s=120.0, **jobs):
    """Runs the jobs, `case=messages`; what each end found, by case."""
    profile = profile_of()
    plan, region, control = folder / "plan", folder / "region", folder / "control"
    planfile.write(profile, plan)
    memory = bytearray(size(profile.plan))
    create(profile.plan, 0, 1, memory)
    region.write_bytes(memory)
    control.write_bytes(bytes(CONTROL_WORDS * 8))
    text = ",".join(f"{case}={count}" for case, count in jobs.items())
    ends = [
        subprocess.Popen([sys.executable, str(STRESS), role, plan, region, control, text],
                         cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
                         stdout=subprocess.PIPE, text=True)
        for role in ("put", "take")
    ]  # fmt: skip
    found = {case: {} for case in jobs}
    try:
        for end in ends:
            out, _ = end.communicate(timeout=timeout_s)
            assert end.returncode == 0
            for line in out.splitlines():
                row = json.loads(line)
                found[row["case"]] |= row
    finally:
        for end in ends:
            end.kill()
            end.wait()
    return found


def whole(found, jobs):
    """Nothing torn, wrong or lost in any case, and all of it done."""
    for case, count in jobs.items():
        row = found[case]
        assert (row["torn"], row["wrong"], row["lost"], row["count"]) == (0, 0, 0, count), row


def test_no_ring_and_no_image_tears_or_loses_a_word_between_two_processes(tmp_path):
    jobs = dict.fromkeys(RINGS, 400_000) | {"image": 20_000}
    whole(stressed(tmp_path, **jobs), jobs)


MUTANTS = {
    "mutant_head_first": (200_000, 2_000_000),
    "mutant_tail_first": (200_000, 2_000_000),
    "mutant_no_lock": (20_000, 200_000, 1_000_000),
}


@pytest.fixture(scope="module")
def first_try(tmp_path_factory):
    """All mutants in one start of the two processes, each at its least size."""
    jobs = {case: sizes[0] for case, sizes in MUTANTS.items()}
    return stressed(tmp_path_factory.mktemp("mutants"), **jobs)


def bad(row):
    """What a mutant spoils: an image is torn, a ring's entry may also be another one."""
    return row["torn"] + (row["wrong"] if row["case"] != "mutant_no_lock" else 0)


def seen(case, first, folder):
    """Whether the harness sees a mutant; on a busy machine both ends may hardly meet in a try."""
    return bad(first[case]) > 0 or any(
        bad(stressed(folder, **{case: size})[case]) > 0 for size in MUTANTS[case][1:]
    )


def test_a_head_published_before_its_row_is_found(first_try, tmp_path):
    assert seen("mutant_head_first", first_try, tmp_path)


def test_places_given_back_before_they_were_read_are_found(first_try, tmp_path):
    assert seen("mutant_tail_first", first_try, tmp_path)


def test_an_image_written_without_its_sequence_lock_is_found_torn(first_try, tmp_path):
    assert seen("mutant_no_lock", first_try, tmp_path)


@pytest.mark.campaign
def test_a_thousand_million_messages_are_whole(tmp_path):
    jobs = dict.fromkeys(("events", "history", "samples", "commands"), 245_000_000)
    jobs |= {"notes": 20_000_000, "image": 2_000_000}
    found = stressed(tmp_path, 3_600.0, **jobs)
    for row in found.values():
        rate = row["count"] / row["seconds"] / 1e6
        print(f"{row['case']:8} {row['count']:>11,} messages  {row['seconds']:7.1f} s  "
              f"{rate:6.2f} M/s  torn {row['torn']}  lost {row['wrong'] + row['lost']}",
              flush=True)  # fmt: skip
    assert sum(jobs.values()) >= 1_000_000_000
    whole(found, jobs)
