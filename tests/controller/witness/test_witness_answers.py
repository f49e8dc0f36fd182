"""What a witness may answer, what proves a rollback, and how often one is asked."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress

import pytest
from witness_rig import (
    FAKE,
    again,
    answering,
    copy_of,
    fake,
    grow,
    new_log,
    now,
    witness,
)

from controller.core.clock import NS_PER_S
from controller.record.keys import Signer
from controller.record.verify import verify
from controller.witness import http as http_module
from controller.witness.asking import Asked, Forked, Lost
from controller.witness.compare import with_witness
from controller.witness.cosign import cosign, witness_key
from controller.witness.evidence import consistency_in, published_in
from controller.witness.http import Address
from controller.witness.subject import PAUSE_MAX_NS, REQUEST_NS, TOLD_NS, Turn


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with witness(tmp_path_factory.mktemp("answers") / "w") as found:
        yield found


# -- rollback ---------------------------------------------------------------------------------


@pytest.mark.parametrize("later", ["shorter", "grown again", "sealed there", "sealed here"])
def test_a_log_put_back_to_an_earlier_copy_verifies_and_the_witness_knows(
    served, tmp_path, later
):
    log = grow(new_log(tmp_path / "log", purpose=f"batch {later}"), 20)
    log.close()
    copy_of(tmp_path / "log", tmp_path / "old" / "log")
    log = grow(again(tmp_path / "log"), 30)
    if later == "sealed there":
        log.seal(now())
    asked = Asked(served.at)
    assert asked.cosigned(log.published, log.consistency)[0].checkpoint.size == 51
    log.close()
    back = tmp_path / "old" / "log"
    if later in ("grown again", "sealed here", "sealed there"):
        log = grow(again(back), 60, tag="TT102")
        if later == "sealed here":
            log.seal(now())
        log.close()
    assert verify(back, expect_sealed=later == "sealed here", deep=True).ok
    with pytest.raises(Forked) as caught:
        Asked(served.at).cosigned(
            published_in(back), lambda old, new: consistency_in(back, old, new)
        )
    assert caught.value.seen.checkpoint.size == 51
    with pytest.raises(Forked):  # and one that was told before
        asked.cosigned(published_in(back), lambda old, new: consistency_in(back, old, new))


def test_a_log_that_lost_only_its_seal_is_known_to_have_been_sealed(served, tmp_path):
    log = grow(new_log(tmp_path / "log", purpose="batch seal"), 20)
    log.close()
    copy_of(tmp_path / "log", tmp_path / "old" / "log")
    log = again(tmp_path / "log")
    log.seal(now())
    Asked(served.at).cosigned(log.published, log.consistency)
    back = tmp_path / "old" / "log"
    assert verify(back, expect_sealed=False).ok
    with pytest.raises(Forked) as caught:
        Asked(served.at).cosigned(published_in(back), log.consistency)
    assert caught.value.seen.checkpoint.sealed


def test_a_witness_s_word_without_a_checkpoint_holds_nothing(tmp_path):
    log = grow(new_log(tmp_path / "log"), 5)
    for status, body in ((409, b"999\n"), (422, b"no\n"), (409, b"6\n"), (409, b"x"), (500, b"")):
        def answer(path: str, _: bytes, status=status, body=body) -> tuple[int, bytes]:
            return (status, body) if path == "/add-checkpoint" else (404, b"")

        with answering(answer) as url, pytest.raises(Lost):
            Asked(fake(url)).cosigned(log.published, log.consistency)


def test_a_checkpoint_of_another_log_is_no_proof_of_a_rollback(tmp_path):
    log = grow(new_log(tmp_path / "log"), 5)
    other = grow(new_log(tmp_path / "other", purpose="batch B-2"), 50)

    def answer(path: str, _: bytes) -> tuple[int, bytes]:
        return (409, b"51\n") if path == "/add-checkpoint" else (200, other.published.note)

    with answering(answer) as url, pytest.raises(Lost, match="not signed once by its log"):
        Asked(fake(url)).cosigned(log.published, log.consistency)


def test_a_checkpoint_given_to_another_while_this_one_was_slow_is_no_proof_of_a_rollback(tmp_path):
    log = grow(new_log(tmp_path / "log"), 5)
    first = log.published

    def answer(path: str, _: bytes) -> tuple[int, bytes]:
        """Who sits on the network knows what the log signs meanwhile, and plays it back."""
        if path == "/add-checkpoint":
            grow(log, 5)
            return 409, b"%d\n" % log.published.size
        return 200, log.published.note

    with answering(answer) as url, pytest.raises(Lost, match="newer checkpoint"):
        Asked(fake(url)).cosigned(first, log.consistency, lambda: log.published)
    assert log.published.size == first.size + 5


def test_a_log_that_goes_on_while_it_is_compared_is_still_that_log(served, tmp_path, monkeypatch):
    log = grow(new_log(tmp_path / "log", purpose="batch goes on"), 5)
    Asked(served.at).cosigned(log.published, log.consistency)
    last = Asked.last

    def later(self, key):
        grow(log, 5)
        Asked(served.at).cosigned(log.published, log.consistency)
        return last(self, key)

    monkeypatch.setattr(Asked, "last", later)
    found = with_witness(log.directory, served.at)
    assert found.ok, found.words


# -- what a witness may answer ------------------------------------------------------------------


def test_a_forged_or_replayed_cosignature_is_not_kept(tmp_path):
    log = grow(new_log(tmp_path / "log"), 5)
    text = log.published.note.decode().partition("\n\n")[0] + "\n"
    key = witness_key(FAKE, "witness.example/fake")
    forger = Signer("x", bytes(range(3, 35)))
    good = cosign(FAKE, key, text, 1_800_000_000).render().encode()
    answers = {
        "does not hold": cosign(forger, key, text, 1_800_000_000).render().encode(),
        "is not signed with its key": cosign(
            forger, witness_key(forger, "other"), text, 1_800_000_000).render().encode(),
        "is no signature": b"ok\n",
    }  # fmt: skip
    said = [b""]
    with answering(lambda path, body: (200, said[0])) as url:
        for why, body in answers.items():
            said[0] = body
            with pytest.raises(Lost, match=why):
                Asked(fake(url)).cosigned(log.published, log.consistency)
        said[0] = good
        asked = Asked(fake(url))
        assert asked.cosigned(log.published, log.consistency)[1].time_s == 1_800_000_000
        grow(log, 5)
        with pytest.raises(Lost, match="does not hold"):  # the same answer once more
            asked.cosigned(log.published, log.consistency)


def test_an_answer_without_end_or_without_sense_is_given_up(tmp_path):
    log = grow(new_log(tmp_path / "log"), 5)
    for status, body in ((200, b"x" * 100_000), (302, b"elsewhere"), (409, b"0\n"), (404, b"")):
        with answering(lambda path, _, s=status, b=body: (s, b)) as url, pytest.raises(Lost):
            Asked(fake(url)).cosigned(log.published, log.consistency)
    with pytest.raises(Lost, match=r"[Rr]efused"):
        Asked(fake("http://127.0.0.1:9")).cosigned(log.published, log.consistency)


# -- the pace -----------------------------------------------------------------------------------


def test_only_the_newest_checkpoint_is_asked_about_and_not_more_than_once_in_5_s(tmp_path):
    log = grow(new_log(tmp_path / "log"), 5)
    turn, found = Turn(), log.published
    assert turn.wants(found, 0)
    turn.answered(found.note, 0)
    assert not turn.wants(found, REQUEST_NS)
    newer = grow(log, 1).published
    assert not turn.wants(newer, REQUEST_NS - 1)
    assert turn.wants(newer, REQUEST_NS)
    log.seal(now())
    assert turn.wants(log.published, 1)
    turn.failed(1)
    assert not turn.wants(log.published, 1)


def test_pauses_grow_to_a_minute_and_records_come_once_an_hour(tmp_path):
    found = grow(new_log(tmp_path / "log"), 5).published
    turn, at_ns, pauses = Turn(), 0, []
    for _ in range(9):
        turn.failed(at_ns)
        pauses.append((turn.due_ns - at_ns) // NS_PER_S)
        at_ns = turn.due_ns
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert PAUSE_MAX_NS == 60 * NS_PER_S
    times = [second for second in range(0, 7_300, 5) if turn.tells(found, second * NS_PER_S)]
    assert times == [0, TOLD_NS // NS_PER_S, 2 * TOLD_NS // NS_PER_S]


def test_an_answer_that_drips_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(http_module, "WHOLE_S", 0.5)
    log = grow(new_log(tmp_path / "log"), 5)
    ended = threading.Event()

    def drip() -> None:
        line, _ = listener.accept()
        with line, suppress(OSError):
            line.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
            while not ended.wait(0.05):
                line.sendall(b"x")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=drip)
        thread.start()
        try:
            asked = Asked(fake(f"http://127.0.0.1:{listener.getsockname()[1]}"))
            with pytest.raises(Lost):
                asked.cosigned(log.published, log.consistency)
        finally:
            ended.set()
            thread.join(10)


def test_an_address_is_taken_apart_and_nothing_strange_in_it(tmp_path):
    found = Address.parse("https://witness.example/prefix/", "a witness")
    assert (found.tls, found.host, found.port, found.path) == (
        True, "witness.example", 443, "/prefix",
    )  # fmt: skip
