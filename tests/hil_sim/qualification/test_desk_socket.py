"""The socket of a station under qualification: it puts requests at the desk and nothing else."""

import json
import socket
from types import SimpleNamespace

import pytest

from controller.cli import qualify_station
from controller.cli.qualify_station import DeskFace, socket_of
from controller.core.errors import Refused


class Desk:
    def __init__(self):
        self.asked = []

    def ask(self, request):
        if request.verb == "busy":
            raise Refused("too many requests wait")
        self.asked.append(request)


@pytest.fixture
def station(tmp_path):
    desk, said = Desk(), []
    supervisor = SimpleNamespace(desk=desk, listeners=[])
    run = SimpleNamespace(station=SimpleNamespace(supervisor=supervisor))
    console = SimpleNamespace(print=lambda text, **how: said.append(text))
    path = socket_of(tmp_path / "state")
    face = DeskFace(run, console, path, "erin")
    line = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    yield face, desk, said, lambda data: line.sendto(data, str(path))
    line.close()
    face._line.close()


def test_a_wish_is_asked_at_the_desk_as_at_a_console_by_a_person_nobody_verified(station):
    face, desk, _, send = station
    send(json.dumps([{"verb": "set_output", "target": "heater", "value": 20,
                      "reason": "looked", "second": "s", "actor": "ada@desk", "role": "admin",
                      "origin": "screen", "session": "x"}]).encode())  # fmt: skip
    face.turn(None)
    (asked,) = desk.asked
    assert (asked.verb, asked.target, asked.value) == ("set_output", "heater", "20")
    assert (asked.reason, asked.second) == ("looked", "s")
    assert asked.actor == "unverified:erin@qualification"
    assert (asked.origin, asked.session, asked.signatures) == ("console", "", ())


@pytest.mark.parametrize("data", [b"", b"\xff", b"{", b"7", b'["hold"]', b"[[]]", b"null"])
def test_what_is_no_request_is_said_and_the_next_one_is_put(station, data):
    face, desk, said, send = station
    send(data)
    send(b'[{"verb": "hold", "target": "procedure"}]')
    face.turn(None)
    assert [request.verb for request in desk.asked] == ["hold"]
    assert len(said) == 1
    assert "cannot be put" in said[0]


def test_a_desk_that_refuses_is_said(station):
    face, _, said, send = station
    send(b'[{"verb": "busy", "target": "procedure"}]')
    face.turn(None)
    assert "too many requests wait" in said[0]


def test_of_a_flood_each_turn_takes_a_part(station, monkeypatch):
    face, desk, _, send = station
    monkeypatch.setattr(qualify_station, "DATAGRAMS_MAX", 3)
    for _ in range(5):
        send(b'[{"verb": "hold", "target": "procedure"}]')
    face.turn(None)
    assert len(desk.asked) == 3
    face.turn(None)
    assert len(desk.asked) == 5
