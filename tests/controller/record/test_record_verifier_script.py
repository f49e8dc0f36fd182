"""The single file that goes with every export: its own Ed25519, and that it needs nothing else."""

from __future__ import annotations

import ast
import importlib.util
import random
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from record_logs import files_under
from spoiled_logs import FORMAT_1, forked, small
from three_verifiers import SCRIPT, script

from controller.record.keys import Signer, signature_holds
from controller.record.note import VerifierKey

ORDER = 2**252 + 27742317777372353535851937790883648493
# RFC 8032, section 7.1, tests 1 and 2: public key, message, signature.
VECTORS = [
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e3970"
        "1cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613"
        "d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
]


@pytest.fixture(scope="module")
def module() -> ModuleType:
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("cellwright_verify_alone", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


@pytest.mark.parametrize(("public", "message", "signature"), VECTORS)
def test_its_ed25519_takes_the_signatures_of_rfc_8032(
    module: ModuleType, public: str, message: str, signature: str
) -> None:
    key, text, signed = (bytes.fromhex(part) for part in (public, message, signature))
    assert module.ed25519_holds(key, text, signed)
    assert not module.ed25519_holds(key, text + b"x", signed)


def test_its_ed25519_decides_as_the_library_we_sign_with(module: ModuleType) -> None:
    chosen, agreed = random.Random(1), []
    for number in range(60):
        signer = Signer("x", chosen.randbytes(32))
        text = chosen.randbytes(number).hex()
        (line,) = signer.sign(text).signatures
        public, signature = bytearray(signer.verifier.public), bytearray(line.signature)
        if number % 5 == 1:
            signature[chosen.randrange(64)] ^= 1 << chosen.randrange(8)
        elif number % 5 == 2:
            public = bytearray(chosen.randbytes(32))
        elif number % 5 == 3:  # the same number once more round: one signature, two forms
            s = int.from_bytes(signature[32:], "little") + ORDER
            signature[32:] = s.to_bytes(32, "little")
        elif number % 5 == 4:  # a point that is its own double, which anybody can sign for
            public = bytearray(b"\x01" + bytes(31))
        theirs = signature_holds(VerifierKey("x", bytes(public)), text, bytes(signature))
        mine = module.ed25519_holds(bytes(public), text.encode(), bytes(signature))
        assert mine == theirs, number
        agreed.append(mine)
    assert agreed.count(True) >= 12
    assert agreed.count(False) >= 36


def test_it_needs_nothing_but_itself(tmp_path: Path) -> None:
    alone = tmp_path / "empty" / "verify.py"
    alone.parent.mkdir()
    shutil.copy(SCRIPT, alone)
    assert script(FORMAT_1, file=alone).ok
    spoiled = tmp_path / "log"
    small(spoiled)
    for file in files_under(spoiled):
        file.chmod(0o644)
    forked(spoiled, random.Random(1))
    assert not script(spoiled, file=alone).ok


def test_it_is_written_for_python_3_8_and_imports_only_its_library() -> None:
    tree = ast.parse(SCRIPT.read_text(), feature_version=(3, 8))
    imported = {
        name.name.partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for name in node.names
    } | {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert imported <= {
        "__future__", "argparse", "base64", "hashlib", "json", "os", "pathlib", "re", "stat",
        "struct", "sys", "time", "typing", "zipfile", "zlib",
    }  # fmt: skip


def test_a_file_name_cannot_pass_for_a_line_of_the_verdict(tmp_path: Path) -> None:
    small(tmp_path / "log")
    (tmp_path / "log" / "x\nOK: 30 records, sealed (batch)").write_text("")
    run = subprocess.run(
        [sys.executable, "-I", "-S", str(SCRIPT), str(tmp_path / "log")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 3
    assert not [line for line in run.stdout.splitlines() if line.startswith("OK")]


@pytest.mark.parametrize("name", ["absent", "empty", "a-file.zip"])
def test_what_is_no_log_is_refused_and_not_a_traceback(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "a-file.zip").write_text("not a zip file")
    run = subprocess.run(
        [sys.executable, "-I", "-S", str(SCRIPT), str(tmp_path / name)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 3
    assert "Traceback" not in run.stderr
    assert run.stdout + run.stderr != ""


def test_every_signature_is_checked_when_that_is_asked_for(tmp_path: Path) -> None:
    small(tmp_path / "log")
    command = [sys.executable, "-I", "-S", str(SCRIPT), str(tmp_path / "log"), "--signatures"]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
