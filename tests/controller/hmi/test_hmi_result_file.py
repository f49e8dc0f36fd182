"""A file of results sent by a browser: its bytes reach the desk as they are, or are refused."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator

import pytest
from hmi_bench import Bench, bench

from controller.asking import FILE_BYTES_MAX

HEAD = "sample,analyte,value,unit,instrument,serial,time,operator"
ROW = "OTHER/sample_day_1,vcd,0.5,1e6/mL,counter,SN 7,2026-01-06T08:00:00Z,olivia"


@pytest.fixture(scope="module")
def unit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with bench(tmp_path_factory.mktemp("file"), batch="running") as made:
        yield made


def packed(data: bytes) -> str:
    return base64.b64encode(data).decode()


def test_a_file_is_read_as_it_was_sent(unit: Bench) -> None:
    with unit.client("olivia") as browser:
        data = f"{HEAD}\n{ROW}".encode()
        answer = unit.command(browser, "result_file", target="counts.csv", expected="",
                              file=packed(data))  # fmt: skip
        assert answer.status_code == 422
        assert "it is of batch OTHER" in answer.json()["why"]
        (record,) = unit.records("command.refused")
        assert (record.actor, record.data["verb"]) == ("olivia@station", "result_file")
        assert record.data["new"] == hashlib.sha256(data).hexdigest(), "what would be signed"
        full = unit.command(browser, "result_file", target="counts.csv", expected="",
                            file=packed(b"\xff" * FILE_BYTES_MAX))  # fmt: skip
        assert "not UTF-8" in full.json()["why"]


@pytest.mark.parametrize("file", ["%%%", "abc", "a" * (FILE_BYTES_MAX * 2), "ä", "YQ==\n"])
def test_what_is_no_file_is_refused_before_anything_looks_at_it(unit: Bench, file: str) -> None:
    before = len(unit.events)
    with unit.client("olivia") as browser:
        answer = unit.command(browser, "result_file", target="counts.csv", file=file)
    assert answer.status_code in (413, 422)
    assert not unit.records("command.refused", "command.intent", since=before)
