"""What a witness answers, and that it never signs two histories of one log."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from witness_rig import KEYS, NOW_S, again, grow, new_log

from controller.core.errors import BadInput, RecordFailure
from controller.record.files import VolatileFiles
from controller.record.keys import Keys, Signer
from controller.record.note import Checkpoint, Note, Signature, certificate_text
from controller.record.tiles import consistency_proof
from controller.record.tree import Tree, leaf_hash
from controller.witness import store as store_module
from controller.witness.cosign import open_cosigned
from controller.witness.store import Store, log_name, read_logs
from controller.witness.witness import SIZE_TYPE, Witness, render


class Grown:
    """A log's key and the leaves of one history of it."""

    def __init__(self, leaves: list[bytes], signer: Signer | None = None, note: Note | None = None):
        issued = KEYS.issue("batch", "fork") if signer is None or note is None else (signer, note)
        self.signer, self.certificate = issued
        self.leaves = leaves

    def note(self, size: int, *, sealed: bool = False) -> bytes:
        tree = Tree()
        for leaf in self.leaves[:size]:
            tree.push(leaf)
        found = Checkpoint(self.signer.verifier.name, size, tree.root(), None, sealed)
        return self.signer.sign(found.text()).render()

    def proof(self, old: int, new: int) -> list[bytes]:
        def node(level: int, index: int) -> bytes:
            tree = Tree()
            for leaf in self.leaves[index << level : (index + 1) << level]:
                tree.push(leaf)
            return tree.root()

        return consistency_proof(node, old, new) if 0 < old < new else []

    def asks(self, old: int, new: int, *, sealed: bool = False) -> bytes:
        return render(old, self.proof(old, new), self.note(new, sealed=sealed))


def leaves(count: int, name: str = "a") -> list[bytes]:
    return [leaf_hash(f"{name}{number}".encode()) for number in range(count)]


@pytest.fixture
def witness(tmp_path):
    held = Store(tmp_path / "witness", "witness.example/w1", VolatileFiles())
    yield Witness(held, [KEYS.device.verifier], lambda: NOW_S)
    held.close()


@pytest.fixture
def log(witness):
    grown = Grown(leaves(600))
    assert witness.add_log(grown.certificate.render()).status == 200
    return grown


def test_a_checkpoint_that_continues_the_last_is_cosigned(witness, log):
    assert witness.add_checkpoint(log.asks(0, 5)).status == 200
    assert witness.add_checkpoint(log.asks(5, 300)).status == 200
    reply = witness.add_checkpoint(log.asks(300, 600, sealed=True))
    assert reply.status == 200
    assert reply.body.startswith("\N{EM DASH} witness.example/w1 ".encode())
    kept = open_cosigned(witness.last(log.signer.verifier.name).body, log.signer.verifier,
                         (witness._store.key,))  # fmt: skip
    assert (kept.checkpoint.size, kept.checkpoint.sealed) == (600, True)
    assert kept.cosignatures[0].time_s == NOW_S


@pytest.mark.parametrize(
    ("old", "new", "status", "body"),
    [
        (0, 400, 409, b"300\n"), (299, 400, 409, b"300\n"), (301, 400, 409, b"300\n"),
        (0, 200, 409, b"300\n"), (200, 200, 409, b"300\n"), (400, 300, 400, None),
        (300, 300, 200, None), (300, 301, 200, None),
    ],
)  # fmt: skip
def test_the_old_size_must_be_the_one_last_cosigned(witness, log, old, new, status, body):
    assert witness.add_checkpoint(log.asks(0, 300)).status == 200
    reply = witness.add_checkpoint(log.asks(old, new))
    assert reply.status == status
    if body is not None:
        assert (reply.body, reply.kind) == (body, SIZE_TYPE)


def test_another_root_of_one_size_and_a_fork_beyond_it_are_refused(witness, log):
    other = Grown(leaves(250) + leaves(400, "b"), log.signer, log.certificate)
    assert witness.add_checkpoint(log.asks(0, 300)).status == 200
    before = witness.last(log.signer.verifier.name).body
    same_size = witness.add_checkpoint(other.asks(300, 300))
    assert (same_size.status, same_size.body) == (409, b"300\n")
    beyond = witness.add_checkpoint(other.asks(300, 500))
    assert beyond.status == 422
    assert witness.last(log.signer.verifier.name).body == before
    assert witness.add_checkpoint(log.asks(300, 500)).status == 200


def test_a_log_that_was_sealed_takes_nothing_more(witness, log):
    assert witness.add_checkpoint(log.asks(0, 300, sealed=True)).status == 200
    assert witness.add_checkpoint(log.asks(300, 300, sealed=True)).status == 200
    for asked in (log.asks(300, 301), log.asks(300, 300), log.asks(300, 400, sealed=True)):
        reply = witness.add_checkpoint(asked)
        assert (reply.status, reply.body) == (409, b"300\n")


