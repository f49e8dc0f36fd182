"""The region as files: what is refused, whose it is, and which generation it is."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from contextlib import suppress

import pytest
from field_room import MS, ROOT, STATION, Lines, eventually, field, profile_of

from controller.attachment import Attachment
from controller.core.errors import BadInput, Refused
from controller.field.image import MAGIC, attach, create, size
from controller.field.region import generations, is_owned, make, open_region, region_path

OWNER = """
import sys, time
from pathlib import Path
from controller.field.region import make
from controller.profile.planfile import complete, open_file
found = complete(open_file(Path(sys.argv[1])))
region = make(sys.argv[2], found.plan, 1, int(sys.argv[4]), Path(sys.argv[3]))
print(region.generation, flush=True)
time.sleep(300)
"""


@pytest.fixture(scope="module")
def plan():
    return profile_of().plan


def refused(plan, path, generation=1):
    with pytest.raises(BadInput) as caught:
        open_region("u", generation, plan, path)
    assert caught.value.exit_code == 2
    return caught.value


def made(plan, folder, generation=1):
    """A region that nobody holds, as a field leaves it that died."""
    memory = bytearray(size(plan))
    create(plan, 0, generation, memory)
    region_path("u", generation, folder).write_bytes(memory)
    return open_region("u", generation, plan, folder)


def test_a_region_of_another_layout_version_or_profile_is_refused_with_what_to_do(plan, tmp_path):
    region = made(plan, tmp_path)
    for change in ("version", "layout"):
        before = int(region.image.head[change][0])
        region.image.head[change] = before + 1
        error = refused(plan, tmp_path)
        assert "another version or for another profile" in error.what
        assert "Stop both programs" in error.do
        region.image.head[change] = before
    open_region("u", 1, plan, tmp_path).close()
    error = refused(profile_of("200 ms").plan, tmp_path)
    assert "another" in error.what
    assert error.do


def test_a_region_that_is_too_small_is_refused_with_both_sizes(plan, tmp_path):
    path = made(plan, tmp_path).path
    os.truncate(path, 4096)
    error = refused(plan, tmp_path)
    assert "4096" in error.what
    assert str(size(plan)) in error.what
    assert error.do
    os.truncate(path, 0)
    refused(plan, tmp_path)
    with pytest.raises(BadInput, match="too small"):
        attach(plan, bytearray(size(plan) - 1))
    with pytest.raises(BadInput, match="needed"):
        create(plan, 0, 1, bytearray(size(plan) - 1))


def test_a_region_that_is_not_there_is_refused_by_name(plan, tmp_path):
    error = refused(plan, tmp_path, 7)
    assert str(region_path("u", 7, tmp_path)) in error.where
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["", "../x", "a/b", "a b", "x" * 81, "a\n"])
def test_a_station_that_cannot_be_part_of_a_file_name_is_refused(name, tmp_path):
    with pytest.raises(BadInput):
        region_path(name, 1, tmp_path)


def test_a_region_whose_magic_is_not_written_yet_is_not_attached(plan, tmp_path):
    region = made(plan, tmp_path)
    assert int(region.image.head["magic"][0]) == MAGIC
    region.image.head["magic"] = 0
    refused(plan, tmp_path)
    attachment = Attachment("u", profile_of(), tmp_path)
    assert attachment.find() == (None, [])
    fd = os.open(region.path, os.O_RDWR)
    fcntl.flock(fd, fcntl.LOCK_EX)  # a field that is still making it: nothing is said, one waits
    assert attachment.find() == (None, [])
    os.close(fd)
    region.image.head["magic"] = MAGIC
    living, dead = attachment.find()
    assert living is None
    assert [each.region.generation for each in dead] == [1]


def test_a_living_field_of_another_profile_is_refused_by_the_supervisor_with_words(plan, tmp_path):
    region = make("u", plan, 0, 1, tmp_path)
    try:
        with pytest.raises(BadInput) as caught:
            Attachment("u", profile_of("200 ms"), tmp_path).find()
        assert "another" in caught.value.what
        assert caught.value.do
        assert Attachment("u", profile_of(), tmp_path).find()[0].region.generation == 1
    finally:
        region.unlink()


def test_a_region_cannot_be_made_where_there_is_no_room_and_it_says_how_much_is_needed(plan):
    from pathlib import Path

    with pytest.raises(BadInput) as caught:
        make("u", plan, 0, 1, Path("/proc"))
    assert "MiB" in caught.value.do


def test_a_dead_owner_is_passed_by_a_living_one_refused_and_the_number_only_grows(plan, tmp_path):
    from controller.profile import planfile

    file = tmp_path / "unit.plan"
    planfile.write(profile_of(), file)
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(file), "u", str(tmp_path), "41"],
        cwd=ROOT, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert owner.stdout.readline().strip() == "41"
        assert is_owned(region_path("u", 41, tmp_path))
        with pytest.raises(Refused) as caught:
            make("u", plan, 0, 100, tmp_path)
        assert "living field" in caught.value.what
        assert "fuser" in caught.value.do
        assert generations("u", tmp_path) == [41]
    finally:
        owner.kill()
        owner.wait()
    assert not is_owned(region_path("u", 41, tmp_path))
    made(plan, tmp_path, 42)
    again = make("u", plan, 0, 7_000, tmp_path)
    assert again.generation == 7_000
    assert generations("u", tmp_path) == [41, 42, 7_000]
    assert generations("v", tmp_path) == []
    again.unlink()
    again.unlink()  # gone already: no error
    assert generations("u", tmp_path) == [41, 42]
    assert make("u", plan, 0, 1, tmp_path).generation == 43


def test_what_a_dead_field_left_can_still_be_read_after_its_name_is_gone(plan, tmp_path):
    region = made(plan, tmp_path)
    region.image.signals["value"][3] = 37.5
    other = open_region("u", 1, plan, tmp_path)
    other.unlink()
    assert float(other.image.signals["value"][3]) == 37.5
    assert generations("u", tmp_path) == []


def test_a_second_field_is_refused_and_writes_not_one_byte_to_the_lines(tmp_path):
    first, second = Lines(), Lines()
    try:
        with field(tmp_path, first.urls) as one:
            one.scans(3)
            before = generations(STATION, tmp_path)
            with field(tmp_path, second.urls, batch="open") as two:
                assert two.ended() == 2
                assert "living field owns station" in two.words
                assert "fuser" in two.words
            assert set(second.listen().values()) == {b""}
            assert generations(STATION, tmp_path) == before
            one.scans(3)
            number = one.region.generation
        with field(tmp_path, second.urls) as two:
            two.scans(3)
            assert two.region.generation > number
            assert eventually(lambda: second.listen()["pump_bus"], "nothing was written")
            assert int(two.beat["period_ns"]) == 100 * MS
    finally:
        for lines in (first, second):
            with suppress(OSError):
                lines.close()


def test_a_region_that_was_closed_is_nobodys_though_its_image_is_still_looked_at(plan, tmp_path):
    region = make("u", plan, 0, 1, tmp_path)
    assert is_owned(region.path)
    region.close()
    assert int(region.image.head["magic"][0]) == MAGIC
    assert not is_owned(region.path)
