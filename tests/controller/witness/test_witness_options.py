"""What a run is told about its witnesses: refused at the start, left out with a batch open."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from controller.cli.outside import NOBODY, Outside, watched
from controller.cli.sim_run import SimAsked, sim_run
from controller.cli.supervise import arguments
from controller.core.clock import RealClock
from controller.core.errors import BadInput
from controller.core.ports import Unwatched
from controller.record.keys import Signer
from controller.witness.cosign import witness_key

LINES = [f"http://127.0.0.1:844{n}={witness_key(Signer('x', bytes([n] * 32)))}" for n in (1, 2)]
NEEDED = ["--unit", "u", "--recipe", "r", "--station", "s", "--actor", "a", "--use", "engineering",
          "--state", "state", "--plan", "p"]  # fmt: skip


def test_the_supervisor_is_told_what_the_run_was_told(tmp_path):
    given = Outside.given(LINES, "http://tsa.example/stamp", tmp_path / "roots.pem")
    assert Outside.of(arguments([*NEEDED, *given.words()])) == given
    assert Outside.of(arguments(NEEDED)) == NOBODY == Outside.given(None, "", None)
    assert not NOBODY.any
    assert given.any


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (Outside(("http://127.0.0.1:1=nothing",)), "is no witness"),
        (Outside((LINES[0], LINES[0])), "given twice"),
        (Outside(tuple(LINES * 5)), "more than 8 witnesses"),
        (Outside((), "gopher://x"), "no address of a time-stamping authority"),
        (Outside((), "http://x", "no.pem"), "no such file of certificates"),
        (Outside((), "", "no.pem"), "--tsa-roots without --tsa"),
    ],
)
def test_what_is_wrong_is_refused_and_with_a_batch_open_left_out(tmp_path, given, says):
    if given.roots is not None:
        given = Outside(given.witnesses, given.tsa, tmp_path / str(given.roots))
    with pytest.raises(BadInput, match=says):
        given.checked(None)
    said = []
    assert given.checked(said.append) == NOBODY
    assert says in said[0]
    assert "the open batch goes on" in said[0]


def test_a_run_without_witnesses_asks_nobody_and_one_faster_than_life_has_none(tmp_path):
    closed = SimpleNamespace(found_open="")
    assert isinstance(watched(NOBODY, closed, RealClock(), print), Unwatched)
    asked = SimAsked("perfusion_2l", "car_t_perfusion", 100.0, 1, tmp_path / "out", "127.0.0.1", 0,
                     True, True, Outside((LINES[0],)))  # fmt: skip
    with pytest.raises(BadInput, match="faster than life has no witness"):
        sim_run(asked)
    assert not (tmp_path / "out").exists()
