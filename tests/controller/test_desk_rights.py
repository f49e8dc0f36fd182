"""Role x action x state: every cell through the desk, against a table written for this test."""

from __future__ import annotations

import pytest
from people_bench import OF, PeopleDeck

from controller.people.roles import ROLES, STATES, Rights
from controller.requests import Requests
from controller.supervisor import Supervisor

# NoBatch Idle Running Pausing Paused Holding Held Restarting Stopping Stopped Aborting Aborted
# Complete
LETTERS = dict(zip("NIRpPhHrsSaAC", STATES, strict=True))
ALL, OPEN = "NIRpPhHrsSaAC", "IRpPhHrsSaAC"
# What the operating procedure says, by hand: verb -> role -> states. Nothing else is allowed.
EXPECTED = {
    "open_batch": {"operator": "N", "supervisor": "N"},
    "start": {"operator": "I", "supervisor": "I"},
    "hold": dict.fromkeys((*ROLES, "nobody"), ALL),
    "pause": {"operator": "R", "supervisor": "R"},
    "resume": {"operator": "pP", "supervisor": "pP"},
    "restart": {"operator": "H", "supervisor": "H"},
    "stop": {"supervisor": "RpPhHr"},
    "abort": {"operator": "RpPhHrs", "supervisor": "RpPhHrs"},
    "answer": {"operator": "RpPhHrsa", "supervisor": "RpPhHrsa"},
    "result_file": {"operator": "RpPhHrsa", "supervisor": "RpPhHrsa"},
    "acknowledge": {"operator": ALL, "supervisor": ALL, "qa": ALL, "engineer": ALL},
    "shelve": {"operator": ALL, "supervisor": ALL},
    "unshelve": {"operator": ALL, "supervisor": ALL, "qa": ALL, "engineer": ALL},
    "out_of_service": {"supervisor": ALL, "engineer": ALL},
    "in_service": {"supervisor": ALL, "engineer": ALL},
    "silence": {"operator": ALL, "supervisor": ALL, "qa": ALL, "engineer": ALL},
    "identify_hold": {"operator": "RpPhHsSaA", "supervisor": "RpPhHsSaA"},
    "end_environment": {"operator": "SAC", "supervisor": "SAC"},
    "change": {"engineer": "RpPhHr"},
    "deviation": dict.fromkeys(("operator", "supervisor", "qa", "engineer"), OPEN),
    "set_sp": {"operator": ALL, "supervisor": ALL, "engineer": ALL},
    "set_mode": {"supervisor": ALL, "engineer": ALL},
    "set_op": {"supervisor": ALL, "engineer": ALL},
    "set_output": {"supervisor": ALL, "engineer": "N"},
    "set_flag": {"supervisor": ALL},
    "reset": {"operator": ALL, "supervisor": ALL, "engineer": "N"},
    "bypass": {"supervisor": ALL},
    "user_add": {"admin": ALL},
    "user_disable": {"admin": ALL},
    "password": dict.fromkeys(ROLES, ALL),
    "logout": dict.fromkeys(ROLES, ALL),
}
SIGNED_BY = {"open_batch": 1, "start": 1, "resume": 1, "restart": 1, "stop": 1, "abort": 1,
             "set_output": 1, "out_of_service": 1, "in_service": 1, "deviation": 1, "change": 2,
             "end_environment": 2, "set_flag": 2, "bypass": 2}  # fmt: skip


@pytest.fixture(scope="module")
def deck(tmp_path_factory):
    return PeopleDeck(tmp_path_factory.mktemp("rights"))


@pytest.fixture
def only_asked(monkeypatch):
    """What was admitted is intended and not done; the procedure is in whatever state is wanted."""
    monkeypatch.setattr(Requests, "_expected", lambda self, request: None)
    monkeypatch.setattr(
        Requests, "_done", lambda self, request, stamp: (self._unit.desk.intent(request, stamp), "")
    )

    def be(state: str, use: str) -> None:
        situation = Requests._situation

        def seen(self, request):
            found = situation(self, request)
            none = state == "NoBatch"
            return type(found)(state, "none" if none else use, "" if none else "B-1")

        monkeypatch.setattr(Requests, "_situation", seen)
        monkeypatch.setattr(Supervisor, "procedure_state", state)

    return be


