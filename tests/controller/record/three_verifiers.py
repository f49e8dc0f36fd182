"""The three programs that verify a log, each asked in the way its user asks it."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import go

from controller.record.verify import verify

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = ROOT / "controller" / "record" / "verifier" / "cellwright_verify.py"
PROGRAM = ROOT / "tests" / "go" / "verify" / "main.go"
_GO = Path(go.__file__).parent
_SUMDB = _GO / "src" / "cmd" / "vendor" / "golang.org" / "x" / "mod" / "sumdb"
_GO_MOD = """module cellwright/verify

go 1.25

require golang.org/x/mod v0.0.0

replace golang.org/x/mod => ./mod
"""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a verifier says: the part on which all of them must agree."""

    ok: bool
    records: int
    root: str
    sealed: bool
    problems: str


def ours(path: Path, *, may_be_open: bool = False, device: str = "", deep: bool = False) -> Verdict:
    """`cellwright log verify` as a function."""
    found = verify(path, expect_sealed=not may_be_open, deep=deep, device=device)
    said = "; ".join(f"{problem.where}: {problem.what}" for problem in found.problems)
    return Verdict(found.ok, found.records, found.root, found.sealed, said)


def script(
    path: Path,
    *,
    may_be_open: bool = False,
    device: str = "",
    witness: str = "",
    file: Path = SCRIPT,
) -> Verdict:
    """The single file, in an interpreter that has nothing but its standard library."""
    command = [sys.executable, "-I", "-S", str(file), str(path), "--json"]
    command += ["--open"] if may_be_open else []
    command += ["--device", device] if device else []
    command += ["--witness", witness] if witness else []
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    found = _verdict(run.stdout or f'{{"ok": null, "problems": {json.dumps(run.stderr)}}}')
    assert run.returncode == (0 if found.ok else 3), run.stderr
    return found


def go_program(paths: list[Path], *, may_be_open: bool = False, device: str = "") -> list[Verdict]:
    """The Go program, asked about all paths in one run."""
    command = [str(built()), *(["-open"] if may_be_open else [])]
    command += ["-device", device] if device else []
    run = subprocess.run([*command, *map(str, paths)], capture_output=True, text=True, check=False)
    assert run.stderr == ""
    found = [_verdict(line) for line in run.stdout.splitlines()]
    assert run.returncode == (0 if all(verdict.ok for verdict in found) else 3)
    return found


def built() -> Path:
    """The Go program, compiled once for each version of its text and of the toolchain."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cellwright-tests"
    text = PROGRAM.read_bytes() + _GO_MOD.encode() + (_GO / "VERSION").read_bytes()
    digest = hashlib.sha256(text).hexdigest()[:16]
    program = base / f"verify-{digest}"
    base.mkdir(parents=True, exist_ok=True)
    with (base / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several test processes, one build
        if not program.exists():
            for old in base.glob("verify-*"):
                old.unlink()
            _build(base, program)
    return program


def _build(base: Path, program: Path) -> None:
    work = base / "build"
    shutil.rmtree(work, ignore_errors=True)
    try:
        for name in ("note", "tlog"):
            shutil.copytree(_SUMDB / name, work / "mod" / "sumdb" / name)
        (work / "mod" / "go.mod").write_text("module golang.org/x/mod\n\ngo 1.25\n")
        (work / "go.mod").write_text(_GO_MOD)
        shutil.copy(PROGRAM, work / "main.go")
        environment = os.environ | {
            "GOROOT": str(_GO), "GOCACHE": str(base / "go-build"), "GOPATH": str(work / "path"),
            "GOFLAGS": "-mod=mod", "GOPROXY": "off", "GOTOOLCHAIN": "local", "CGO_ENABLED": "0",
            "GOTELEMETRY": "off", "GO111MODULE": "on", "GOWORK": "off",
        }  # fmt: skip
        command = [str(_GO / "bin" / "go"), "build", "-trimpath", "-o", "verify", "."]
        run = subprocess.run(
            command, cwd=work, env=environment, capture_output=True, text=True, check=False
        )
        assert run.returncode == 0, run.stderr
        (work / "verify").replace(program)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _verdict(line: str) -> Verdict:
    found = json.loads(line)
    said = found["problems"]
    if isinstance(said, list):
        said = "; ".join(f"{problem['where']}: {problem['what']}" for problem in said)
    return Verdict(
        found["ok"],
        found.get("records", 0),
        found.get("root", ""),
        found.get("sealed", False),
        said,
    )
