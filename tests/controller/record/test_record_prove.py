"""Proofs of one record and of an older checkpoint: ours and the single file agree."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from record_logs import contents, fill, frames_of, make_log, quality_event, stamp_at

from controller.cli.log_files import trusted
from controller.core.errors import BadInput, RecordFailure
from controller.record.export import PROOF_CHECKER
from controller.record.files import VolatileFiles
from controller.record.keys import Keys, Signer
from controller.record.layout import read_identity
from controller.record.log import BatchLog
from controller.record.note import certificate_text
from controller.record.prove import Proof, check, consistent, prove
from controller.record.sources import Source, source_of

LONG = 700  # records: more than two tiles


@pytest.fixture(scope="module")
def long_log(tmp_path_factory: pytest.TempPathFactory) -> Source:
    """A finished log with a second level of tiles."""
    directory = tmp_path_factory.mktemp("long") / "log"
    log = BatchLog.create(directory, Keys.from_seed(3), stamp_at(0), purpose="B-9",
                          files=VolatileFiles())  # fmt: skip
    fill(log, LONG - 1, every=50)
    log.seal(stamp_at(LONG + 9))
    return source_of(directory)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., tuple[int, dict[str, object]]]:
    """Runs a copy of the single file, in a directory of its own, without any package."""
    folder = tmp_path_factory.mktemp("alone")
    script = shutil.copy(PROOF_CHECKER, folder)

    def run(proof: bytes, *options: str) -> tuple[int, dict[str, object]]:
        (folder / "a.tlog-proof").write_bytes(proof)
        done = subprocess.run(
            [sys.executable, "-I", "-S", script, "a.tlog-proof", "--json", *options],
            cwd=folder, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.stderr == ""
        return done.returncode, json.loads(done.stdout)

    return run


def holds(data: bytes, source: Source) -> bool:
    """Whether our check says that a proof holds, for who trusts the device."""
    try:
        check(data, log=None, device=read_identity(source.directory).device)
    except (BadInput, RecordFailure):
        return False
    return True


@pytest.mark.parametrize("number", [0, 1, 255, 256, 511, 512, LONG - 1])
def test_any_record_can_be_proved_and_the_single_file_agrees(
    long_log: Source, alone: Callable[..., tuple[int, dict[str, object]]], number: int
) -> None:
    identity = read_identity(long_log.directory)
    data = prove(long_log, number).render()
    found = check(data, log=identity.log, device=identity.device)
    stored = json.loads(frames_of(long_log.directory)[number].payload)
    assert (found.index, found.size, found.record) == (number, LONG, stored)
    assert found.sealed
    status, told = alone(data, "--device", str(identity.device))
    assert (status, told["ok"], told["record"]) == (0, True, stored)
    assert (told["root"], told["size"]) == (found.root.hex(), LONG)


def test_a_proof_has_the_form_of_c2sp(long_log: Source) -> None:
    head, _, note = prove(long_log, 300).render().partition(b"\n\n")
    lines = head.decode("ascii").split("\n")
    assert lines[0] == "c2sp.org/tlog-proof@v1"
    assert lines[1].startswith("extra ")
    assert lines[2] == "index 300"
    assert [len(base64.b64decode(line)) for line in lines[3:]] == [32] * len(lines[3:])
    assert len(lines[3:]) == 10
    assert note == (long_log.directory / "checkpoint").read_bytes()
    assert Proof.parse(prove(long_log, 300).render()) == prove(long_log, 300)


def test_a_proof_gives_no_other_record_away(long_log: Source) -> None:
    data = prove(long_log, 300).render()
    shown = data + base64.b64decode(data.split(b"\n")[1].removeprefix(b"extra "))
    others = [frame for frame in frames_of(long_log.directory) if frame.seq not in (0, 300)]
    for frame in others:
        told = json.loads(frame.payload)["data"]["scan"]
        assert f'"scan":{told},'.encode() not in shown.replace(b"\\", b"")


def test_every_changed_byte_of_a_proof_is_noticed(long_log: Source) -> None:
    data = prove(long_log, 7).render()
    assert holds(data, long_log)
    missed = []
    for at in range(len(data)):
        spoiled = bytearray(data)
        spoiled[at] ^= 1
        if holds(bytes(spoiled), long_log):
            missed.append(at)
    assert missed == []


def test_the_single_file_notices_them_too(
    long_log: Source, alone: Callable[..., tuple[int, dict[str, object]]]
) -> None:
    data = prove(long_log, 7).render()
    device = str(read_identity(long_log.directory).device)
    for at in range(5, len(data), len(data) // 6):
        spoiled = bytearray(data)
        spoiled[at] ^= 1
        status, told = alone(bytes(spoiled), "--device", device)
        assert (status, told["ok"]) == (3, False), at


def test_a_proof_is_worth_nothing_under_another_key(
    long_log: Source, sealed_log: Path, alone: Callable[..., tuple[int, dict[str, object]]]
) -> None:
    data = prove(long_log, 7).render()
    other = read_identity(sealed_log)
    with pytest.raises(RecordFailure, match="certified by"):
        check(data, log=None, device=other.device)
    with pytest.raises(RecordFailure, match="it is of the log"):
        check(data, log=other.log, device=None)
    with pytest.raises(BadInput, match="no key to trust"):
        check(data, log=None, device=None)
    assert alone(data, "--device", str(other.device))[0] == 3
    assert alone(data, "--vkey", str(other.log))[0] == 3


def test_a_record_that_is_not_under_a_checkpoint_cannot_be_proved(sealed_log: Path) -> None:
    with pytest.raises(BadInput, match="which covers 30"):
        prove(source_of(sealed_log), 30)


def test_nothing_is_proved_with_a_log_that_was_changed(copy: Path) -> None:
    tile = next((copy / "tile" / "0").rglob("30"))
    data = bytearray(tile.read_bytes())
    data[32 * 6] ^= 1
    tile.write_bytes(bytes(data))
    with pytest.raises(RecordFailure, match="not the one the checkpoint covers"):
        prove(source_of(copy), 7)


def test_a_log_without_tiles_is_proved_from_its_records(copy: Path) -> None:
    whole = prove(source_of(copy), 7)
    shutil.rmtree(copy / "tile")
    assert prove(source_of(copy), 7) == whole


def test_the_signature_of_a_witness_goes_with_the_proof(copy: Path) -> None:
    source = source_of(copy)
    note = (copy / "checkpoint").read_bytes()
    line = "\N{EM DASH} witness.example " + base64.b64encode(bytes(4 + 72)).decode() + "\n"
    (copy.parent / "evidence").mkdir(exist_ok=True)
    witnessed = copy.parent / ("evidence/witnessed" if copy.name == "log" else "x")
    witnessed.write_bytes(note + line.encode())
    data = prove(source, 7).render()
    assert data.endswith(line.encode())
    found = check(data, log=None, device=read_identity(copy).device)
    assert found.others == ("witness.example",)
    witnessed.write_bytes(b"of another checkpoint\n")
    assert prove(source, 7).checkpoint == note


# -- consistency --------------------------------------------------------------


def _checkpoints(directory: Path) -> list[bytes]:
    return [part + b"\n" for part in _split(directory)]


def _split(directory: Path) -> list[bytes]:
    text = (directory / "checkpoints").read_bytes()
    blocks = text.split(b"\n\n")
    return [blocks[at] + b"\n\n" + blocks[at + 1] for at in range(0, len(blocks) - 1, 2)]


def test_every_checkpoint_that_was_ever_given_begins_the_log(long_log: Source) -> None:
    notes = _checkpoints(long_log.directory)
    assert len(notes) > 10
    for note in notes:
        old, now, _ = consistent(long_log.directory, note)
        assert old.size <= now.size == LONG


def test_a_code_that_was_scanned_without_its_last_newline_is_taken(long_log: Source) -> None:
    note = _checkpoints(long_log.directory)[3]
    old, _, path = consistent(long_log.directory, note.rstrip(b"\n"))
    assert old.size > 1
    assert path


def test_a_log_that_was_set_back_or_written_anew_is_not_consistent(tmp_path: Path) -> None:
    log = make_log(tmp_path / "log", sealed=False)
    earlier = contents(tmp_path / "log")
    log.append(quality_event(77, 60))
    log.checkpoint(stamp_at(60))
    log.close()
    seen = (tmp_path / "log" / "checkpoint").read_bytes()
    shutil.rmtree(tmp_path / "log")
    for name, data in earlier.items():
        path = tmp_path / "log" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    with pytest.raises(RecordFailure, match="cut, or set back"):
        consistent(tmp_path / "log", seen)
    again = BatchLog.open(tmp_path / "log", Keys.from_seed(1), stamp_at(70), files=VolatileFiles())
    for number in range(5):
        again.append(quality_event(number, 71))
    again.checkpoint(stamp_at(72))
    again.close()
    with pytest.raises(RecordFailure, match="not those of the older checkpoint"):
        consistent(tmp_path / "log", seen)


def test_a_checkpoint_of_another_log_is_refused(long_log: Source, sealed_log: Path) -> None:
    note = (sealed_log / "checkpoint").read_bytes()
    with pytest.raises(RecordFailure, match="not of"):
        consistent(long_log.directory, note)


# -- keys from the command line ---------------------------------------------------


def test_a_key_is_given_as_text_or_as_a_file(long_log: Source) -> None:
    identity = read_identity(long_log.directory)
    assert trusted(str(identity.log)) == identity.log
    assert trusted(str(long_log.directory / "vkey")) == identity.log
    assert trusted("") is None
    with pytest.raises(BadInput, match="no verifier key"):
        trusted("a+b+c")


def test_who_trusts_the_log_s_key_is_not_told_who_certified_it(
    long_log: Source, tmp_path: Path
) -> None:
    """Anybody can certify a key that is known, under any name."""
    log = read_identity(long_log.directory).log
    forger = Signer("somebody/\x1b[2Jelse", b"f" * 32)
    certificate = forger.sign(certificate_text(log, forger.verifier)).render()
    data = replace(prove(long_log, 9), certificate=certificate).render()
    (tmp_path / "a.tlog-proof").write_bytes(data)
    run = subprocess.run(
        [sys.executable, "-I", "-S", str(PROOF_CHECKER), "a.tlog-proof", "--vkey", str(log)],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0
    assert not [line for line in run.stdout.splitlines() if line.startswith("Certified")]
    assert "NOT compared" in run.stdout
    assert "\x1b" not in run.stdout
    with pytest.raises(RecordFailure, match="certificate"):
        check(data, log=log, device=None)


def test_a_proof_that_says_a_thing_twice_is_none(
    long_log: Source, alone: Callable[..., tuple[int, dict[str, object]]]
) -> None:
    log = read_identity(long_log.directory).log
    proof = prove(long_log, 9)
    title, extra, rest = proof.render().split(b"\n", 2)
    inside = base64.b64decode(extra.removeprefix(b"extra "))
    for odd in (b'{"record":"{}",' + inside[1:], inside + b" ", inside[:-1] + b',"x":"y"}'):
        data = b"\n".join([title, b"extra " + base64.b64encode(odd), rest])
        assert alone(data, "--vkey", str(log))[0] == 3
        with pytest.raises(BadInput):
            check(data, log=log, device=None)
    assert alone(proof.render(), "--vkey", str(log))[0] == 0


def test_a_proof_says_which_log_the_device_certified_the_key_for(
    long_log: Source, tmp_path: Path
) -> None:
    """So whoever signs a batch's record with the key of the station's log shows the station's."""
    identity, device = read_identity(long_log.directory), Keys.from_seed(3).device
    station = certificate_text(identity.log, identity.device, "station", "Station \xfc")
    older = certificate_text(identity.log, identity.device)
    as_it_is = prove(long_log, 9)

    def said(certificate: bytes, *trust: str) -> str:
        data = replace(as_it_is, certificate=certificate).render()
        (tmp_path / "a.tlog-proof").write_bytes(data)
        run = subprocess.run(
            [sys.executable, "-I", "-S", str(PROOF_CHECKER), "a.tlog-proof", *trust],
            cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert run.returncode == 0, run.stdout
        return run.stdout

    trust = ("--device", str(identity.device))
    assert "\nThe log is of kind batch, its purpose: B-9\n" in said(as_it_is.certificate, *trust)
    told = said(device.sign(station).render(), *trust)
    assert "\nThe log is of kind station, its purpose: Station \\xfc\n" in told
    assert "does not say which log" in said(device.sign(older).render(), *trust)
    told = said(as_it_is.certificate, "--vkey", str(identity.log))
    assert "NOT compared, --device does that: The log is of kind batch" in told


@pytest.mark.parametrize("purpose", ["", "x" * 201, "B-9\nB-10", "B-9\x1b[2J", "B-9\u2028B-10"])
def test_a_certificate_whose_purpose_is_no_printable_line_proves_nothing(
    long_log: Source, alone: Callable[..., tuple[int, dict[str, object]]], purpose: str
) -> None:
    identity, device = read_identity(long_log.directory), Keys.from_seed(3).device
    text = certificate_text(identity.log, identity.device, "batch", purpose)
    data = replace(prove(long_log, 9), certificate=device.sign(text).render()).render()
    assert alone(data, "--device", str(identity.device))[0] == 3
    assert not holds(data, long_log)
