"""The live run's own rules: what is refused before a start, and what a terminal shows and takes."""

from __future__ import annotations

import dataclasses
import io
import signal
from types import SimpleNamespace

import pytest
from rich.console import Console

from controller.cli.run import Asked, prepare
from controller.cli.run_files import load_links
from controller.cli.run_keys import Keyboard
from controller.cli.run_view import LinesFace, picture
from controller.cli.supervise import same_unit
from controller.core.errors import BadInput, Refused
from controller.core.events import EVENTS
from controller.field.board import KernelEvent
from controller.field.links.note import Note, NoteKind, from_bytes, to_bytes
from controller.field.ring import EventKind
from controller.live import Ended, LiveRun, live_batch_id
from controller.profile import planfile
from controller.record.entry import read_records
from controller.translate import Translator
from controller.units import find_unit, load_unit
from hil_sim.rig.rig import FaultAt, Rig

LINKS = """links:
  gas_bus: pty:/dev/pts/nowhere_1
  probe_bus: pty:/dev/pts/nowhere_2
  pump_bus: pty:/dev/pts/nowhere_3
  balance: pty:/dev/pts/nowhere_4
  skid: opc.tcp://127.0.0.1:9/skid/
"""


@pytest.fixture(scope="module")
def rig(tmp_path_factory):
    faults = [FaultAt("balance_disconnected", 16.0)]
    rig = Rig(tmp_path_factory.mktemp("rig"), faults=faults)
    rig.heard = []
    rig.supervisor.listeners.append(rig.heard.append)
    rig.run(14.0)
    return rig


class Shown:
    """What a face needs of a run."""

    def __init__(self, rig):
        self.station, self.batch_id, self.began_ns = rig.station, rig.batch_id, 0


# -- what is refused --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("  balance: pty:/dev/pts/nowhere_4\n", ""), "nothing says where balance is"),
        (("  balance:", "  balanse:"), "Did you mean 'balance'?"),
        (("opc.tcp://127.0.0.1:9/skid/", "pty:/dev/pts/1"), "link skid is opcua"),
        (("links:", "lines:"), "Did you mean 'links'?"),
    ],
)
def test_a_links_file_that_does_not_fit_is_refused_with_its_line(tmp_path, change, says):
    profile, _ = load_unit(find_unit("perfusion_2l"))
    file = tmp_path / "links.yaml"
    file.write_text(LINKS.replace(*change))
    with pytest.raises(BadInput) as caught:
        load_links(file, profile)
    assert says in str(caught.value)
    assert str(file) in caught.value.where
    assert caught.value.where.count(":") >= 2


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ({"use": "gmp"}, "refused"),
        ({"use": "virtual"}, "refused"),
        ({"until": "soon"}, "not a time"),
        ({"until": "400 d"}, "beyond"),
        ({"until": "0 s"}, "not after the start"),
        ({"until": "-3s"}, "not after the start"),
        ({"unit": "perfusion_3l"}, "perfusion_2l"),
        ({"recipe": "car_t_perfusio"}, "car_t_perfusion"),
        ({"links": "no.yaml"}, "no.yaml"),
        ({"script": "no.yaml"}, "no.yaml"),
        ({"demo": True}, "these devices are not simulated"),
        ({"device_key": "pkcs11:token=T"}, "no URI of a device key"),
    ],
)
def test_what_cannot_be_run_is_refused_before_anything_is_made(tmp_path, words, says):
    links = tmp_path / "links.yaml"
    links.write_text(LINKS)
    given = {"unit": "perfusion_2l", "recipe": "car_t_perfusion", "links": links,
             "state": tmp_path / "state", "shm": tmp_path}  # fmt: skip
    given |= {key: tmp_path / value if key in ("links", "script", "shm") else value
              for key, value in words.items()}  # fmt: skip
    with pytest.raises(BadInput) as caught:
        prepare(Asked(**given))
    assert says in str(caught.value)
    assert caught.value.exit_code == 2
    assert [path.name for path in tmp_path.iterdir()] == ["links.yaml"]


def test_the_id_of_a_live_batch_tells_two_of_one_second_apart(rig):
    stamp = rig.clock.stamp()
    rig.run(14.2)
    later = rig.clock.stamp()
    one, two = live_batch_id(stamp, "r"), live_batch_id(later, "r")
    assert one != two
    assert one[:11] == two[:11]


# -- what field says --------------------------------------------------------------------------


