"""What a launcher gives field before each start, whatever was lost or edited meanwhile."""

from __future__ import annotations

import io
import os
import shutil
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from controller.cli import run_files, supervise
from controller.cli.run import Asked, prepare, station_name
from controller.cli.run_files import Numbers, Ready, sweep_regions
from controller.core.errors import BadInput, Refused
from controller.field.lock import hold
from controller.field.region import make
from controller.profile import planfile
from controller.record.state import StateDir
from controller.units import find_unit, load_unit
from hil_sim.rig.rig import Rig

S = 1_000_000_000
LINKS = """links:
  gas_bus: pty:/dev/pts/nowhere_1
  probe_bus: pty:/dev/pts/nowhere_2
  pump_bus: pty:/dev/pts/nowhere_3
  balance: pty:/dev/pts/nowhere_4
  skid: opc.tcp://127.0.0.1:9/skid/
"""


@pytest.fixture(scope="module")
def unit():
    return load_unit(find_unit("perfusion_2l"))[0]


@pytest.fixture(scope="module")
def left(tmp_path_factory):
    """A state directory whose batch is open."""
    folder = tmp_path_factory.mktemp("left") / "state"
    rig = Rig(folder)
    rig.run(2.0)
    rig.finish()
    rig.supervisor.station_log.close()
    assert StateDir(folder).current() == rig.batch_id
    return folder


@pytest.fixture
def asked(tmp_path, left):
    """A regular order on a copy of it; files of its own."""
    shutil.copytree(left, tmp_path / "state")
    shm = tmp_path / "shm"
    shm.mkdir()
    (tmp_path / "links.yaml").write_text(LINKS)
    return {"unit": "perfusion_2l", "recipe": "car_t_perfusion", "links": tmp_path / "links.yaml",
            "state": tmp_path / "state", "shm": shm}  # fmt: skip


def after(words, name):
    return words[words.index(name) + 1]


# -- the number of a generation ---------------------------------------------------------------


def test_a_number_never_comes_twice_nor_a_lower_one_whatever_the_clock_says(tmp_path):
    def numbers():
        return Numbers(StateDir(tmp_path / "state"), tmp_path, "u", lambda text: None)

    given = [numbers().following(utc_s * S) for utc_s in (1000, 1000, 5, 0, 1001, 2000, 7)]
    assert given == [1000, 1001, 1002, 1003, 1004, 2000, 2001]
    (tmp_path / "cellwright-u-3000").write_bytes(b"")
    assert numbers().following(0) == 3001
    (tmp_path / "cellwright-u-3000").unlink()
    (tmp_path / "state" / "generation").write_bytes(b"rubbish")
    assert numbers().following(4000 * S) == 4000


def test_a_disk_that_takes_no_number_is_said_and_numbers_go_on(tmp_path):
    (tmp_path / "state").write_bytes(b"a file where the directory should be")
    said = []
    numbers = Numbers(StateDir(tmp_path / "state"), tmp_path, "u", said.append)
    assert [numbers.following(at * S) for at in (50, 50, 4)] == [50, 51, 52]
    assert len(said) == 3
    assert "cannot be kept on the disk" in said[0]


def test_a_disk_that_hangs_keeps_no_field_from_its_number(tmp_path, monkeypatch):
    goes, state = threading.Event(), StateDir(tmp_path / "state")
    numbers = Numbers(state, tmp_path, "u", lambda text: None)
    assert numbers.following(50 * S) == 50

    def hangs(*given):
        goes.wait(60)
        return 0

    monkeypatch.setattr(StateDir, "keep_generation", hangs)
    monkeypatch.setattr(StateDir, "generation", hangs)
    monkeypatch.setattr(run_files, "KEPT_S", 0.1)
    begun = time.monotonic()
    assert numbers.following(0) == 51
    assert time.monotonic() - begun < 30, "it was not waited for"
    goes.set()


# -- the compiled unit ------------------------------------------------------------------------


@pytest.mark.parametrize("harm", ["gone", "damaged"])
def test_a_plan_that_was_lost_is_written_again_before_field_starts(unit, tmp_path, harm):
    ready = Ready(tmp_path, "u", unit, b"unit: text", lambda text: None)
    ready.make(new=True)
    before = ready.plan.read_bytes()
    if harm == "gone":
        ready.plan.unlink()
    else:
        ready.plan.write_bytes(before[:-1])
    ready.make()
    assert ready.plan.read_bytes() == before


