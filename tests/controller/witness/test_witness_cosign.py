"""Cosignatures to the last byte: what is signed, by whom, and that nothing else passes for one."""

from __future__ import annotations

import base64
import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from controller.record.keys import Keys, Signer, open_note
from controller.record.note import Checkpoint, Note, NoteError, Signature, VerifierKey
from controller.witness.cosign import (
    WitnessKey,
    cosign,
    cosignature_of,
    cosignatures_in,
    open_cosigned,
    witness_key,
)

SECRET = bytes(range(1, 33))
SIGNER = Signer("cellwright/device", SECRET)
KEY = witness_key(SIGNER, "witness.example/w1")
LOG = Keys.from_seed(3).issue("batch", "B-1")[0]
CHECKPOINT = Checkpoint(LOG.verifier.name, 12, bytes(range(32)), None, sealed=False)
TEXT = CHECKPOINT.text()
TIME_S = 1_679_315_147


def note_of(*lines: Signature, text: str = TEXT) -> bytes:
    return Note(text, (LOG.sign(text).signatures[0], *lines)).render()


def test_the_signed_message_and_the_blob_are_those_of_the_specification() -> None:
    line = cosign(SIGNER, KEY, TEXT, TIME_S)
    private = Ed25519PrivateKey.from_private_bytes(SECRET)
    public = private.public_key().public_bytes_raw()
    message = f"cosignature/v1\ntime 1679315147\n{TEXT}".encode()
    key_hash = hashlib.sha256(b"witness.example/w1\n\x04" + public).digest()[:4]
    blob = key_hash + (1_679_315_147).to_bytes(8, "big") + private.sign(message)
    assert len(blob) == 76
    expected = f"\N{EM DASH} witness.example/w1 {base64.b64encode(blob).decode()}\n"
    assert line.render() == expected
    vkey = f"witness.example/w1+{key_hash.hex()}+{base64.b64encode(bytes([4]) + public).decode()}"
    assert str(KEY) == vkey
    assert WitnessKey.parse(vkey) == KEY


def test_the_note_keeps_the_signature_of_its_log_and_every_cosignature_that_holds() -> None:
    other_signer = Signer("x", bytes(range(2, 34)))
    other = witness_key(other_signer, "witness.example/w2")
    stranger = cosign(other_signer, witness_key(other_signer, "stranger"), TEXT, TIME_S)
    data = note_of(
        cosign(SIGNER, KEY, TEXT, TIME_S), stranger, cosign(other_signer, other, TEXT, TIME_S + 5)
    )
    found = open_cosigned(data, LOG.verifier, (KEY, other))
    assert [(each.key.name, each.time_s) for each in found.cosignatures] == [
        ("witness.example/w1", TIME_S), ("witness.example/w2", TIME_S + 5),
    ]  # fmt: skip
    assert found.checkpoint == CHECKPOINT
    kept = found.render()
    assert b"stranger" not in kept
    assert open_cosigned(kept, LOG.verifier, (KEY, other)) == found


def test_a_key_of_a_log_is_no_key_of_a_witness_and_the_other_way_round() -> None:
    with pytest.raises(NoteError, match="0x04"):
        WitnessKey.parse(str(LOG.verifier))
    with pytest.raises(NoteError, match="Ed25519"):
        VerifierKey.parse(str(KEY))


def test_no_bit_of_a_cosigned_note_changes_unseen() -> None:
    data = note_of(cosign(SIGNER, KEY, TEXT, TIME_S))
    whole = open_cosigned(data, LOG.verifier, (KEY,))
    for offset in range(len(data)):
        for bit in (0, 2, 7):
            spoiled = bytearray(data)
            spoiled[offset] ^= 1 << bit
            try:
                found = open_cosigned(bytes(spoiled), LOG.verifier, (KEY,))
            except NoteError:
                continue
            # Only the name or hash of the witness was hit: then it is a stranger's line.
            assert found.text == whole.text
            assert found.cosignatures == ()


def test_a_forged_or_replayed_cosignature_does_not_hold() -> None:
    forger = Signer("x", bytes(range(5, 37)))
    forged = cosign(forger, KEY, TEXT, TIME_S)  # the name and hash of the witness, another key
    older = Checkpoint(LOG.verifier.name, 11, bytes(range(1, 33)), None, sealed=False).text()
    replayed = cosign(SIGNER, KEY, older, TIME_S)
    real = cosign(SIGNER, KEY, TEXT, TIME_S)
    moved = (TIME_S + 1).to_bytes(8, "big") + real.signature[8:]
    later = Signature(real.name, real.key_hash, moved)
    bare = Signature(real.name, real.key_hash, real.signature[8:])
    for line in (forged, replayed, later, bare):
        with pytest.raises(NoteError, match="does not hold"):
            cosignature_of(line, TEXT, (KEY,))
        with pytest.raises(NoteError):
            open_cosigned(note_of(line), LOG.verifier, (KEY,))
        with pytest.raises(NoteError):
            cosignatures_in(line.render().encode(), TEXT, (KEY,))
    assert cosignatures_in(real.render().encode(), TEXT, (KEY,))[0].time_s == TIME_S


@pytest.mark.parametrize("answer", [b"\xff", b"x\n", b"\n", b"a" * 9_000, b"409\n"])
def test_an_answer_that_is_no_signature_line_is_refused(answer: bytes) -> None:
    with pytest.raises(NoteError):
        cosignatures_in(answer, TEXT, (KEY,))


def test_a_log_or_a_witness_that_stands_twice_is_refused() -> None:
    line = cosign(SIGNER, KEY, TEXT, TIME_S)
    with pytest.raises(NoteError, match="twice"):
        open_cosigned(note_of(line, cosign(SIGNER, KEY, TEXT, TIME_S + 1)), LOG.verifier, (KEY,))
    twice = note_of(LOG.sign(TEXT).signatures[0])
    with pytest.raises(NoteError, match="signed once"):
        open_cosigned(twice, LOG.verifier, (KEY,))
    with pytest.raises(NoteError, match="signed twice"):
        open_note(twice, (LOG.verifier,))


def test_a_log_s_own_checkpoint_carries_no_cosignature() -> None:
    data = note_of(cosign(SIGNER, KEY, TEXT, TIME_S))
    with pytest.raises(NoteError, match="no Ed25519"):
        open_note(data, (LOG.verifier,))
    with pytest.raises(NoteError, match="not signed once"):
        open_cosigned(data, Keys.from_seed(4).issue("batch", "B-1")[0].verifier, (KEY,))


def test_a_time_that_cannot_be_is_not_signed() -> None:
    for time_s in (0, -1, 2**63):
        with pytest.raises(ValueError, match="cannot be signed"):
            cosign(SIGNER, KEY, TEXT, time_s)
