"""The normal state a case begins with is one that stays: a row that trips on the way is reset."""

import pytest

from controller.units import find_unit, load_unit
from hil_sim.qualification.bench import LIVE, Bench, BenchFailure
from hil_sim.qualification.plant_state import OUTPUTS, drive_of


class Station(Bench):
    """A station at 0.1 s a step. Row 9 trips again, `trips` times, 0.5 s after each restart."""

    fidelity = LIVE

    def __init__(self, trips):
        self.profile = load_unit(find_unit("perfusion_2l"))[0]
        self.trips, self.time_ns, self.due_ns = trips, 0, -1
        self.record, self.asked = [], []
        self._begin()
        self.driven = {drive_of(name)[0]: 0.0 for name in OUTPUTS}
        self.state_is("Running")
        self.trip()

    def state_is(self, name):
        self.note("procedure.state", level="procedure", new=name)

    def note(self, event, **data):
        self.record.append({"mono_ns": str(self.time_ns), "event": event, "data": data})

    def trip(self):
        self.note("cause.active", row="9")
        self.note("cause.cleared", row="9", latched=True)
        self.state_is("Held")
        self.driven["n2"] = 0.0

    @property
    def now_ns(self):
        return self.time_ns

    def wait(self, seconds):
        self.time_ns += max(round(seconds * 1e9), 10**8)
        if 0 <= self.due_ns <= self.time_ns:
            self.due_ns = -1
            self.trip()

    def ask(self, *requests):
        for each in requests:
            verb, target = each["verb"], each["target"]
            self.asked.append(verb)
            if verb == "reset":
                self.note("cause.reset", row=target)
            elif verb == "restart":
                self.state_is("Running")
                if self.trips:
                    self.trips -= 1
                    self.due_ns = self.time_ns + 5 * 10**8
            elif verb == "set_output" and self.procedure == "Running":
                name, per_unit = drive_of(target)
                self.driven[name] = float(each["value"]) * per_unit
                if name == "n2" and self.due_ns >= 0:
                    self.driven[name] = 0.0  # it takes its time

    def show(self, values): ...
    def unforce(self, channels): ...
    def fault(self, name, on, **how): ...
    def sent(self, since_ns):
        return []

    def drives(self):
        return self.driven

    def rows(self):
        return self.record

    def silence_supervisor(self, seconds): ...
    def logs(self):
        return []

    def close(self): ...


def test_a_row_that_trips_again_while_outputs_are_asked_for_is_reset_again():
    station = Station(trips=2)
    station.normal()
    assert station.standing() == {}
    assert station.procedure == "Running"
    assert station.at_device("n2") == OUTPUTS["n2"]
    assert station.asked.count("restart") == 3


def test_one_that_trips_again_and_again_is_said_with_the_row():
    with pytest.raises(BenchFailure, match=r"again and again.*Held.*'9': 'latched'"):
        Station(trips=99).normal()