def test_a_log_nobody_introduced_is_not_found_and_a_foreign_signature_forbidden(witness, log):
    stranger = Grown(leaves(5), *Keys.from_seed(99).issue("batch", "other"))
    assert witness.add_checkpoint(stranger.asks(0, 5)).status == 404
    assert witness.last(stranger.signer.verifier.name).status == 404
    reply = witness.add_log(stranger.certificate.render())
    assert reply.status == 403
    assert b"is not trusted here" in reply.body
    assert witness.add_checkpoint(stranger.asks(0, 5)).status == 404
    text = Checkpoint(log.signer.verifier.name, 5, bytes(32), None, sealed=False).text()
    signed = stranger.signer.sign(text).signatures[0]
    forged = Signature(log.signer.verifier.name, log.signer.verifier.key_hash, signed.signature)
    for line in (signed, forged):
        note = Note(text, (line,)).render()
        assert witness.add_checkpoint(render(0, [], note)).status == 403
    assert witness.last(log.signer.verifier.name).status == 404


def test_signatures_of_other_kinds_beside_the_log_s_are_left_aside(witness, log):
    note = Note.parse(log.note(5))
    other = Signature("example.com/other", b"abcd", bytes(2_428))
    both = Note(note.text, (other, *note.signatures)).render()
    assert witness.add_checkpoint(render(0, [], both)).status == 200
    assert b"example.com/other" not in witness.last(log.signer.verifier.name).body


def test_a_wrong_or_needless_proof_is_refused(witness, log):
    first = log.asks(0, 5)
    assert witness.add_checkpoint(render(0, [bytes(32)], log.note(5))).status == 422
    assert witness.add_checkpoint(first).status == 200
    for proof in ([], [bytes(32)], log.proof(5, 300)[:-1], [*log.proof(5, 300), bytes(32)],
                  log.proof(4, 300), log.proof(5, 299)):  # fmt: skip
        assert witness.add_checkpoint(render(5, proof, log.note(300))).status == 422
    assert witness.add_checkpoint(render(5, [bytes(32)], log.note(5))).status == 422
    assert witness.add_checkpoint(log.asks(5, 300)).status == 200


@pytest.mark.parametrize(
    "body",
    [
        b"", b"old 0", b"old 0\n", b"old 00\n\n", b"old -1\n\n", b"old  0\n\n", b"0\n\n",
        b"old 0\n\nnothing signed\n", b"old 0\nAAAA\n\n", b"old 0\n!\n\n", b"\xff\n\n",
        b"old 1" + b"0" * 30 + b"\n\n", b"old 0\n" + b"A" * 44 + b"\n" + b"\n",
        b"old 0\n" + 64 * (b"A" * 43 + b"=\n") + b"\n",
    ],
)  # fmt: skip
def test_what_is_no_request_is_bad(witness, log, body):
    assert witness.add_checkpoint(body).status == 400
    assert witness.add_checkpoint(body + log.note(5)).status in (400, 404)


def test_a_certificate_must_be_one(witness, log):
    device = KEYS.device
    other = Keys.from_seed(5).issue("batch", "x")[0].verifier
    renamed = type(other)("cellwright/log/0123456789abcdef", other.public)
    for body in (
        b"", b"\xff\xff", log.note(5), log.certificate.render() + b"\n",
        device.sign(certificate_text(renamed, device.verifier)).render(),
        log.signer.sign(certificate_text(other, device.verifier)).render(),
    ):  # fmt: skip
        assert witness.add_log(body).status == 400
    assert log_name(other.public) == other.name


def test_a_witness_knows_no_more_logs_than_it_may(witness, log, monkeypatch):
    monkeypatch.setattr(store_module, "LOGS_MAX", 2)
    assert witness.add_log(KEYS.issue("batch", "2")[1].render()).status == 200
    assert witness.add_log(KEYS.issue("batch", "3")[1].render()).status == 507
    assert witness.add_log(log.certificate.render()).status == 200
    assert witness.logs == 2


def test_a_disk_that_refuses_gives_no_cosignature(tmp_path):
    class Full(VolatileFiles):
        full = False

        def replace(self, path, data):
            if self.full:
                raise OSError(28, "No space left on device")
            super().replace(path, data)

    files = Full()
    held = Store(tmp_path / "w", "", files)
    witness = Witness(held, [KEYS.device.verifier], lambda: NOW_S)
    log = Grown(leaves(9))
    witness.add_log(log.certificate.render())
    files.full = True
    reply = witness.add_checkpoint(log.asks(0, 5))
    assert reply.status == 507
    assert b"No space left" in reply.body
    assert "\N{EM DASH}".encode() not in reply.body
    files.full = False
    assert witness.add_checkpoint(log.asks(0, 4)).status == 200
    held.close()


