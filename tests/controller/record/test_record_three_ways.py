"""Ours, the single-file script and the Go program come to the same verdict about every log."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from big_log import PURPOSE, make_big_log, opening, payload_of
from spoiled_logs import BASES, DAMAGE, FORMAT_1, Case, cases, copy_of_format_1, small, spoiled
from three_verifiers import Verdict, go_program, ours, script

from controller.record.keys import Keys
from controller.record.note import Checkpoint, Note, VerifierKey, certificate_text

CASES = cases()
DEEP_RECORDS_MAX = 1_000
ROUNDS = 60
FORMAT_1_SEED = 1  # of the keys that made it


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Every case's log."""
    base = tmp_path_factory.mktemp("logs")
    made = {}
    for number, case in enumerate(CASES):
        made[case.name] = base / str(number) / "log"
        made[case.name].parent.mkdir()
        case.make(made[case.name])
    return made


@pytest.fixture(scope="module")
def by_go(logs: dict[str, Path]) -> dict[str, Verdict]:
    """What the Go program says of every case."""
    found = {}
    for may_be_open in (False, True):
        some = [case for case in CASES if case.may_be_open == may_be_open]
        said = go_program([logs[case.name] for case in some], may_be_open=may_be_open)
        found |= {case.name: verdict for case, verdict in zip(some, said, strict=True)}
    return found


def test_there_are_fifty_logs_and_no_two_of_a_name() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 50


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_all_verifiers_agree_about(
    case: Case, logs: dict[str, Path], by_go: dict[str, Verdict]
) -> None:
    path = logs[case.name]
    verdicts = {
        "ours": ours(path, may_be_open=case.may_be_open),
        "script": script(path, may_be_open=case.may_be_open),
        "go": by_go[case.name],
    }
    if verdicts["ours"].records <= DEEP_RECORDS_MAX:
        verdicts["deep"] = ours(path, may_be_open=case.may_be_open, deep=True)
    assert {name: verdict.ok for name, verdict in verdicts.items()} == dict.fromkeys(
        verdicts, case.good
    ), verdicts
    if case.good:
        assert len({(v.records, v.root, v.sealed) for v in verdicts.values()}) == 1
    else:
        assert all(verdict.problems for verdict in verdicts.values())


OPENING = opening(
    "batch",
    Keys.from_seed(1).device.verifier,
    Keys.from_seed(1).issue("batch", PURPOSE)[0].verifier,
)
NAMING = b'{"data":{"sha256":%s},"event":"quality.changed","v":2}'


def with_record(path: Path, number: int, payload: bytes) -> Path:
    """A log of 60 records, all signed, of which one is this."""
    first = payload if number == 0 else OPENING
    make_big_log(path, 60, first=first, payload=lambda n: payload if n == number else payload_of(n))
    return path


def all_say(path: Path, *, may_be_open: bool = False) -> set[bool]:
    verdicts = [ours(path, may_be_open=may_be_open), script(path, may_be_open=may_be_open),
                *go_program([path], may_be_open=may_be_open)]  # fmt: skip
    return {verdict.ok for verdict in verdicts}


@pytest.mark.parametrize(
    ("number", "payload", "good"),
    [
        (0, OPENING, True),
        (0, OPENING.decode().encode("utf-16-le"), False),
        (0, b"\xef\xbb\xbf" + OPENING, False),
        (0, OPENING.replace(b'"v":2', b'"v":2,"x":NaN'), False),
        (0, OPENING.replace(b'"v":2', b'"v":2,"x":' + b"9" * 5_000), False),
        (0, OPENING.replace(b'"v":2', b'"v":1,"v":2'), False),
        (0, OPENING.replace(b',"v":2', b""), False),
        (0, OPENING.replace(b'"kind":', b'"kind":"station","kind":'), False),
        (0, OPENING.replace(b'"kind":', b'"k\\u0069nd":"station","kind":'), False),
        (0, OPENING.replace(b'"a big log"', b"[" * 900 + b"]" * 900), False),
        (40, NAMING % b"1", True),
        (40, NAMING % b"-9007199254740991", True),
        (40, NAMING % b"9007199254740992", False),
        (40, NAMING % b"1.5", False),
        (40, NAMING % (b"[" * 30 + b"]" * 30), True),
        (40, NAMING % (b"[" * 31 + b"]" * 31), False),
        (40, NAMING % (b"[" * 5_000 + b"]" * 5_000), False),
        (40, (NAMING % b"1").replace(b'"event"', b'"event":"blob.stored","event"'), False),
    ],
)  # fmt: skip
def test_a_record_that_can_be_read_in_two_ways_is_refused_by_all_of_them(
    tmp_path: Path, number: int, payload: bytes, good: bool
) -> None:
    assert all_say(with_record(tmp_path / "log", number, payload)) == {good}


