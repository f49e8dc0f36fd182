"""The core itself: clean under every check, decisions taken both ways, laws kept by any frame."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from controller.core.errors import BadInput
from firmware_bridge import build
from firmware_bridge.codes import EventKind, Nak

CORE, NATIVE = build.HERE / "core", build.HERE / "native"
FUZZER = [NATIVE / name for name in build.FUZZER]
INCLUDES = [f"-I{CORE}", f"-I{NATIVE}", f"-I{build.HERE / 'pins'}"]
SANITIZED = ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
DECISIONS = ("rows.c", "channels.c", "signals.c", "stage.c")
"""What must be covered in every branch: who forces, lapses, latches, clears, arms."""


def run(*words: object, cwd: Path | None = None) -> str:
    """A tool's output; its complaints if it fails."""
    done = subprocess.run([*map(str, words)], capture_output=True, text=True, cwd=cwd, check=False)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    return done.stdout


def fuzzer(folder: Path, *flags: str) -> Path:
    """The fuzzer with the whole core, built with these flags."""
    program = folder / "fuzz"
    sources = [*sorted(CORE.glob("*.c")), *FUZZER]
    run(shutil.which("gcc"), *build.STRICT, "-D_GNU_SOURCE", *flags, *INCLUDES,
        "-o", program, *sources, cwd=folder)  # fmt: skip
    return program


def walk(program: Path, seed: int, frames: int) -> dict[str, list[int]]:
    """One run; what happened in it. A broken law or a sanitizer ends it with its words."""
    found: dict[str, list[int]] = json.loads(run(program, seed, frames))
    return found


def test_no_frame_garbage_or_sequence_of_requests_breaks_a_law(tmp_path: Path) -> None:
    found = walk(fuzzer(tmp_path, *SANITIZED), 1, 100_000)
    assert all(found["naks"][code] > 0 for code in Nak), "every refusal was seen"
    lost = EventKind.LOST  # the host's to make
    assert all(found["events"][kind] > 0 for kind in EventKind if kind is not lost)


@pytest.mark.campaign
def test_ten_million_frames_break_no_law(tmp_path: Path) -> None:
    program = fuzzer(tmp_path, *SANITIZED)
    with ThreadPoolExecutor(2) as two:
        runs = list(two.map(lambda seed: walk(program, seed, 1_000_000), range(2, 12)))
    assert sum(int(str(one["frames"])) for one in runs) >= 10_000_000


def test_every_branch_of_the_decision_code_is_taken(tmp_path: Path) -> None:
    program = fuzzer(tmp_path, "-O0", "--coverage")
    walk(program, 1, 100_000)
    said = run("gcov", "-b", "-c", *sorted(tmp_path.glob("*.gcda")), cwd=tmp_path)
    shares = r"File '.*/core/(\w+\.c)'\n.*\n.*\nTaken at least once:([\d.]+)%"
    taken = dict(re.findall(shares, said))
    print({name: float(share) for name, share in taken.items()})
    assert {name: taken[name] for name in DECISIONS} == dict.fromkeys(DECISIONS, "100.00")


def test_the_compilers_analyzer_finds_nothing_in_the_core(tmp_path: Path) -> None:
    def analyze(source: Path) -> None:
        run(shutil.which("gcc"), *build.STRICT, "-pedantic", "-O2", "-fanalyzer",
            *INCLUDES, "-c", source, "-o", tmp_path / f"{source.stem}.o")  # fmt: skip

    with ThreadPoolExecutor(2) as two:
        assert len(list(two.map(analyze, sorted(CORE.glob("*.c"))))) >= 14


def test_cppcheck_finds_nothing_in_any_c_file_of_ours() -> None:
    if shutil.which("cppcheck") is None:
        pytest.skip("cppcheck is not installed (Debian: apt install cppcheck)")
    run("cppcheck", "-q", "--std=c11", "--enable=warning,performance,portability",
        "--error-exitcode=1", *INCLUDES, CORE, NATIVE)  # fmt: skip


def test_the_core_includes_nothing_a_board_does_not_have() -> None:
    allowed = {"stdint.h", "stdbool.h", "stddef.h", "string.h"}
    for source in CORE.glob("*.[ch]"):
        used = set(re.findall(r"#include <(.+)>", source.read_text()))
        assert used <= allowed, source.name
        assert not re.search(r"\b(malloc|calloc|free|printf)\s*\(", source.read_text())


def test_no_c_file_is_long_and_no_line_wider_than_a_page() -> None:
    for source in (*CORE.glob("*.[ch]"), *NATIVE.glob("*.[ch]")):
        lines = source.read_text().splitlines()
        assert len(lines) < 400, source.name
        assert max(map(len, lines)) <= 100, source.name


def test_no_function_of_the_core_is_longer_than_a_page() -> None:
    for source in (*CORE.glob("*.c"), *NATIVE.glob("*.c")):
        start = 0
        for number, line in enumerate(source.read_text().splitlines()):
            if line == "{":
                start = number
            if line == "}":
                assert number - start < 60, f"{source.name}:{start}"


def test_a_build_carries_the_digest_of_its_own_bytes_and_is_known_as_ours() -> None:
    path = build.library()
    assert build.library() == path, "built once"
    assert build.digest(path) in build.installed()
    assert len(build.digest(path)) == 32
    assert build.digest(path) != build.digest(build.process())


def test_a_build_with_one_byte_changed_is_no_image(tmp_path: Path) -> None:
    data = bytearray(build.library().read_bytes())
    data[-1] ^= 1
    changed = tmp_path / "board.so"
    changed.write_bytes(data)
    with pytest.raises(BadInput, match="changed after it was built"):
        build.digest(changed)
    changed.write_bytes(b"no image")
    with pytest.raises(BadInput, match="not an image"):
        build.digest(changed)


def test_a_missing_compiler_is_named_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(BadInput, match="no arm-none-eabi-gcc found") as told:
        build.image()
    assert "apt install gcc-arm-none-eabi" in str(told.value)
