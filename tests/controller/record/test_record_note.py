"""Signed notes, checkpoints and keys as other people's tools read them."""

from __future__ import annotations

import base64
import hashlib

import pytest

from controller.core.errors import RecordFailure
from controller.record.keys import Keys, Signer, open_note, signature_holds
from controller.record.note import (
    Checkpoint,
    Note,
    NoteError,
    VerifierKey,
    certificate,
)

# The example in the documentation of Go's golang.org/x/mod/sumdb/note.
GO_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "\N{EM DASH} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNX"
    "gKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
).encode()


def test_the_note_of_the_go_documentation_is_read_and_its_signature_holds() -> None:
    key = VerifierKey.parse(GO_KEY)
    assert open_note(GO_NOTE, (key,)).startswith("If you think cryptography")
    assert Note.parse(GO_NOTE).render() == GO_NOTE


def test_the_key_hash_is_the_first_four_bytes_of_the_sha256_of_name_and_key() -> None:
    key = Keys.from_seed(3).device.verifier
    text = key.name.encode() + b"\n\x01" + key.public
    assert key.key_hash == hashlib.sha256(text).digest()[:4]
    assert str(key).split("+", 2)[1] == key.key_hash.hex()
    assert VerifierKey.parse(str(key)) == key


def test_a_spoiled_note_is_refused() -> None:
    key = VerifierKey.parse(GO_KEY)
    for offset in range(len(GO_NOTE)):
        for bit in (0, 3, 7):
            spoiled = bytearray(GO_NOTE)
            spoiled[offset] ^= 1 << bit
            with pytest.raises(NoteError):
                open_note(bytes(spoiled), (key,))
        with pytest.raises(NoteError):
            open_note(GO_NOTE[:offset], (key,))


def test_base64_with_idle_bits_set_is_refused() -> None:
    head, _, line = GO_NOTE.decode().rpartition(" ")
    assert line.endswith("AM=\n")
    other = line.replace("AM=\n", "AN=\n")  # the same bytes to a lenient decoder
    assert base64.b64decode(other) == base64.b64decode(line)
    with pytest.raises(NoteError, match="one written form"):
        Note.parse(f"{head} {other}".encode())


def test_a_signature_by_a_key_that_is_not_known_is_refused() -> None:
    with pytest.raises(NoteError, match="unknown key"):
        open_note(GO_NOTE, (Keys.from_seed(1).device.verifier,))


def test_a_checkpoint_is_origin_size_root_and_two_extension_lines() -> None:
    root, before = bytes(range(32)), bytes(32)
    found = Checkpoint("cellwright/log/x", 12, root, before, sealed=True)
    lines = found.text().split("\n")
    assert lines[:3] == ["cellwright/log/x", "12", base64.b64encode(root).decode()]
    assert lines[3:] == [f"previous {base64.b64encode(before).decode()}", "sealed", ""]
    assert Checkpoint.parse(found.text()) == found


@pytest.mark.parametrize(
    "text",
    [
        "",
        "o\n1\n",
        "o\n01\n{root}\nprevious none\n",
        "o\n-1\n{root}\nprevious none\n",
        "o\n1\n{root}\nprevious\n",
        "o\n1\n{root}\nprevious none\nsealed\nmore\n",
        "o\n1\n{root}\nprevious none\nunsealed\n",
        "o\n1\nAAAA\nprevious none\n",
        "o\n1\n{root}\nprevious AAAA\n",
        "o\n1\n{root}\nprevious none",
        "o\n\u0661\n{root}\nprevious none\n",
    ],
)
def test_a_text_that_is_not_a_checkpoint_is_refused(text: str) -> None:
    root = base64.b64encode(bytes(32)).decode()
    with pytest.raises(NoteError):
        Checkpoint.parse(text.replace("{root}", root))


def test_the_certificate_binds_the_key_of_the_log_to_the_device() -> None:
    keys = Keys.from_seed(5)
    signer, note = keys.issue("batch", "B-1")
    found = certificate(note.text)
    assert (found.log, found.device) == (signer.verifier, keys.device.verifier)
    assert (found.kind, found.purpose) == ("batch", "B-1")
    assert open_note(note.render(), (keys.device.verifier,)) == note.text


def test_a_seed_gives_the_same_keys_and_another_log_another_key() -> None:
    one, _ = Keys.from_seed(5).issue("batch", "B-1")
    again, _ = Keys.from_seed(5).issue("batch", "B-1")
    other, _ = Keys.from_seed(5).issue("batch", "B-2")
    assert one.verifier == again.verifier != other.verifier
    assert one.verifier != Keys.from_seed(6).issue("batch", "B-1")[0].verifier


def test_a_forgotten_key_signs_nothing() -> None:
    signer = Signer("x", bytes(range(32)))
    note = signer.sign("text\n")
    assert signature_holds(signer.verifier, "text\n", note.signatures[0].signature)
    assert not signature_holds(signer.verifier, "other\n", note.signatures[0].signature)
    signer.forget()
    with pytest.raises(RecordFailure, match="destroyed"):
        signer.sign("text\n")


@pytest.mark.parametrize("name", ["two words", "a+b", "", "x\x1b[2Ky", "x\u202ey", "x\x00"])
def test_a_key_is_not_called_what_a_terminal_would_not_show(name: str) -> None:
    key = Keys.from_seed(1).device.verifier
    with pytest.raises(NoteError):
        VerifierKey.parse(str(VerifierKey(name, key.public)))
    line = f"\N{EM DASH} {name} {base64.b64encode(bytes(68)).decode()}\n"
    with pytest.raises(NoteError):
        Note.parse(f"text\n\n{line}".encode())