def test_a_state_that_was_touched_signs_nothing(tmp_path, log, witness):
    witness.add_checkpoint(log.asks(0, 5))
    whole, key = witness._store.path, witness._store.key
    assert [known.last.checkpoint.size for known in read_logs(whole, key)] == [5]
    for spoil in ("flip", "lose"):
        state = tmp_path / spoil
        shutil.copytree(whole, state)
        if spoil == "flip":
            (file,) = (state / "logs").glob("*.note")
            file.write_bytes(file.read_bytes().replace(b"\n5\n", b"\n4\n"))
        else:
            (file,) = (state / "logs").glob("*.cert")
            file.unlink()
        with pytest.raises(RecordFailure, match="cannot be read") as caught:
            Store(state)
        assert "signs nothing" in caught.value.means


def test_a_witness_keeps_its_name_and_key_and_its_directory_to_itself(tmp_path):
    held = Store(tmp_path / "w", "witness.example/w1")
    with pytest.raises(BadInput, match="already"):
        Store(tmp_path / "w")
    held.close()
    again = Store(tmp_path / "w")
    assert again.key == held.key
    again.close()
    with pytest.raises(BadInput, match=r"is called witness\.example/w1"):
        Store(tmp_path / "w", "other")
    for name in ("two words", "a+b", "x" * 101, "tab\tname"):
        with pytest.raises(BadInput, match="cannot be a witness"):
            Store(tmp_path / name[:3], name)


class Forks(RuleBasedStateMachine):
    """A station with two histories of one log, and a witness that restarts in between."""

    @initialize(shared=st.integers(0, 9))
    def begin(self, shared: int) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.held = Store(self.folder / "w", "", VolatileFiles())
        self.witness = Witness(self.held, [KEYS.device.verifier], lambda: NOW_S)
        one = Grown(leaves(12))
        two = Grown(leaves(shared) + leaves(12 - shared, "b"), one.signer, one.certificate)
        self.logs = [one, two]
        self.signed: list[tuple[list[bytes], bool]] = []
        self.witness.add_log(one.certificate.render())

    @rule(which=st.integers(0, 1), old=st.integers(0, 12), new=st.integers(1, 12),
          base=st.integers(0, 12), proofs=st.integers(0, 1), sealed=st.booleans(),
          right=st.booleans())  # fmt: skip
    def submit(self, which, old, new, base, proofs, sealed, right):
        if right and self.signed:
            old = len(self.signed[-1][0])
        log = self.logs[which]
        proof = (self.logs[proofs if not right else which]).proof(old if right else base, new)
        reply = self.witness.add_checkpoint(render(old, proof, log.note(new, sealed=sealed)))
        if reply.status == 200:
            self.signed.append((log.leaves[:new], sealed))

    @rule()
    def restart(self) -> None:
        self.held.close()
        self.held = Store(self.folder / "w", "", VolatileFiles())
        self.witness = Witness(self.held, [KEYS.device.verifier], lambda: NOW_S)

    @invariant()
    def no_fork_and_no_way_back(self) -> None:
        pairs = zip(getattr(self, "signed", []), getattr(self, "signed", [])[1:], strict=False)
        for (before, was_sealed), (after, _) in pairs:
            assert after[: len(before)] == before
            assert not was_sealed or after == before

    def teardown(self) -> None:
        if hasattr(self, "held"):
            self.held.close()
            shutil.rmtree(self.folder)


TestForks = Forks.TestCase
TestForks.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)


def test_the_station_s_own_logs_and_proofs_are_those_the_witness_checks(witness, tmp_path):
    log = grow(new_log(tmp_path / "log"), 3)
    witness.add_log((tmp_path / "log" / "key.cert").read_bytes())
    seen = 0
    for count in (1, 250, 7, 300):
        found = log.published
        proof = log.consistency(seen, found.size) if 0 < seen < found.size else []
        assert witness.add_checkpoint(render(seen, proof, found.note)).status == 200
        seen = found.size
        log.close()
        log = grow(again(tmp_path / "log"), count)


def test_the_last_checkpoint_once_more_gets_the_same_cosignature_and_writes_nothing(tmp_path, log):
    times = iter((NOW_S, NOW_S + 3_600))
    held = Store(tmp_path / "w", "", VolatileFiles())
    witness = Witness(held, [KEYS.device.verifier], lambda: next(times))
    witness.add_log(log.certificate.render())
    first = witness.add_checkpoint(render(0, [], log.note(3)))
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "w").rglob("*.note")}
    again = witness.add_checkpoint(render(3, [], log.note(3)))
    assert (again.status, again.body) == (200, first.body)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "w").rglob("*.note")} == before
    held.close()
