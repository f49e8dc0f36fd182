"""A station whose device key is on a token: what begins without it, and what goes on."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from supervisor_bench import Deck

from controller.core.errors import Refused
from controller.record.keys import Keys
from controller.record.state import StateDir
from controller.record.token import TokenKey, TokenUri
from controller.record.verify import verify
from controller.station import BatchOrder, Station
from controller.units import find_recipe

URI = TokenUri.parse("pkcs11:token=T;object=K?module-path=/m.so&pin-source=/pin")


class Token:
    """A token that can be pulled."""

    def __init__(self) -> None:
        self.here, self.asked = True, 0
        self._key = Ed25519PrivateKey.from_private_bytes(b"t" * 32)

    def __call__(self, request):
        self.asked += 1
        if not self.here:
            return {"error": "no tokens answer to this name"}
        return {"public": self._key.public_key().public_bytes_raw().hex(),
                "signature": self._key.sign(request["text"].encode()).hex()}  # fmt: skip


@pytest.fixture
def token():
    return Token()


@pytest.fixture
def deck(tmp_path, token, monkeypatch):
    keys = Keys.in_directory(tmp_path / "keys", device=TokenKey(URI, token))
    monkeypatch.setattr(Keys, "from_seed", lambda seed: keys)
    return Deck(tmp_path / "state")


def open_batch(deck, batch_id):
    path = find_recipe("car_t_perfusion")
    order = BatchOrder(batch_id, "virtual", "PSN-1", "LOT-1")
    recipe = deck.station.load_recipe(path)
    deck.station.open_batch(recipe, path, order, deck.clock.stamp())
    deck.run(2)


def test_without_its_token_no_batch_begins_and_none_is_left_half_open(deck, token):
    token.here = False
    with pytest.raises(Refused, match="K on token T cannot be used: no tokens"):
        open_batch(deck, "B-1")
    assert deck.station.state_dir.current() is None
    assert deck.station.batch_log is None
    deck.run(3)
    assert not deck.supervisor.failed
    token.here = True
    open_batch(deck, "B-2")
    assert deck.station.state_dir.current() == "B-2"


def test_a_token_that_is_pulled_in_mid_batch_is_not_missed(deck, token):
    open_batch(deck, "B-1")
    token.here, asked = False, token.asked
    deck.ask("start")
    deck.run(30)
    assert deck.supervisor.procedure_state == "Running"
    for log in (deck.station.batch_log, deck.supervisor.station_log):
        log.close()
    state = StateDir(deck.station.state_dir.path, deck.disk)
    again = Station(deck.profile, deck.station.offer, state, Keys.from_seed(1), deck.disk,
                    deck.clock.stamp(), deck.station.board)  # fmt: skip
    again.take_up(deck.clock.stamp())
    again.supervisor.tick(deck.clock.stamp())
    assert not again.supervisor.failed
    assert token.asked == asked, "nobody asked for it"
    again.batch_log.seal(deck.clock.stamp())
    report = verify(state.batch_log("B-1"), expect_sealed=True, deep=True)
    assert report.ok, report.problems
    assert report.device == str(again.keys.device.verifier)