def test_bytes_across_two_records_or_zeros_in_the_last_one_are_the_same_to_all(
    tmp_path: Path,
) -> None:
    make_big_log(tmp_path / "across", 60, payload=lambda number: {
        40: b'x"sha256"', 41: b"y" * ord(":")}.get(number, payload_of(number)))  # fmt: skip
    assert all_say(tmp_path / "across") == {True}
    make_big_log(tmp_path / "zeros", 60, sealed=False,
                 payload=lambda number: b"x\0" if number == 59 else payload_of(number))  # fmt: skip
    assert all_say(tmp_path / "zeros", may_be_open=True) == {True}


@pytest.mark.parametrize("name", ["cellwright/log/other", ""])
def test_a_checkpoint_in_the_middle_that_another_name_stands_under_is_refused_by_all_of_them(
    tmp_path: Path, name: str
) -> None:
    """All that follows it is signed by the log, so its signature is not looked at otherwise."""
    path = tmp_path / "log"
    make_big_log(path, 350)
    signer, previous, notes = Keys.from_seed(1).issue("batch", "a big log")[0], None, []
    blocks = (path / "checkpoints").read_bytes().split(b"\n\n")[:-1:2]
    for number, text in enumerate(blocks):
        found = replace(Checkpoint.parse(text.decode() + "\n"), previous=previous)
        note = signer.sign(found.text())
        if number == 1 and name:
            (line,) = note.signatures
            note = Note(note.text, (replace(line, name=name),))
        notes.append(note.render())
        previous = hashlib.sha256(notes[-1]).digest()
    (path / "checkpoints").write_bytes(b"".join(note + b"\n" for note in notes))
    (path / "checkpoint").write_bytes(notes[-1])
    assert all_say(path) == {not name}


def certified(path: Path, text: str, seed: int = 1) -> Path:
    """The log, whose key the device of that seed certified with this text."""
    (path / "key.cert").chmod(0o644)
    (path / "key.cert").write_bytes(Keys.from_seed(seed).device.sign(text).render())
    return path


def key_of(path: Path) -> VerifierKey:
    return VerifierKey.parse((path / "vkey").read_text().rstrip())


@pytest.mark.parametrize(
    ("kind", "purpose", "good"),
    [
        ("batch", PURPOSE, True),
        ("station", "station x", False),
        ("station", PURPOSE, False),
        ("batch", "batch B-2", False),
        ("batch", f"{PURPOSE} ", False),
        ("batch ", PURPOSE, False),
        ("", "", False),
    ],
)
def test_a_log_signed_with_the_key_of_another_log_is_refused_by_all_of_them(
    tmp_path: Path, kind: str, purpose: str, good: bool
) -> None:
    """Whoever stole the open key of a station's log can sign all of a batch but its certificate."""
    path = tmp_path / "log"
    make_big_log(path, 60)
    device = Keys.from_seed(1).device.verifier
    certified(path, certificate_text(key_of(path), device, kind, purpose))
    for verdict in (ours(path), ours(path, deep=True), script(path), *go_program([path])):
        assert verdict.ok == good, verdict
        assert good or "key.cert" in verdict.problems
        assert verdict.sealed


@pytest.mark.parametrize(
    ("purpose", "good"),
    [
        ("x" * 200, True),
        ("\N{OHM SIGN}" * 200, True),
        ("x" * 201, False),
        ('Über "x" \\ufffd \ufffd \U0001f9ea', True),
        ("", False),
        (" ", True),
        *((f"B-1{odd}B-2", False) for odd in (
            "\n", "\n\n", "\r", "\t", "\0", "\x1b[2J", "\x7f", "\x85", "\xa0", "\u200b", "\u2028",
            "\u202e", "\ue000",
        )),
    ],
)  # fmt: skip
@pytest.mark.parametrize("escaped", [False, True])
def test_a_purpose_is_one_line_that_can_be_printed_or_all_of_them_refuse_it(
    tmp_path: Path, purpose: str, good: bool, escaped: bool
) -> None:
    first = json.loads(OPENING)
    first["data"]["purpose"] = purpose
    path = with_record(tmp_path / "log", 0, json.dumps(first, ensure_ascii=escaped).encode())
    device = Keys.from_seed(1).device.verifier
    certified(path, certificate_text(key_of(path), device, "batch", purpose))
    assert all_say(path) == {good}


