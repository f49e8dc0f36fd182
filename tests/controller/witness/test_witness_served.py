"""The witness as a program: killed at the worst instant, flooded, started twice."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from witness_rig import KEYS, ROOT, again, grow, new_log, start, until, witness

from controller.core.errors import BadInput
from controller.record.files import VolatileFiles
from controller.record.keys import Keys
from controller.witness.app import BODY_BYTES_MAX
from controller.witness.asking import Asked, Lost, WitnessAt
from controller.witness.evidence import Evidence
from controller.witness.witness import render

# A witness that dies of SIGKILL around the moment its answer becomes durable.
KILLED = """
import os, signal, sys
from controller.witness import store
real = store.Store.keep
def keep(self, origin, found):
    if found.checkpoint.size > 100:
        if {after}:
            real(self, origin, found)
        os.kill(os.getpid(), signal.SIGKILL)
    real(self, origin, found)
store.Store.keep = keep
from controller.cli.app import main
main()
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with witness(tmp_path_factory.mktemp("served") / "w") as found:
        yield found


@pytest.fixture
def log(tmp_path):
    return grow(new_log(tmp_path / "log", purpose=f"batch {tmp_path.name}"), 9)


@pytest.mark.parametrize("after", [True, False])
def test_killed_between_state_and_answer_it_goes_on_without_a_fork(tmp_path, log, after):
    served = start(tmp_path / "w", program=("-c", KILLED.format(after=after)))
    asked = Asked(served.at)
    asked.cosigned(log.published, log.consistency)
    grow(log, 200)
    with pytest.raises(Lost):
        asked.cosigned(log.published, log.consistency)
    served.process.wait(10)
    assert served.process.returncode == -9
    with witness(tmp_path / "w", port=served.port) as back:
        assert back.at == served.at  # the same key, without being told
        status, body = back.get(f"/checkpoint/{log.published.origin}")
        assert status == 200
        assert body.split(b"\n")[1] == (b"210" if after else b"10")
        assert asked.cosigned(log.published, log.consistency)[0].checkpoint.size == 210


def test_its_answers_over_the_wire_are_those_of_the_protocol(served, log):
    found = log.published
    assert served.get("/vkey")[1].decode().strip() == str(served.at.key)
    first = render(0, [], found.note)
    assert served.post("/add-checkpoint", first)[0] == 404
    certificate = (log.directory / "key.cert").read_bytes()
    assert served.post("/add-log", certificate)[:2] == (200, f"{found.origin}\n".encode())
    status, body, kind = served.post("/add-checkpoint", first)
    assert (status, kind) == (200, "text/plain; charset=utf-8")
    assert body.startswith(f"\N{EM DASH} {served.at.key.name} ".encode())
    status, body, kind = served.post("/add-checkpoint", first)
    assert (status, body, kind) == (409, b"10\n", "text/x.tlog.size")
    assert served.post("/add-checkpoint", b"nonsense")[0] == 400
    assert served.get(f"/checkpoint/{found.origin}x")[0] == 404
    assert served.get("/")[0] == 404
    assert served.post("/vkey", b"")[0] == 404


def test_a_body_that_is_too_long_or_does_not_end_is_cut_off(served):
    long = b"x" * (BODY_BYTES_MAX + 1)
    assert served.post("/add-checkpoint", long)[0] == 413
    with socket.create_connection(("127.0.0.1", served.port), timeout=20) as line:
        head = "POST /add-log HTTP/1.1\r\nHost: w\r\nTransfer-Encoding: chunked\r\n\r\n"
        part = b"%x\r\n%s\r\n" % (len(long), long)
        line.sendall(head.encode() + part)
        assert line.recv(64).startswith(b"HTTP/1.1 413 ")
    with socket.create_connection(("127.0.0.1", served.port), timeout=20) as line:
        line.sendall(b"POST /add-log HTTP/1.1\r\nHost: w\r\nContent-Length: 9\r\n\r\nabc")
        assert line.recv(64).startswith(b"HTTP/1.1 408 ")
    with socket.create_connection(("127.0.0.1", served.port), timeout=20) as line:
        line.sendall(b"GET /vkey HTTP/1.1\r\nHost: " + b"w" * 70_000)
        assert line.recv(64).startswith(b"HTTP/1.1 400 ")
    assert served.get("/vkey")[0] == 200


