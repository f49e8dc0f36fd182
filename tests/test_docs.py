"""What the documentation says exists: links, files, functions, commands, decisions, licences."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import shlex
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import typer.main

from controller.cli.app import app
from controller.cli.run_files import load_links
from controller.core.yamltext import load, parse
from controller.profile.unit import UnitModel
from controller.recipe.load import compile_recipe
from controller.script import ScriptModel
from controller.units import find_unit, load_unit
from hil_sim.rig.rig import BOARD_FAULTS, FAULTS

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "docs" / "results"
PAGES = sorted(
    page
    for pattern in ("*.md", "docs/**/*.md", "controller/**/*.md")
    for page in ROOT.glob(pattern)
    if not page.is_relative_to(RESULTS) and "node_modules" not in page.parts
)
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("*.md"))
MADE_BY_A_RUN = ("build/", "links.yaml")
LINK = re.compile(r"(?<!`)\[[^\]]*\]\(([^)\s]+)\)")
NAMED_PATH = re.compile(r"`((?:[\w.-]+/)+[\w.*-]*)(?::([\w.]+))?`")
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.M | re.S)
ROOMS = ("controller/", "hil_sim/", "equipment_profiles/", "recipes/", "tests/", "docs/",
         "firmware_bridge/")  # fmt: skip
SKIPPED = {".git", ".venv", "node_modules", "static", "build", "dist", "__pycache__",
           ".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis", ".benchmarks",
           ".import_linter_cache"}  # fmt: skip


def _id(page: Path) -> str:
    return str(page.relative_to(ROOT))


def _anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ +(.+)$", page.read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


@lru_cache
def _defined(path: Path) -> set[str]:
    """Names a module defines at its top, and `Class.method`."""
    found: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{part.name}" for part in node.body
                      if isinstance(part, ast.FunctionDef)}  # fmt: skip
        if isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {target.id for target in targets if isinstance(target, ast.Name)}
    return found


@pytest.mark.parametrize("page", PAGES, ids=_id)
def test_every_relative_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    for target in LINK.findall(page.read_text()):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        assert file.exists(), f"{_id(page)}: {target}"
        assert file.is_relative_to(ROOT), f"{_id(page)}: {target} leaves the project"
        if anchor:
            assert anchor in _anchors(file), f"{_id(page)}: no heading for {target}"


@pytest.mark.parametrize("page", PAGES, ids=_id)
def test_every_path_and_every_name_in_a_page_exists(page: Path) -> None:
    for path, name in NAMED_PATH.findall(page.read_text()):
        if not path.startswith(ROOMS):
            continue
        if "*" in path:
            assert list(ROOT.glob(path)), f"{_id(page)}: nothing matches {path}"
            continue
        assert (ROOT / path).exists(), f"{_id(page)}: {path}"
        if name:
            assert name in _defined(ROOT / path), f"{_id(page)}: {path} has no {name}"


def test_the_order_of_rooms_told_is_the_contract() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    contracts = project["tool"]["importlinter"]["contracts"]
    layers = next(each["layers"] for each in contracts if each["type"] == "layers")
    page = (ROOT / "docs" / "architecture.md").read_text()
    told = re.search(r"^    cli >.*\n( +>.*\n)*", page, re.M)
    assert told is not None
    rooms = [re.sub(r"\s*\|\s*", ", ", layer).replace("controller.", "") for layer in layers]
    assert re.split(r"\s*>\s*", told.group().strip()) == rooms


def test_the_check_of_names_sees_the_pages_it_is_for() -> None:
    named = NAMED_PATH.findall((ROOT / "docs" / "architecture.md").read_text())
    assert len([name for _, name in named if name]) > 40
    assert "WriteBook.choose" in _defined(ROOT / "controller/field/links/writes.py")
    assert "WriteBook.chose" not in _defined(ROOT / "controller/field/links/writes.py")


# -- commands -------------------------------------------------------------------------------------


def _shown_commands() -> list[str]:
    """Every `cellwright ...` line of a shell block."""
    found = []
    for page in PAGES:
        for kind, body in BLOCK.findall(page.read_text()):
            if kind == "sh":
                found += [line.split("#")[0].strip() for line in body.splitlines()
                          if line.startswith("cellwright")]  # fmt: skip
    return found


def _leaves(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if hasattr(command, "commands"):
        for name, part in command.commands.items():
            yield from _leaves(part, (*path, name))
    else:
        yield path, command


LEAVES = dict(_leaves(typer.main.get_command(app)))


def _parse(line: str) -> tuple[str, ...]:
    """The command a line means; its options are parsed as the program would, nothing runs."""
    words = shlex.split(line)[1:]
    path = next(tuple(words[:n]) for n in (1, 2, 3) if tuple(words[:n]) in LEAVES)
    LEAVES[path].make_context(" ".join(path), words[len(path) :])
    return path


@pytest.mark.parametrize("line", _shown_commands())
def test_a_command_shown_is_one_the_program_takes(line: str) -> None:
    path = _parse(line)
    for word in shlex.split(line)[1 + len(path) :]:
        if "/" in word and not word.startswith(MADE_BY_A_RUN):
            assert (ROOT / word).exists(), line


def test_every_command_of_the_program_is_shown() -> None:
    assert {_parse(line) for line in _shown_commands()} == set(LEAVES)


def test_an_option_that_does_not_exist_is_noticed() -> None:
    with pytest.raises(Exception, match=r"[Nn]o such option"):
        _parse("cellwright demo --sed 7")


def test_the_make_targets_shown_exist() -> None:
    targets = set(re.findall(r"^([a-z][\w-]*):", (ROOT / "Makefile").read_text(), re.M))
    texts = "\n".join(page.read_text() for page in PAGES)
    shown = set(re.findall(r"(?:`|^)make ([a-z-]+)\b", texts, re.M))
    assert {"demo", "test", "setup"} <= shown <= targets


# -- examples -------------------------------------------------------------------------------------


def _yaml_of(page: str, number: int = 0) -> str:
    blocks = re.findall(r"^```yaml\n(.*?)^```", (ROOT / page).read_text(), re.M | re.S)
    return str(blocks[number])


def test_the_recipe_shown_compiles_for_the_unit_that_ships() -> None:
    _profile, offer = load_unit(find_unit("perfusion_2l"))
    recipe = compile_recipe(parse(_yaml_of("docs/recipes.md").encode(), "docs/recipes.md"), offer)
    assert recipe.id == "my_expansion"
    assert len(recipe.phases) == 4


def test_the_row_shown_is_the_row_of_the_unit() -> None:
    unit = load(find_unit("perfusion_2l"))
    shown = parse(_yaml_of("docs/profile.md").encode(), "docs/profile.md").data
    assert shown == [row for row in unit.data["rows"] if row["id"] == "1"]


def test_the_links_file_shown_names_every_link_of_the_unit(tmp_path: Path) -> None:
    profile, _offer = load_unit(find_unit("perfusion_2l"))
    file = tmp_path / "links.yaml"
    file.write_text(_yaml_of("docs/profile.md", -1))
    urls, control = load_links(file, profile)
    assert set(urls) == {link.name for link in profile.links}
    assert control == ""


def test_the_gas_shares_of_the_decision_are_those_of_the_row() -> None:
    unit = load(find_unit("perfusion_2l"))
    then = next(row["then"] for row in unit.data["rows"] if row["id"] == "20.skid")
    told = next(file.read_text() for file in DECISIONS if file.name.startswith("0005"))
    shares = [effect.split(" <= ") for effect in then if " <= " in effect]
    assert sum(int(value) for _, value in shares) == 200
    for gas, value in shares:
        assert f"{gas} at most {value}" in told.lower(), gas


def test_every_section_of_a_unit_and_of_a_script_is_told() -> None:
    told = (ROOT / "docs" / "profile.md").read_text()
    missing = [name for name in UnitModel.model_fields if f"`{name}`" not in told]
    assert not missing
    told = (ROOT / "docs" / "simulation.md").read_text()
    missing = [name for name in ScriptModel.model_fields if f"`{name}`" not in told]
    assert not missing


def test_the_faults_told_are_the_faults_there_are() -> None:
    table = re.findall(r"^\| `(\w+)` \|", (ROOT / "docs" / "simulation.md").read_text(), re.M)
    assert table == [*FAULTS, *BOARD_FAULTS]


# -- decisions, licences, private places ----------------------------------------------------------


def test_decisions_are_numbered_without_gaps_and_listed() -> None:
    numbers = [int(file.name[:4]) for file in DECISIONS]
    assert numbers == list(range(1, len(DECISIONS) + 1))
    index = (ROOT / "docs" / "README.md").read_text()
    for file in DECISIONS:
        title = file.read_text().splitlines()[0]
        assert f"[{file.name[:4]}](decisions/{file.name}) | {title[7:]} |" in index, file.name


@pytest.mark.parametrize("file", DECISIONS, ids=_id)
def test_a_decision_is_short_and_has_its_three_parts(file: Path) -> None:
    lines = file.read_text().splitlines()
    assert re.match(r"# \d{4} \w", lines[0])
    assert lines[0][2:6] == file.name[:4]
    assert [line for line in lines if line.startswith("## ")] == [
        "## Context", "## Decision", "## Consequences",
    ]  # fmt: skip
    assert len(lines) <= 40


def _licences() -> dict[str, str]:
    text = (ROOT / "docs" / "licences.md").read_text()
    return dict(re.findall(r"^\| ([a-z][\w-]*) \| ([^|]+?) \|", text, re.M))


def test_every_package_of_the_lock_file_has_its_licence_listed() -> None:
    locked = re.findall(r"^([a-z0-9][a-z0-9_.-]*)==", (ROOT / "requirements.txt").read_text(), re.M)
    assert sorted(_licences()) == sorted(locked)


def test_licences_are_those_the_installed_packages_name() -> None:
    checked = 0
    for name, told in _licences().items():
        try:
            metadata = importlib.metadata.metadata(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # needed to install the project, not to run it
        expressions = metadata.get_all("License-Expression") or []
        if expressions:
            checked += 1
            assert expressions == [told], name
        elif "LGPL" in " ".join(metadata.get_all("Classifier") or []):
            assert told.startswith("LGPL"), name
    assert checked > 10


def test_the_licence_is_the_whole_apache_licence() -> None:
    text = (ROOT / "LICENSE").read_text()
    assert text.split("\n")[1].strip() == "Apache License"
    for part in ("1. Definitions.", "9. Accepting Warranty", "END OF TERMS AND CONDITIONS",
                 "APPENDIX: How to apply"):  # fmt: skip
        assert part in text


def _files() -> list[Path]:
    """The files of the project; without git, all but what is made by its tools."""
    git = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(git, capture_output=True, check=False) if shutil.which("git") else None
    if listed is not None and listed.returncode == 0:
        return [ROOT / name for name in listed.stdout.decode().split("\0") if name]
    return [
        file for file in ROOT.rglob("*") if SKIPPED.isdisjoint(file.relative_to(ROOT).parts)
    ]  # fmt: skip


def _texts() -> Iterator[tuple[Path, str]]:
    for file in sorted(_files()):
        if file.is_file():
            data = file.read_bytes()
            if b"\0" not in data[:4096]:
                yield file, data.decode()


PRIVATE = re.compile(
    r"(?<![\w.])/(?:home|root|Users|work|mnt|opt)/\w"
    r"|[A-Z]:\\\\?Users"
    r"|\b(?:10\.\d{1,3}|192\.168|172\.(?:1[6-9]|2\d|3[01]))\.\d{1,3}\.\d{1,3}\b"
    r"|\bhttps?://[\w.-]+\.(?:local|internal|lan|corp|intra)\b"
    r"|--(?:extra-)?index-url|--trusted-host|--find-links"
)


def test_the_pattern_of_private_places_finds_them() -> None:
    for place in ("/" + "home/ann/x", "http://pypi." + "internal/simple", "10." + "1.2.3",
                  "--index" + "-url"):  # fmt: skip
        assert PRIVATE.search(f"see {place} there")
    assert not PRIVATE.search("docs/home/page.md and version 10.1.2")


def test_no_file_names_a_machine_a_home_or_a_private_host() -> None:
    found = []
    for file, text in _texts():
        if file in (Path(__file__).resolve(), ROOT / "Makefile"):
            continue
        found += [f"{file.relative_to(ROOT)}: {match.group()}" for match in PRIVATE.finditer(text)]
    assert not found
