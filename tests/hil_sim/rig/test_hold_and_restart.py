"""A Hold can always be left: after hours, in mid-harvest, and never over a latched row."""

from __future__ import annotations

from pathlib import Path

import pytest
from warm_rig import FAULT_AT_S, HERE, Warm, dense_plant, warm

from controller.core.errors import BadInput, Refused
from controller.core.events import Event
from controller.desk import Request
from controller.record.verify import verify
from controller.script import load_script
from hil_sim.rig.rig import Rig

ANNA, BEN = "unverified:anna@station", "unverified:ben@station"


def ask(made: Warm, verb: str, target: str = "procedure", value: str = "", **more: str) -> None:
    """One request of Anna's, carried out."""
    made.rig.supervisor.desk.ask(Request(verb, target, value, ANNA, **more))
    made.run_to(made.rig.clock.now_ns // 1_000_000_000 + 2)


def test_a_hold_of_more_than_four_hours_can_be_left(tmp_path: Path) -> None:
    with warm(tmp_path, "signal") as made:
        made.settled()
        ask(made, "hold", reason="night")
        made.run_to(FAULT_AT_S + 4.2 * 3600)
        assert made.rig.station.board.read("xv201").value == 0.0
        ask(made, "restart", reason="morning")
        made.run_to(FAULT_AT_S + 4.2 * 3600 + 60)
        assert made.rig.supervisor.procedure_state == "Running", made.words()
        assert made.rig.station.board.read("XV201_ZSO").value == 1.0
        assert made.rig.station.board.read("feed").value > 0.5


def test_a_held_harvest_is_restarted_and_ends(tmp_path: Path) -> None:
    script = tmp_path / "script.yaml"
    script.write_text(
        (HERE / "warm_operator.yaml").read_text()
        + '  - {prompt: "*.lineup", answer: "yes", second: operator_2}\n'
        + '  - {prompt: "*.empty", answer: "yes", second: operator_2}\n'
    )
    rig = Rig(
        tmp_path / "state", recipe=str(HERE / "harvest_recipe.yaml"), script=script,
        plant=dense_plant(1),
    )  # fmt: skip
    made = Warm(rig)
    rig.supervisor.listeners.append(made.events.append)
    for second in range(600, 7200, 60):
        made.run_to(second)
        if rig.plant.truth()["volume_l"] < 1.5:
            break
    assert rig.supervisor.procedure_state == "Running", made.words()
    ask(made, "hold", reason="bag is full")
    assert rig.supervisor.procedure_state == "Held"
    assert rig.station.board.read("XV203_ZSC").value == 1.0
    held_at = rig.plant.truth()["volume_l"]
    made.run_to(rig.clock.now_ns // 1_000_000_000 + 600)
    assert rig.plant.truth()["volume_l"] == pytest.approx(held_at, abs=0.02)
    ask(made, "restart", reason="new bag")
    rig.run(6 * 3600)
    assert rig.closed, made.words()
    assert rig.final_state == "Complete"
    assert rig.plant.truth()["volume_l"] < 0.35
    assert "18.lineup" not in made.trips()
    report = verify(rig.log_dir)
    assert report.ok
    assert report.sealed


def test_restart_is_refused_while_a_protect_is_latched_and_says_which(tmp_path: Path) -> None:
    with warm(tmp_path, "signal") as made:
        made.settled()
        made.fault("heater_stuck_on")
        made.run_to(FAULT_AT_S + 300)
        made.rig.field.set_fault("heater_stuck_on", False)
        made.run_to(FAULT_AT_S + 1800)
        ask(made, "restart", reason="looks fine")
        assert made.rig.supervisor.procedure_state == "Held"
        refused = made.named("command.refused", verb="restart")
        assert refused
        assert "row 1" in refused[-1].data["why"]
        ask(made, "reset", "1", reason="heater replaced")
        ask(made, "restart", reason="heater replaced")
        assert made.rig.supervisor.procedure_state == "Running", made.words()


@pytest.mark.parametrize(
    ("verb", "target", "value"),
    [
        ("set_output", "xv100", "0"), ("set_output", "stirrer", "1"), ("set_output", "km101", "0"),
        ("set_mode", "DIC101", "off"), ("set_mode", "TIC103", "off"),
    ],
)  # fmt: skip
def test_no_command_starves_cells_almost_or_quite(
    tmp_path: Path, verb: str, target: str, value: str
) -> None:
    with warm(tmp_path, "signal") as made:
        made.settled()
        ask(made, verb, target, value, reason="by mistake")
        outcome = [e for e in made.named("command.outcome") if e.data["result"] == "refused"]
        assert outcome, made.words()
        assert "heat, stirring or oxygen" in outcome[-1].data["why"]
        made.run_to(FAULT_AT_S + 900)
        made.in_band(FAULT_AT_S, 15)


def test_gas_and_probe_lines_lost_together_leave_the_gas_header_open(tmp_path: Path) -> None:
    with warm(tmp_path, "signal") as made:
        made.settled()
        made.fault("mfc_link_lost")
        made.fault("slow_read", link="probe_bus", late_ms=900)
        made.run_to(FAULT_AT_S + 1800)
        assert float(made.rig.plant._s.xv100_actual) > 0.99
        assert made.span("do_pct")[0] > 15.0, made.words()


def test_the_second_person_is_recorded_and_is_never_the_first(tmp_path: Path) -> None:
    with warm(tmp_path, "signal") as made:
        made.settled()
        ask(made, "bypass", "3", "600;both are read", reason="probe exchange", second=ANNA.upper())
        assert made.named("command.refused", verb="bypass")
        ask(made, "bypass", "3", "600;both are read", reason="probe exchange", second=BEN)
        [intent] = made.named("command.intent", verb="bypass")
        assert intent.data["second"] == BEN
        assert made.named("bypass.set")


def test_a_failing_face_is_dropped_and_recorded_and_the_batch_goes_on(tmp_path: Path) -> None:
    def broken(event: Event) -> None:
        raise SystemExit(1)

    with warm(tmp_path, "signal") as made:
        made.settled()
        made.rig.supervisor.listeners.insert(0, broken)
        ask(made, "hold", reason="any event")
        assert made.named("face.lost")
        assert made.rig.supervisor.procedure_state == "Held"


def test_requests_nobody_can_mean_are_refused_at_the_desk(tmp_path: Path) -> None:
    with warm(tmp_path, "signal") as made:
        desk = made.rig.supervisor.desk
        for request in (
            Request("hold", actor=""), Request("hold", actor="recipe"),
            Request("hold", actor=ANNA, reason="x" * 100_000),
            Request("hold", actor=ANNA, reason="\ud800"),
            Request("hold", actor=ANNA, value="a\x00"),
        ):  # fmt: skip
            with pytest.raises(Refused):
                desk.ask(request)
        for _ in range(64):
            desk.ask(Request("nonsense", actor=ANNA))
        with pytest.raises(Refused):
            desk.ask(Request("restart", actor=ANNA))
        desk.ask(Request("hold", actor=ANNA))  # has a door of its own
        made.run_to(20)
        assert len(made.named("command.refused", verb="nonsense")) == 64
        (refused,) = made.named("command.refused", verb="hold")
        assert refused.data["why"] == "no batch is open"


def test_a_script_with_a_time_that_is_none_is_refused_with_its_line(tmp_path: Path) -> None:
    script = tmp_path / "script.yaml"
    script.write_text("by: anna\nalarms: {acknowledge_after: soon}\n")
    with pytest.raises(BadInput) as error:
        load_script(script)
    assert ":2:" in str(error.value)
