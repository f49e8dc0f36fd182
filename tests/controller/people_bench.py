"""A deck with people: one account of each role, a session each, and requests as a screen makes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from argon2 import PasswordHasher
from supervisor_bench import Deck, Told

from controller.asking import Answer, Request
from controller.orders import RECIPE, SYSTEM
from controller.people import door
from controller.people.password import Passwords
from controller.people.people import People
from controller.people.signature import Signature, request_digest
from controller.record.entry import read_records

TERMINAL = "bench"
LOT = "prepare/set_up/leak_test.set_lot"
USERS = {"olivia": "operator", "oscar": "operator", "sam": "supervisor", "sue": "supervisor",
         "quinn": "qa", "emil": "engineer", "ada": "admin", "aud": "auditor"}  # fmt: skip
OF = {role: user for user, role in reversed(USERS.items())}


def password(user: str) -> str:
    """The password of a bench user."""
    return f"correct horse of {user}"


def cheap() -> Passwords:
    """argon2id with the smallest parameters there are."""
    return Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


class PeopleDeck(Deck):
    """The deck, whose station has accounts."""

    def __init__(self, path: Path) -> None:
        self.answers: list[Answer] = []
        people = People(path / "state", passwords=cheap())
        super().__init__(path / "state", people)
        self.people = people
        self.sessions: dict[str, str] = {}
        for user, role in USERS.items():
            hash_ = people.passwords.hash(password(user))
            people.accounts.add(user, user.title(), role, hash_, False, self.clock.stamp())
        for user in USERS:
            self.log_in(user)
        self.run(1)
        self.told.clear()

    def log_in(self, user: str) -> door.Outcome:
        """Logs a user in at the bench; the records are reported as a server does."""
        stamp = self.clock.stamp()
        done = door.log_in(self.people, user, password(user), "", TERMINAL, stamp)
        self.supervisor.desk.report(done.events)
        if done.session is not None:
            self.sessions[user] = done.session.id
        return done

    def request(self, user: str, verb: str, target: str = "procedure", value: str = "",
                signed: tuple[str, ...] = (), **more: Any) -> Request:  # fmt: skip
        """A request in the session of `user` ("" = nobody), signed by others for what it says."""
        made = Request(verb, target, value, station=TERMINAL, origin="screen",
                       session=self.sessions.get(user, ""), seen_ns=self.clock.now_ns,
                       **more)  # fmt: skip
        return replace(made, signatures=self.signatures(made, signed))

    def signatures(self, made: Request, signers: tuple[str, ...]) -> tuple[Signature, ...]:
        """What `signers` sign for a request, in the meanings the table asks for."""
        rule, found = self.people.rights.rule(made.verb), []
        batch = self.supervisor.orders.standing.batch_id
        digest = request_digest(made.verb, made.target, made.value, made.expected, made.reason,
                                batch)  # fmt: skip
        for user, meaning in zip(signers, rule.meanings if rule else (), strict=False):
            done = door.sign(self.people, user, password(user), meaning, made.reason, digest,
                             TERMINAL, self.clock.stamp())  # fmt: skip
            assert done.signature is not None, done.why
            found.append(done.signature)
        return tuple(found)

    def give(self, request: Request) -> Answer:
        """Asks, and waits for the answer of the next tick."""
        self.answers.clear()
        self.told.clear()
        self.supervisor.desk.ask(request, self.answers.append)
        self.supervisor.tick(self.clock.stamp())
        (answer,) = self.answers
        return answer

    def by(self, user: str, verb: str, target: str = "procedure", value: str = "",
           signed: tuple[str, ...] = (), **more: Any) -> Answer:  # fmt: skip
        """A request of a user, given."""
        return self.give(self.request(user, verb, target, value, signed, **more))

    def one_record(self) -> str:
        """The name of the only intent or refusal of a person since the last request."""
        return self.only().name

    def only(self) -> Told:
        """The only intent or refusal of a person since the last request."""
        (told,) = [told for told in self.told if told.name in ("command.intent", "command.refused")
                   and told.actor not in (RECIPE, SYSTEM)]  # fmt: skip
        return told

    def started(self) -> None:
        """A batch, opened and running."""
        self.open()
        assert self.by("olivia", "start", signed=("olivia",), expected="Idle").accepted
        self.run(3)
        assert self.supervisor.procedure_state == "Running"

    def open(self) -> None:
        """A batch, opened by the bench itself and not started."""
        from controller.station import BatchOrder
        from controller.units import find_recipe

        path = find_recipe("car_t_perfusion")
        order = BatchOrder("B-1", "engineering", "PSN-1", "LOT-1")
        self.station.open_batch(self.station.load_recipe(path), path, order, self.clock.stamp())
        self.run(2)

    def in_station_log(self) -> list[dict[str, Any]]:
        """What the station log holds, on its disk."""
        return list(read_records(self.station.state_dir.station))

    def in_batch_log(self) -> list[dict[str, Any]]:
        """What the log of the open batch holds."""
        return list(read_records(self.station.state_dir.batch_log("B-1")))


def refused(deck: PeopleDeck, answer: Answer, kind: str, says: str) -> None:
    """A refusal of that kind in those words, one record of it, and no intent."""
    assert (answer.accepted, answer.kind, answer.id) == (False, kind, 0), answer
    assert says in answer.why
    assert deck.one_record() == "command.refused"
    assert says.split(". ")[0] in deck.last("command.refused").data["why"]