def test_a_device_it_does_not_trust_brings_no_log(served, tmp_path):
    stranger = grow(new_log(tmp_path / "x", keys=Keys.from_seed(77)), 3)
    with pytest.raises(Lost, match="not trusted here"):
        Asked(served.at).cosigned(stranger.published, stranger.consistency)


def test_two_cannot_serve_one_state_nor_one_port(served, tmp_path):
    words = [sys.executable, "-m", "controller.cli", "witness", "serve", "--trust",
             str(KEYS.device.verifier), "--port", str(served.port)]  # fmt: skip
    for state, says in (
        (served.state, "a witness keeps its state here already"),
        (tmp_path / "other", "the witness cannot be served at 127.0.0.1"),
    ):
        done = subprocess.run([*words, "--state", str(state)], cwd=ROOT, capture_output=True,
                              text=True, timeout=60, check=False)  # fmt: skip
        assert done.returncode == 2
        assert says in done.stderr
    assert served.get("/vkey")[0] == 200


def test_its_operator_reads_what_was_asked_and_what_it_has_seen(tmp_path, log):
    with witness(tmp_path / "w", extra=("--name", "witness.example/w1")) as served:
        Asked(served.at).cosigned(log.published, log.consistency)
        words = [sys.executable, "-m", "controller.cli", "witness", "show", "--state",
                 str(tmp_path / "w")]  # fmt: skip
        shown = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=60,
                               check=True).stdout  # fmt: skip
        assert f"{served.at.key}\n" in shown
        line = next(each for each in shown.splitlines() if log.published.origin in each)
        assert "10 records, root " + log.published.root.hex() in line
        assert KEYS.device.verifier.name in line
        said = served.end()
    assert f"200 {log.published.origin} cosigned: 10" in said
    assert served.process.returncode == 0


def test_many_who_only_connect_keep_nobody_from_being_answered(served):
    lines = [socket.create_connection(("127.0.0.1", served.port), timeout=20) for _ in range(280)]
    try:
        assert until(lambda: served.get("/vkey")[0] == 200, "an answer beside 280 connections")
    finally:
        for line in lines:
            line.close()


@pytest.mark.parametrize(
    "text",
    ["", "http://127.0.0.1:1", "ftp://x={key}", "http://a b={key}", "http://x?y={key}",
     "http://u@x={key}", "http://={key}", "http://x:99999={key}", "http://x={log}"],
)  # fmt: skip
def test_what_is_no_witness_is_refused_by_name(served, log, text):
    given = text.replace("{key}", str(served.at.key)).replace(
        "{log}", (log.directory / "vkey").read_text().strip()
    )
    with pytest.raises(BadInput, match=r"is no witness|is no address of a witness"):
        WitnessAt.parse(given)


def test_an_inspector_compares_a_log_with_what_was_seen_of_it(served, tmp_path):
    log = grow(new_log(tmp_path / "batch" / "log", purpose="batch inspected"), 9)
    log.close()
    shutil.copytree(tmp_path / "batch", tmp_path / "old")
    log = grow(again(tmp_path / "batch" / "log"), 9)
    seen, cosignature = Asked(served.at).cosigned(log.published, log.consistency)
    for batch in (tmp_path / "batch", tmp_path / "old"):
        Evidence(batch / "log", VolatileFiles()).witnessed(seen, cosignature)
    grow(log, 5)
    log.close()

    def asked(batch: Path, given: str) -> tuple[int, str]:
        words = [sys.executable, "-m", "controller.cli", "witness", "check", str(batch),
                 "--witness", given]  # fmt: skip
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=60,
                              check=False)  # fmt: skip
        return done.returncode, done.stdout + done.stderr

    status, said = asked(tmp_path / "batch", served.line)
    assert status == 0
    assert said.count("19 records, as they are here; 5 of the 24 here came later") == 2
    status, said = asked(tmp_path / "old", str(served.at.key))  # without the network
    assert status == 3
    assert "the 10 here DO NOT CONTINUE them" in said
    (tmp_path / "old" / "evidence" / "witnessed").unlink()
    status, said = asked(tmp_path / "old", served.line)
    assert status == 3
    assert "no cosignature is kept" in said
    assert "shows now 19 records; the 10 here DO NOT CONTINUE" in said
    assert asked(tmp_path / "nothing", served.line)[0] == 2
    assert asked(tmp_path / "batch", "nonsense")[0] == 2