def test_the_words_of_field_are_records_of_their_own_and_shown_on_a_terminal(rig):
    told = io.StringIO()
    LinesFace(Shown(rig), Console(file=told, width=200))
    words = "SCHED_OTHER, SCHED_FIFO: Operation not permitted"
    notes = [Note(NoteKind.STARTED, "", words, 0), Note(NoteKind.STOPPING, "", "in order", 0)]
    rig.supervisor.note("field", notes, 3, 41)
    rig.run(14.6)
    found = [event for event in rig.heard if event.name in ("field.started", "field.stopping")]
    assert [(event.name, event.source, dict(event.data)) for event in found] == [
        ("field.started", "41.field.3", {"generation": 41, "words": words}),
        ("field.stopping", "41.field.4", {"generation": 41, "words": "in order"}),
    ]
    assert f"Field 41 has started: {words}" in told.getvalue()
    assert "Field 41 is stopping: in order" in told.getvalue()
    assert set(EVENTS["field.started"].fields) == {"generation", "words"}


@pytest.mark.parametrize("letter", ["x", "\u00b0", "\U0001f321"])
@pytest.mark.parametrize("length", [0, 1, 160, 320, 5_000])
def test_a_note_always_fits_into_its_ring_and_keeps_the_beginning_of_its_words(letter, length):
    note = Note(NoteKind.FAULT, "d" * 40, letter * length, 2**62, 2**31, 14, -1.5e300, 1e-300,
                True, bytes(range(64)))  # fmt: skip
    text = to_bytes(note)
    assert len(text) <= 510
    found = from_bytes(text)
    assert note.what.startswith(found.what)
    assert len(found.what) >= min(length, 15)
    assert (found.frame, found.value, found.device) == (note.frame, note.value, note.device)


def test_all_that_a_machine_can_refuse_fits_into_one_note():
    words = ("generation 1795372650, SCHED_OTHER, CPU 1, memory not locked, CPU idle states on, "
             "mlockall: Cannot allocate memory, cpu_dma_latency: Permission denied, affinity: "
             "Invalid argument, SCHED_FIFO: Operation not permitted, scanning after 700 ms")
    assert from_bytes(to_bytes(Note(NoteKind.STARTED, "", words, 2**62))).what == words


# -- the terminal -----------------------------------------------------------------------------


def heard(rig, name):
    return [event for event in rig.heard if event.name == name]


def test_keys_and_typed_lines_become_requests_with_their_actor_and_reason(rig):
    keyboard = Keyboard(rig.station, "unverified:night@station")
    keyboard.press("\r")
    assert "Scan the lot" in keyboard.line
    keyboard.press("LOT-99X")
    keyboard.press("\x7f\r")
    keyboard.press("a")
    keyboard.press("\x1b")
    assert keyboard.line == ""
    rig.run(15.0)
    (answered,) = heard(rig, "prompt.answered")
    assert answered.data["value"] == "LOT-99"
    assert answered.actor == "unverified:night@station"

    keyboard.press("p")
    rig.run(15.3)
    assert rig.supervisor.procedure_state == "Pausing"
    keyboard.press("p")
    rig.run(15.6)
    assert rig.supervisor.procedure_state == "Running"
    keyboard.press("h")
    rig.run(16.0)
    assert rig.supervisor.procedure_state == "Held"
    keyboard.press("r\r")
    assert "needs some words" in keyboard.said
    keyboard.press("k")
    rig.run(17.0)
    assert rig.supervisor.procedure_state == "Held"
    acknowledged = [event for event in heard(rig, "alarm.state") if event.data["new"] == "ACK"]
    assert [event.actor for event in acknowledged] == ["unverified:night@station"]
    keyboard.press("rthe line was checked\r")
    rig.run(18.0)
    intent = [event for event in heard(rig, "command.intent") if event.data["verb"] == "restart"]
    assert intent[0].reason == "the line was checked"
    assert intent[0].data["expected"] == "Held"


def test_a_bad_value_is_struck_through_with_its_reason_and_trips_show_the_first_out(rig):
    rig.run(30.0)
    beat = rig.station.board.image.beat[0]
    beat["scans"], beat["missed"] = 300, 2
    console = Console(record=True, width=100, force_terminal=True, color_system="standard",
                      file=io.StringIO())  # fmt: skip
    console.print(picture(rig.station, rig.batch_id, 30.0))
    shown = console.export_text(styles=True)
    line = next(part for part in shown.splitlines() if "WT101" in part)
    assert "\x1b[9;31m" in line
    assert "no valid answer from the device" in line
    plain = next(part for part in shown.splitlines() if "TT101" in part)
    assert "\x1b[9" not in plain.split("TT101")[1].split("   ")[0]
    assert "first out" in shown
    assert "row 20.balance" in shown
    assert "latched" in next(part for part in shown.splitlines() if "row 9:" in part)
    assert "missed 2" in shown
    assert "no real-time" in shown
    assert "NOT FOR HUMAN USE" in shown


