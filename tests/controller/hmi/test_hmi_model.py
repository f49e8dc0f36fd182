"""What a page is told of the unit once, and the pages themselves."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hmi_bench import Bench, bench, wait_until

from controller.core.errors import BadInput
from controller.core.yamltext import parse
from controller.hmi.static import assets
from controller.profile.compile import compile_unit
from controller.units import find_unit
from equipment_profiles import DEVICES


@pytest.fixture(scope="module")
def unit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("static")
    (folder / "assets").mkdir()
    (folder / "index.html").write_text("<html><head></head><body>page</body></html>")
    (folder / "assets" / "app-1a2b.js").write_text("let page = 1; " * 200)
    with bench(tmp_path_factory.mktemp("model"), "running", speed=20.0, static=folder) as made:
        yield made


def test_the_model_names_what_the_feed_names(unit: Bench) -> None:
    with unit.client("aud") as client:
        model = client.get("/api/unit").json()
    shown = unit.snapshot
    for key in ("tags", "loops", "outputs"):
        assert set(model[key]) == set(shown[key])
    assert model["links"] == list(shown["links"])
    assert model["unit"]["id"] == "perfusion_2l"
    assert model["tags"]["PT101"]["unit"] == "mbar"
    assert {"at": 45.0, "side": "high", "row": "6", "kind": "protect"} in (
        model["tags"]["PT101"]["limits"]
    )
    assert model["outputs"]["heater"]["environment"] is True
    assert model["loops"]["TIC103"]["modes"] == ["off", "manual", "auto", "cascade"]
    assert [each["id"] for each in model["recipes"]] == ["car_t_perfusion"]


def test_the_rules_a_page_asks_by_are_those_of_the_station(unit: Bench) -> None:
    with unit.client("aud") as client:
        rules = client.get("/api/unit").json()["rules"]
    assert rules["abort"]["signers"] == ["supervisor"]
    assert rules["bypass"]["signatures"] == 2
    assert rules["end_environment"]["second_roles"] == ["supervisor", "qa"]
    assert rules["hold"]["signatures"] == 0


def test_the_picture_shows_only_what_the_unit_has(unit: Bench) -> None:
    with unit.client("aud") as client:
        model = client.get("/api/unit").json()
    nodes = {node["id"]: node for node in model["synoptic"]["nodes"]}
    for node in nodes.values():
        assert set(node["tags"].values()) <= set(model["tags"])
        assert {node["actuator"], node["valve"]} - {""} <= set(model["outputs"])
    moved = {node["actuator"] for node in nodes.values()} | {n["valve"] for n in nodes.values()}
    assert set(model["outputs"]) <= moved
    for line in model["synoptic"]["connections"]:
        assert {line["from"], line["to"]} <= set(nodes)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("tags: {flow: FT_AIR}", "tags: {flow: FT_AIRR}", "unknown signal 'FT_AIRR'"),
        ("actuator: stirrer, tags: {speed", "actuator: stirer, tags: {speed", "unknown actuator"),
        ("{from: xv100, to: vessel", "{from: xv100, to: vesel", "Did you mean 'vessel'"),
        ("- {id: mfc_o2, kind: mfc", "- {id: mfc_air, kind: mfc", "duplicate id 'mfc_air'"),
        ("{id: vessel, kind: vessel", "{id: vessel, kind: bucket", "kind"),
    ],
)
def test_a_wrong_picture_is_refused_with_its_line(old: str, new: str, words: str) -> None:
    text = find_unit("perfusion_2l").read_text()
    assert text.count(old) == 1
    changed = text.replace(old, new)
    line = changed[: changed.rindex(new)].count("\n") + 1
    with pytest.raises(BadInput) as error:
        compile_unit(parse(changed.encode(), "unit.yaml"), DEVICES)
    assert words in str(error.value)
    assert f"unit.yaml:{line}:" in str(error.value)


def test_the_first_page_comes_packed_and_tells_of_demo_accounts(unit: Bench) -> None:
    with unit.client() as client:
        page = client.get("/")
        script = client.get("/assets/app-1a2b.js")
        again = client.get("/", headers={"If-None-Match": page.headers["etag"]})
        plain = client.get("/assets/app-1a2b.js", headers={"Accept-Encoding": "identity"})
    assert '<meta name="cellwright-demo" content="true">' in page.text
    assert script.headers["content-encoding"] == "gzip"
    assert int(script.headers["content-length"]) < len(script.content) / 10
    assert "immutable" in script.headers["cache-control"]
    assert page.headers["cache-control"] == "no-cache"
    assert again.status_code == 304
    assert "content-encoding" not in plain.headers
    assert plain.content == script.content


def test_without_a_built_page_there_is_one_that_says_so(tmp_path: Path) -> None:
    found = assets(tmp_path / "nothing", demo=False)
    assert list(found) == ["index.html"]
    text = gzip.decompress(found["index.html"].packed).decode()
    assert "make setup" in text
    assert "cellwright-demo" not in text


def test_a_folder_of_too_many_files_is_refused(tmp_path: Path) -> None:
    for number in range(129):
        (tmp_path / f"{number}.txt").write_text("x")
    with pytest.raises(BadInput):
        assets(tmp_path, demo=False)


def test_the_record_grows_row_by_row_and_reaches_back_to_before_the_start(unit: Bench) -> None:
    with unit.client("aud") as client:
        wait_until(lambda: "batch.opened" in client.get("/api/record?limit=500&before=500").text)
        rows = client.get("/api/record?limit=500&before=500").json()["rows"]
        numbers = [row["n"] for row in rows]
        assert numbers == sorted(set(numbers))
        assert rows[0]["n"] >= 1
        assert {"n", "utc", "actor", "role", "event", "severity", "words", "reason"} == set(rows[0])
        page = client.get(f"/api/record?limit=3&before={numbers[5]}").json()["rows"]
        assert [row["n"] for row in page] == numbers[2:5]
        texts = [(row["utc"], row["event"], row["words"]) for row in rows]
        assert len(texts) == len(set(texts))
        last = unit.snapshot["records"]["last"]
        wait_until(lambda: unit.snapshot["records"]["last"] > last, 20)
        newest = client.get("/api/record?limit=1").json()["rows"]
        assert newest[0]["n"] >= last
    json.dumps(rows)


@pytest.mark.parametrize("query", ["before=x", "limit=all", "before=1.5"])
def test_a_page_of_the_record_that_is_none_is_bad_input(unit: Bench, query: str) -> None:
    with unit.client("aud") as client:
        assert client.get(f"/api/record?{query}").status_code == 422