def asked(deck, role, verb, batch_id):
    """The answer to one request, signed as the table wants it by people who may."""
    user = OF.get(role, "")
    first = "sam" if verb == "abort" else user
    second = "sue" if user != "sue" and verb != "change" else "quinn"
    signers = (first, second)[: SIGNED_BY.get(verb, 0)] if user else ()
    deck.supervisor.orders.standing.batch_id = batch_id
    return deck.by(user, verb, "x", signed=signers, reason="because", expected="y")


def test_the_table_of_the_program_has_no_action_that_this_test_does_not_know():
    assert set(Rights.shipped().verbs) == set(EXPECTED)


@pytest.mark.parametrize("use", ["engineering", "virtual"])
@pytest.mark.parametrize("verb", list(EXPECTED))
def test_every_cell_of_role_and_state_is_as_written_here_and_leaves_one_record(
    deck, only_asked, verb, use
):
    """UR-14."""
    for letter, state in LETTERS.items():
        only_asked(state, use)
        for role in (*ROLES, "nobody"):
            cells = EXPECTED[verb].get(role, "")
            if role == "engineer" and use == "virtual" and verb.startswith("set_"):
                cells = cells.replace(OPEN, "")  # an engineer's batch is an engineering batch
            answer = asked(deck, role, verb, "" if state == "NoBatch" else "B-1")
            where = f"{role} {verb} while {state} in a {use} batch: {answer}"
            assert answer.accepted == (letter in cells), where
            wanted = "command.intent" if letter in cells else "command.refused"
            assert deck.one_record() == wanted, where
            told = deck.last(wanted)
            if role == "nobody":
                assert told.actor == "unidentified person@bench", where
                assert answer.accepted or answer.kind == "unauthenticated", where
            else:
                assert (told.actor, told.role) == (f"{OF[role]}@bench", role), where
                if role not in EXPECTED[verb]:
                    assert answer.kind == "forbidden", where


@pytest.mark.parametrize("verb", [v for v, n in SIGNED_BY.items() if n])
def test_what_is_to_be_signed_is_refused_unsigned_and_by_too_few(deck, only_asked, verb):
    """UR-13."""
    role = "supervisor" if "supervisor" in EXPECTED[verb] else "engineer"
    letter = EXPECTED[verb][role][0]
    only_asked(LETTERS[letter], "engineering")
    batch = "" if letter == "N" else "B-1"
    deck.supervisor.orders.standing.batch_id = batch
    for signers in [()] + [(OF[role],)] * (SIGNED_BY[verb] == 2):
        answer = deck.by(OF[role], verb, "x", signed=signers, reason="because", expected="y")
        assert (answer.accepted, answer.kind) == (False, "forbidden")
        assert deck.one_record() == "command.refused"


@pytest.mark.parametrize(("verb", "role"), [
    ("restart", "operator"), ("stop", "supervisor"), ("abort", "operator"),
    ("identify_hold", "operator"), ("reset", "operator"), ("bypass", "supervisor"),
    ("set_flag", "supervisor"), ("shelve", "operator"), ("out_of_service", "engineer"),
    ("in_service", "supervisor"), ("user_disable", "admin"), ("change", "engineer"),
    ("deviation", "qa"),
])  # fmt: skip
def test_what_needs_a_reason_is_refused_without_one_or_with_blanks(deck, only_asked, verb, role):
    only_asked(LETTERS[EXPECTED[verb][role][-1]], "engineering")
    for reason in ("", "   "):
        answer = deck.by(OF[role], verb, "x", reason=reason)
        assert (answer.accepted, answer.kind) == (False, "bad_input")
        assert "needs a reason" in answer.why