def test_a_plan_that_cannot_be_written_is_fatal_only_at_first_and_without_a_good_one(
    unit, tmp_path, monkeypatch
):
    said = []
    ready = Ready(tmp_path, "u", unit, b"unit: text", said.append)

    def full(profile, path):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(planfile, "write", full)
        with pytest.raises(BadInput, match="No space left"):
            ready.make(new=True)
        ready.make()
        assert "gone and cannot be written" in said[0]
    ready.make(new=True)
    monkeypatch.setattr(planfile, "write", full)
    ready.make(new=True)
    ready.make()
    assert len(said) == 1


# -- a batch is open --------------------------------------------------------------------------


def test_a_broken_recipe_or_script_keeps_no_field_from_starting_on_an_open_batch(
    asked, tmp_path, capsys
):
    broken = tmp_path / "broken.yaml"
    broken.write_text("nonsense: [")
    launcher = prepare(Asked(**asked | {"recipe": str(broken)}, script=broken))
    said = capsys.readouterr().err
    assert "the script is left out" in said
    assert "goes on with its own recipe" in said
    field, supervisor = launcher.field.command(), launcher.supervisor.command()
    assert after(field, "--batch") == "open"
    assert int(after(field, "--at-least")) < int(after(launcher.field.command(), "--at-least"))
    assert "--script" not in supervisor


@pytest.mark.parametrize("how", ["edited", "broken"])
def test_an_open_batch_runs_on_the_unit_in_its_log_not_on_the_one_edited_since(
    asked, tmp_path, capsys, how
):
    original = find_unit("perfusion_2l").read_bytes()
    edited = tmp_path / "perfusion_2l.yaml"
    edited.write_bytes(original + b"# edited\n" if how == "edited" else b"broken: [")
    launcher = prepare(Asked(**asked | {"unit": str(edited)}))
    assert "goes on with the one in its log" in capsys.readouterr().err
    supervisor = launcher.supervisor.command()
    given = find_unit(after(supervisor, "--unit"))
    assert given.name.startswith("cellwright-perfusion_2l.")
    assert given.name.endswith(".unit.yaml")
    assert given.parent == asked["shm"]
    assert given.read_bytes() == original
    given.unlink()
    launcher.supervisor.command()
    assert given.read_bytes() == original
    assert after(launcher.field.command(), "--plan") == after(supervisor, "--plan")


def test_the_unit_as_it_is_at_the_start_is_copied_for_the_whole_run(asked, capsys):
    launcher = prepare(Asked(**asked))
    given = Path(after(launcher.supervisor.command(), "--unit"))
    assert given.read_bytes() == find_unit("perfusion_2l").read_bytes()
    assert capsys.readouterr().err == ""


def test_a_field_that_nobody_can_take_over_is_refused_and_nothing_is_written(asked):
    station = station_name("perfusion_2l", asked["state"])
    lock = hold(asked["shm"], station)
    with pytest.raises(Refused, match="living field owns station"):
        prepare(Asked(**asked))
    os.close(lock)
    assert not list(asked["shm"].glob("*.plan"))




# -- a disk that is not there, regions nobody needs -----------------------------------------------


def test_a_station_whose_disk_is_not_mounted_starts_as_with_a_batch_open(asked, capsys):
    prepare(Asked(**asked))
    capsys.readouterr()
    batch_id = StateDir(asked["state"]).current()
    asked["state"].rename(asked["state"].with_name("elsewhere"))
    asked["state"].mkdir()
    asked["shm"].joinpath(f"cellwright-{station_name('perfusion_2l', asked['state'])}"
                          ".launcher.lock").unlink()  # fmt: skip
    launcher = prepare(Asked(**asked))
    said = capsys.readouterr().err
    assert f"batch {batch_id} is open" in said
    assert "is its disk mounted?" in said
    assert after(launcher.field.command(), "--batch") == "open"