@pytest.mark.parametrize(
    ("recorded", "purpose"),
    [('"\\ud800"', "\ufffd"), ("5", "5"), ("null", "None"), ("null", "null"), ('["x"]', "x"),
     ('""', "x"), ('"a  log"', "a log")],
)  # fmt: skip
def test_a_purpose_that_only_looks_like_that_of_the_certificate_is_refused_by_all_of_them(
    tmp_path: Path, recorded: str, purpose: str
) -> None:
    first = OPENING.replace(f'"{PURPOSE}"'.encode(), recorded.encode())
    path = with_record(tmp_path / "log", 0, first)
    device = Keys.from_seed(1).device.verifier
    certified(path, certificate_text(key_of(path), device, "batch", purpose))
    assert all_say(path) == {False}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (" v2\n", " v1\n"),
        (" v2\n", " v3\n"),
        (" v2\n", " v02\n"),
        ("kind batch\n", ""),
        (f"purpose {PURPOSE}\n", ""),
        (f"purpose {PURPOSE}\n", f"purpose {PURPOSE}\nsealed\n"),
        (f"kind batch\npurpose {PURPOSE}\n", f"purpose {PURPOSE}\nkind batch\n"),
        (f"kind batch\npurpose {PURPOSE}\n", ""),
    ],
)
def test_a_certificate_in_another_form_is_refused_by_all_of_them(
    tmp_path: Path, old: str, new: str
) -> None:
    make_big_log(tmp_path / "log", 60)
    path = tmp_path / "log"
    text = certificate_text(key_of(path), Keys.from_seed(1).device.verifier, "batch", PURPOSE)
    assert old in text
    assert all_say(certified(path, text.replace(old, new))) == {False}


@pytest.mark.parametrize(
    ("kind", "purpose", "good"), [("", "", True), ("batch", "batch B-1", False)]
)
def test_a_log_of_format_1_keeps_its_certificate_of_version_1_and_takes_no_other(
    tmp_path: Path, kind: str, purpose: str, good: bool
) -> None:
    path = tmp_path / "log"
    copy_of_format_1(path)
    device = Keys.from_seed(FORMAT_1_SEED).device.verifier
    certified(path, certificate_text(key_of(path), device, kind, purpose), FORMAT_1_SEED)
    assert all_say(path) == {good}


@pytest.mark.campaign
@pytest.mark.parametrize("seed", range(10))
def test_all_verifiers_agree_about_random_damage(tmp_path: Path, seed: int) -> None:
    chosen = random.Random(seed)
    bases = {make: tmp_path / str(number) for number, make in enumerate(BASES)}
    for make, path in bases.items():
        spoiled(make, lambda path, rng: None)(path)
    paths = []
    for number in range(ROUNDS):
        paths.append(tmp_path / f"spoiled-{number}")
        shutil.copytree(bases[chosen.choice(BASES)], paths[-1])
        chosen.choice(DAMAGE)(paths[-1], chosen)
    said = [[ours(path, may_be_open=True) for path in paths],
            [ours(path, may_be_open=True, deep=True) for path in paths],
            [script(path, may_be_open=True) for path in paths],
            go_program(paths, may_be_open=True)]  # fmt: skip
    for path, verdicts in zip(paths, zip(*said, strict=True), strict=True):
        assert len({verdict.ok for verdict in verdicts}) == 1, (path, verdicts)
        if verdicts[0].ok:
            assert len({(verdict.records, verdict.root) for verdict in verdicts}) == 1


def test_the_oldest_log_we_have_is_read_by_all_of_them() -> None:
    verdicts = [ours(FORMAT_1, deep=True), script(FORMAT_1), *go_program([FORMAT_1])]
    assert {(verdict.ok, verdict.records, verdict.root) for verdict in verdicts} == {
        (True, 30, "c249c9e5708945559af36123972c37d3ab307a0503337879922e292845ae2ef5")
    }


def test_a_good_log_of_a_device_that_is_not_the_trusted_one_fails_everywhere(
    tmp_path: Path,
) -> None:
    small(tmp_path / "log")
    path = tmp_path / "log"
    device = (path / "key.cert").read_text().split("\n")[2].removeprefix("device ")
    assert all(
        verdict.ok
        for verdict in (
            ours(path, device=device),
            script(path, device=device),
            *go_program([path], device=device),
        )
    )
    stranger = device.replace("device/", "device/0")
    for verdict in (
        ours(path, device=stranger),
        script(path, device=stranger),
        *go_program([path], device=stranger),
    ):
        assert not verdict.ok
        assert "key.cert" in verdict.problems