def test_the_typed_reset_asks_for_every_latched_row_with_its_reason(rig):
    keyboard = Keyboard(rig.station, "unverified:night@station")
    keyboard.press("tbalance checked\r")
    rig.run(33.0)
    asked = [event for event in heard(rig, "command.intent") if event.data["verb"] == "reset"]
    assert [event.data["target"] for event in asked] == ["9"]
    assert asked[0].reason == "balance checked"
    assert heard(rig, "cause.reset") == []
    (number,) = [event.data["id"] for event in asked]
    answers = [event.data for event in heard(rig, "command.outcome") if event.data["id"] == number]
    assert [answer["result"] for answer in answers] == ["refused"]


# -- one unit in both programs ------------------------------------------------------------------


def test_a_supervisor_refuses_a_unit_file_that_is_no_longer_the_one_field_runs(tmp_path):
    profile, _ = load_unit(find_unit("perfusion_2l"))
    plan = tmp_path / "plan"
    planfile.write(profile, plan)
    same_unit(plan, profile)
    names = list(profile.signals)
    names[0], names[1] = names[1], names[0]
    for other in (
        dataclasses.replace(profile, signals=tuple(names)),
        dataclasses.replace(profile, links=profile.links[::-1]),
    ):
        with pytest.raises(Refused, match="changed while field runs"):
            same_unit(plan, other)


# -- a batch that turned out to be over -----------------------------------------------------------


def test_a_field_that_has_not_said_its_number_is_never_signalled(rig, monkeypatch):
    beat, sent = rig.station.board.image.beat, []
    monkeypatch.setattr("controller.live.os.kill", lambda *given: sent.append(given))
    present = SimpleNamespace(region=SimpleNamespace(generation=7), board=rig.station.board)
    attachment = SimpleNamespace(present=present, newer=lambda: None, notes=lambda attached: [])
    now = Passing(rig.clock)
    live = LiveRun(rig.station, attachment, now, pause=now.pause)
    beat["pid"] = 0
    live.start_cold()
    assert sent == []
    now.later = lambda: beat["pid"].fill(4711)
    live.start_cold()
    assert sent == [(4711, signal.SIGTERM)]


class Passing:
    """A clock that a pause moves on by a minute."""

    def __init__(self, clock):
        self._now, self.later = clock.stamp(), lambda: None

    def stamp(self):
        return self._now

    def pause(self, seconds):
        self.later()
        self._now = dataclasses.replace(self._now, mono_ns=self._now.mono_ns + 60_000_000_000)


@pytest.mark.parametrize(
    ("number", "who"), [(signal.SIGINT, "Ctrl-C at the console"), (signal.SIGTERM, "SIGTERM")]
)
def test_who_ended_a_run_with_its_batch_open_is_a_durable_record(tmp_path, number, who):
    rig = Rig(tmp_path)
    rig.run(2.0)
    attachment = SimpleNamespace(present=None, newer=lambda: None, notes=lambda attached: [])
    now = Passing(rig.clock)
    live = LiveRun(rig.station, attachment, now, pause=now.pause)
    live.batch_id = rig.batch_id
    live.end(number)
    order = SimpleNamespace(actor="unverified:me@station")
    with pytest.raises(Ended):
        live.run(order)
    record = next(r for r in read_records(rig.station.batch_log.directory)
                  if r["event"] == "run.ending")  # fmt: skip
    assert record["data"]["who"] == who
    assert record["actor"] == (order.actor if number == signal.SIGINT else "system")


def test_a_trip_for_want_of_a_signal_is_worded_so_and_not_as_a_fact(rig):
    board, profile = rig.station.board, rig.station.profile
    index = next(i for i, cause in enumerate(profile.causes) if cause.row == "2")
    title, tag = profile.causes[index].title, profile.causes[index].signals[0]
    row = board.image.signals[profile.index[tag]]
    before = int(row["quality"])
    words = Translator(profile, board)
    stamp = rig.clock.stamp()

    def of(kind, a, b):
        return words.kernel(KernelEvent(0, 1, 1, int(kind), index, a, b), stamp)

    try:
        row["quality"] = 2
        blind = of(EventKind.CAUSE_ACTIVE, 0, 2)
        assert blind.data["title"] == f"its signal {tag} is bad ({title})"
        assert of(EventKind.ACTION, 1, 0).data["title"] == blind.data["title"]
    finally:
        row["quality"] = before
    assert of(EventKind.CAUSE_ACTIVE, 0, 1).data["title"] == title
    assert of(EventKind.ACTION, 1, 0).data["title"] == title