def test_only_dead_regions_that_hold_nothing_for_this_version_are_removed(unit, tmp_path):
    def made(number):
        return make("u", unit.plan, 1, number, tmp_path)

    drained, waiting, foreign, living = made(1), None, None, None
    drained.close()
    waiting = made(2)
    waiting.image.head["event_head"] = 1
    waiting.close()
    foreign = made(3)
    foreign.image.head["layout"] += 1
    foreign.close()
    living = made(4)
    living.image.head["layout"] += 1
    said = []
    sweep_regions(tmp_path, "u", unit, said.append)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cellwright-u-2", "cellwright-u-4"]
    assert [text.split()[2] for text in said] == [
        str(tmp_path / f"cellwright-u-{number}") for number in (1, 3)
    ]
    living.close()


def test_with_a_batch_open_no_region_is_removed(asked):
    region = make(station_name("perfusion_2l", asked["state"]),
                  load_unit(find_unit("perfusion_2l"))[0].plan, 1, 1, asked["shm"])  # fmt: skip
    region.close()
    prepare(Asked(**asked))
    assert region.path.exists()


# -- a device key on a token ------------------------------------------------------------------

TOKEN = "pkcs11:token=T;object=K?module-path=/nowhere.so&pin-source=/nowhere"


@pytest.mark.parametrize("uri", [TOKEN, "pkcs11:nonsense"])
def test_a_token_that_is_gone_or_misspelled_keeps_no_open_batch_from_going_on(asked, capsys, uri):
    launcher = prepare(Asked(**asked, device_key=uri))
    assert after(launcher.supervisor.command(), "--device-key") == uri
    assert ("no other can be opened" in capsys.readouterr().err) == (uri != TOKEN)
    keys = supervise._keys(SimpleNamespace(device_key=uri), StateDir(asked["state"]))
    with pytest.raises(Refused) as refused:
        keys.issue("batch", "B-2")
    assert "has its own key" in refused.value.means
    assert not list(StateDir(asked["state"]).keys.glob("*.key")), "nor is a file taken instead"


def test_without_an_open_batch_a_token_that_is_gone_is_refused_before_anything_is_made(
    asked, tmp_path
):
    new = asked | {"state": tmp_path / "new"}
    with pytest.raises(Refused, match="cannot be used"):
        prepare(Asked(**new, device_key=TOKEN))
    assert not (tmp_path / "new").exists()
    assert not list(asked["shm"].iterdir())


# -- demo accounts ----------------------------------------------------------------------------


def test_demo_on_devices_that_are_not_simulated_is_left_out_with_a_batch_open(asked, capsys):
    launcher = prepare(Asked(**asked, screen="127.0.0.1:1", demo=True))
    assert "--demo is left out" in capsys.readouterr().err
    assert "--demo" not in launcher.supervisor.command()


def test_demo_on_simulated_devices_is_handed_on(asked):
    with asked["links"].open("a") as links:
        links.write("control: /nowhere/control.sock\n")
    launcher = prepare(Asked(**asked, screen="127.0.0.1:1", demo=True))
    assert "--demo" in launcher.supervisor.command()


def test_a_screen_that_ends_without_a_batch_says_so_and_is_no_failure(monkeypatch):
    beat = [{"scans": 70, "missed": 0}]
    station = SimpleNamespace(found_open="", supervisor=None, board=SimpleNamespace(
        image=SimpleNamespace(beat=beat)
    ))  # fmt: skip
    heard = SimpleNamespace(close=list)
    monkeypatch.setattr(supervise.Hearing, "made", lambda asked, supervisor: heard)
    live = SimpleNamespace(station=station, batch_id="", faces=[], restarted=False, state="Idle",
                           record_dead=list, run=lambda *given, **more: None, end=int)  # fmt: skip
    monkeypatch.setattr(supervise, "attach", lambda asked: (live, None, []))
    monkeypatch.setattr(supervise, "serve_screen", lambda *given: SimpleNamespace(close=list))
    monkeypatch.setattr(supervise, "Mirror", lambda station: SimpleNamespace(close=list))
    monkeypatch.setattr(supervise.signal, "signal", lambda *given: None)
    output = io.StringIO()
    words = ["--unit", "u", "--recipe", "r", "--station", "s", "--actor", "a", "--use", "x",
             "--state", "d", "--plan", "p", "--screen", "127.0.0.1:0"]  # fmt: skip
    state = supervise.run(supervise.arguments(words), Console(file=output), lambda *given: None)
    assert state == ""
    assert "no batch was opened; 70 scans" in output.getvalue()
