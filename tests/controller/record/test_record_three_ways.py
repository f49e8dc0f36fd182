"""Ours, the single-file script and the Go program come to the same verdict about every log."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest
from spoiled_logs import BASES, DAMAGE, FORMAT_1, Case, cases, small, spoiled
from three_verifiers import Verdict, go_program, ours, script

CASES = cases()
DEEP_RECORDS_MAX = 1_000
ROUNDS = 60


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
