"""A batch handed over from virtual time: open, provable, stamped now, and devices that stand so."""

from __future__ import annotations

from datetime import datetime

import pytest

from controller.core.clock import RealClock
from controller.core.errors import BadInput
from controller.core.signal import Quality
from controller.field.links.machine import SerialLink
from controller.record.files import DurableFiles
from controller.record.keys import Keys
from controller.record.log import BatchLog
from controller.record.show import rows
from controller.record.state import StateDir
from controller.record.verify import verify
from controller.units import find_unit, load_unit
from hil_sim.devices.unit import UnitDevices
from hil_sim.plant.plant import Plant, Snapshot, SnapshotError
from hil_sim.plant.state import ACTUATORS
from hil_sim.rig.handover import hand_over
from hil_sim.rig.wire import SerialLine

END_NS = 1_790_000_000_000_000_000
S = 1_000_000_000
ENVIRONMENT = ("heater", "km101", "stirrer", "xv100")
READBACK = {"FS_AIR": "air", "FS_O2": "o2", "FS_CO2": "co2", "FS_N2": "n2", "ST_FEED": "feed",
            "ST_PERF": "perfusate", "ST_BASE": "base"}  # fmt: skip


class Samples:
    """A link's ring, as small as it can be: the last sample of every point."""

    def __init__(self):
        self.last = {}

    def push(self, point, value, quality, reason, sample_ns):
        self.last[point] = (value, quality)
        return True


@pytest.fixture(scope="module")
def handed(tmp_path_factory):
    return hand_over(tmp_path_factory.mktemp("handover") / "out", end_utc_ns=END_NS)


@pytest.fixture
def plant(handed):
    plant = Plant(99)
    plant.restore(Snapshot.load(handed.plant))
    return plant


@pytest.fixture
def unit(plant):
    return UnitDevices(plant, dict(zip(ACTUATORS, map(float, plant.u["drive"][0]), strict=True)))


def test_the_batch_is_open_runs_with_cells_and_perfusion_and_its_log_is_whole(handed):
    assert StateDir(handed.state).current() == handed.batch_id
    assert handed.procedure_state == "Running"
    assert "expand" in handed.phases
    assert handed.truth["vcd_e6_per_ml"] > 0.9
    assert handed.truth["perfused_ml"] > 10
    assert min(handed.outputs[name] for name in ("feed", "perfusate", "heater", "stirrer")) > 0
    assert verify(handed.log, expect_sealed=False, deep=True).ok
    assert verify(handed.state / "station", expect_sealed=False, deep=True).ok
    (opened,) = [row for row in rows(handed.log) if row["event"] == "batch.opened"]
    assert opened["data"]["use"] == "engineering"


def test_the_last_record_is_stamped_at_the_time_asked_for(handed):
    *_, last = rows(handed.log)
    assert abs(datetime.fromisoformat(last["time"]).timestamp() - END_NS / 1e9) <= 1.0


def test_another_process_can_write_on_with_the_keys_that_lie_in_files(handed, tmp_path):
    keys = Keys.in_directory(StateDir(handed.state).keys)
    before = verify(handed.log, expect_sealed=False).records
    log = BatchLog.open(handed.log, keys, RealClock().stamp(), files=DurableFiles())
    log.checkpoint(RealClock().stamp())
    log.close()
    report = verify(handed.log, expect_sealed=False, deep=True)
    assert report.ok
    assert report.records >= before


def test_a_second_hand_over_into_the_same_place_is_refused(handed):
    with pytest.raises(BadInput, match="already"):
        hand_over(handed.state.parent, end_utc_ns=END_NS)


def test_the_plant_is_the_same_to_the_last_bit(handed, plant):
    assert plant.snapshot() == Snapshot.load(handed.plant)
    assert plant.truth()["volume_l"] == handed.truth["volume_l"]
    drives = dict(zip(ACTUATORS, map(float, plant.u["drive"][0]), strict=True))
    assert drives == handed.drives


def test_every_serial_device_reads_back_exactly_what_was_commanded(handed, unit):
    profile, _ = load_unit(find_unit("perfusion_2l"))
    samples = Samples()
    for link in profile.links:
        if link.kind != "opcua":
            SerialLine(SerialLink(link, samples), unit.serial[link.name]).run(4 * S)
    for tag, output in READBACK.items():
        value, quality = samples.last[profile.index[tag]]
        assert quality == Quality.GOOD, tag
        assert value == pytest.approx(handed.outputs[output], abs=1e-9), tag


def test_the_skid_shows_the_commands_it_was_given_and_its_valves_stand_so(handed, unit):
    nodes = tuple(f"{name.upper()}_CMD" for name in (*ENVIRONMENT, "xv201", "xv202", "xv203",
                                                     "xv204"))  # fmt: skip
    answer = unit.skid.read(nodes, 0)
    assert answer is not None
    assert answer.statuses == [0] * len(nodes)
    for node, value in zip(nodes, answer.values, strict=True):
        wanted = handed.outputs[node.removesuffix("_CMD").lower()]
        assert float(value) == pytest.approx(wanted, abs=1e-9), node
    assert unit.skid.read(("XV201_ZSO", "XV203_ZSC"), 0).values == [True, True]


def test_taking_over_moves_nothing(plant, unit):
    before = plant.u["drive"].copy()
    plant.advance(10)
    assert (plant.u["drive"] == before).all()


def test_a_file_that_is_no_snapshot_of_this_plant_is_refused(handed, tmp_path):
    broken = tmp_path / "broken.npz"
    whole = handed.plant.read_bytes()
    for data in (b"", b"nothing", whole[: len(whole) // 2], whole + bytes(1_000_000)):
        broken.write_bytes(data)
        with pytest.raises(SnapshotError):
            Snapshot.load(broken)
    with pytest.raises(SnapshotError):
        Snapshot.load(tmp_path / "absent.npz")
    truncated = Snapshot(**{n: getattr(Snapshot.load(handed.plant), n)[:-8]
                            for n in Snapshot.__slots__})  # fmt: skip
    plant = Plant(2)
    untouched = plant.snapshot()
    with pytest.raises(ValueError):
        plant.restore(truncated)
    assert plant.snapshot() == untouched
