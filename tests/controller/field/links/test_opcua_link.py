"""The OPC UA line in lock-step with the skid: age, status codes, order, beat."""

from __future__ import annotations

import math

import pytest
from link_bench import (
    MS,
    SKID_OUTPUTS,
    SKID_POINTS,
    S,
    Samples,
    StillPlant,
    skid_plan,
)

from controller.field.links.opcua import OpcuaLink, ReadRequest, Response, WriteRequest
from hil_sim.devices.skid import BAD_SENSOR_FAILURE, Skid

GOOD, UNCERTAIN, BAD = 0, 1, 2
COMMUNICATION, DEVICE = 7, 6
TRIP_MS = 4
OUT = {name: at for at, name in enumerate(SKID_OUTPUTS)}
TAG = {name: at for at, name in enumerate(SKID_POINTS)}


class Session:
    """The link and the skid; every request takes 4 ms, an unanswered one its time-out."""

    def __init__(self, *, beating=True):
        self.plant = StillPlant()
        self.skid = Skid(self.plant, dict(self.plant.driven))
        self.samples = Samples()
        self.link = OpcuaLink(skid_plan(), self.samples)
        self.now, self.beating = 0, beating
        self.requests = []

    def run(self, until_ns):
        while True:
            if self.beating:
                self.link.beat(self.now // (100 * MS))
            at = max(self.now, min(self.link.next_ns(), self.now + 100 * MS))
            if at > until_ns:
                self.now = until_ns
                return
            self.now = at
            request = self.link.take_request(self.now)
            if request is None:
                self.now += MS
                continue
            self.requests.append((self.now, request))
            response = self.answer(request)
            if response is not None:
                self.now += TRIP_MS * MS
                self.link.feed(response, self.now)

    def answer(self, request):
        if isinstance(request, WriteRequest):
            status = self.skid.write(request.node, request.value, self.now)
            return None if status is None else Response((), (status,), (), ())
        found = self.skid.read(request.nodes, self.now)
        if found is None:
            return None
        return Response(found.values, found.statuses, found.source_ns, found.server_ns)

    def written(self, node):
        return [r.value for _, r in self.requests if isinstance(r, WriteRequest) and r.node == node]


def test_all_points_come_in_one_read_twice_a_second_in_canonical_units():
    session = Session()
    session.plant.values["PT101"] = 30.0
    session.run(10 * S)
    reads = [r for _, r in session.requests if isinstance(r, ReadRequest)]
    assert 18 <= len(reads) <= 21
    assert session.samples.last(TAG["PT101"])[:2] == (3.0, GOOD)
    assert session.samples.last(TAG["TT101"])[:2] == (20.0, GOOD)


def test_a_frozen_skid_shows_by_age_though_it_answers():
    session = Session()
    session.run(5 * S)
    session.skid.freeze(session.now)
    session.run(9 * S)
    value, _, _, sample_ns = session.samples.last(TAG["TT101"])
    assert value == 20.0
    assert session.now - sample_ns > 3 * S


def test_a_source_time_that_stands_still_ages_even_if_the_server_clock_does_too():
    session = Session()
    link, samples = session.link, session.samples
    count = len(link.take_request(0).nodes)
    link.feed(Response([1.0] * count, [0] * count, [5] * count, [5] * count), 0)
    link.take_request(S)
    link.feed(Response([1.0] * count, [0] * count, [5] * count, [5] * count), S)
    assert samples.last(0)[3] == 0


def test_a_bad_status_code_is_bad_and_its_code_is_told_once():
    session = Session()
    session.run(2 * S)
    session.skid.bad_status["TT101"] = BAD_SENSOR_FAILURE
    session.run(6 * S)
    value, quality, reason, _ = session.samples.last(TAG["TT101"])
    assert math.isnan(value)
    assert (quality, reason) == (BAD, DEVICE)
    assert session.samples.last(TAG["TT103"])[1] == GOOD
    told = [note for note in session.link.take_notes() if "0x808C0000" in note.what]
    assert len(told) == 1


def test_an_uncertain_status_keeps_the_value_and_says_so():
    session = Session()
    session.skid.bad_status["TT101"] = 0x40920000
    session.run(2 * S)
    assert session.samples.last(TAG["TT101"])[:3] == (20.0, UNCERTAIN, DEVICE)


@pytest.mark.parametrize("missing", [None, "source"])
def test_a_value_without_value_or_source_time_is_bad(missing):
    session = Session()
    count = len(session.link.take_request(0).nodes)
    value, source = (None, 5) if missing is None else (1.0, -1)
    session.link.feed(Response([value] * count, [0] * count, [source] * count, [5] * count), 0)
    assert session.samples.last(0)[1:3] == (BAD, DEVICE)


def test_a_killed_skid_is_bad_after_one_time_out_and_good_when_it_is_back():
    session = Session()
    session.run(3 * S)
    session.skid.killed = True
    session.run(5 * S)
    assert session.samples.last(TAG["TT101"])[1:3] == (BAD, COMMUNICATION)
    session.skid.killed = False
    session.run(8 * S)
    assert session.samples.last(TAG["TT101"])[1] == GOOD
    told = [note.kind for note in session.link.take_notes() if note.device == ""]
    assert told == ["lost", "restored"]


def test_a_safe_write_is_the_next_request_and_is_confirmed_by_its_readback():
    session = Session()
    session.run(2 * S)
    session.link.write(OUT["stirrer"], 150.0, False, session.now)
    session.link.write(OUT["heater"], 0.0, True, session.now)
    before = len(session.requests)
    session.run(3 * S)
    assert session.requests[before][1] == WriteRequest("HEATER_CMD", 0.0, "double")
    assert session.plant.driven["heater_pct"] == 0.0
    kinds = [note.kind for note in session.link.take_notes() if note.output == OUT["heater"]]
    assert kinds == ["sent", "confirmed"]


def test_a_write_a_frozen_skid_swallows_is_repeated_and_found_out():
    session = Session()
    session.run(2 * S)
    session.skid.freeze(session.now)
    session.link.write(OUT["heater"], 0.0, True, session.now)
    session.run(8 * S)
    assert not [note for note in session.link.take_notes() if note.kind == "confirmed"]
    session.skid.frozen = False
    session.run(12 * S)
    assert session.plant.driven["heater_pct"] == 0.0


def test_the_host_beat_follows_the_scan_and_stops_with_it():
    session = Session()
    session.run(10 * S)
    assert 9 <= len(session.written("HOST_BEAT")) <= 11
    session.beating = False
    before = len(session.written("HOST_BEAT"))
    session.run(20 * S)
    assert len(session.written("HOST_BEAT")) - before <= 1
    assert session.plant.driven["xv201"] == 0.0


def test_without_a_host_the_skid_shuts_liquids_after_5_s_and_heats_its_mean_after_10_s():
    session = Session()
    session.run(100 * S)
    session.link.write(OUT["heater"], 60.0, False, session.now)
    session.run(115 * S)
    session.beating = False
    session.run(117 * S)
    last = next(at for at, r in reversed(session.requests)
                if isinstance(r, WriteRequest) and r.node == "HOST_BEAT")  # fmt: skip
    session.run(last + 4_900 * MS)
    assert session.plant.driven["xv202"] == 1.0
    session.run(last + 5_600 * MS)
    shut = [session.plant.driven[f"xv20{n}"] for n in (1, 2, 3, 4)]
    assert shut == [0.0] * 4
    assert session.plant.driven["heater_pct"] == 60.0
    session.run(last + 10_600 * MS)
    assert session.plant.driven["heater_pct"] == 30.0
    assert session.plant.driven["km101"] == session.plant.driven["xv100"] == 1.0
    assert session.plant.driven["stirrer_rpm"] == 200.0
