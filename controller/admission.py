"""Who asks, and may they now: session, role x action x state, signatures, age of the screen.

The only place that decides this. It reads the table and what people gave, changes nothing, and
hands back the request as it is to be recorded: by whom, in which role, with whom as second person.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from controller.alarms import CLOCK_BACK
from controller.asking import ORDERS, Denied, Request
from controller.core.clock import NS_PER_S, Stamp
from controller.core.errors import BadInput, nearest
from controller.people.door import named, unidentified
from controller.people.people import People
from controller.people.roles import NO_BATCH, NOBODY, UNVERIFIED, Rights, Rule
from controller.people.signature import Signature, request_digest
from controller.recipe.states import COMMANDS, legal

SEEN_S_MAX: Final = 5.0
AHEAD_S_MAX: Final = 1.0
# What is asked for without looking at the unit.
UNSEEN: Final = frozenset({"hold", "user_add", "user_disable"})


@dataclass(frozen=True, slots=True)
class Situation:
    """What the table is asked about. `people`: how many the prompt answered wants, 0 for any other
    request; `again`: its value was far from the prediction and is entered again; `clock_back`: the
    wall clock went back, and nobody has acknowledged it."""

    state: str
    use: str
    batch_id: str
    people: int = 0
    again: bool = False
    clock_back: bool = False


class Admission:
    """Admits requests at one station. `people` None: nobody can have an account here."""

    def __init__(self, rights: Rights, people: People | None = None) -> None:
        self.rights, self.people = rights, people

    def identified(self, request: Request, stamp: Stamp) -> tuple[Request, str]:
        """The request with the actor and role it is recorded under, and why that person may not
        command: nobody is logged in, or the session only shows. Empty: they may."""
        if request.origin != "screen":
            if request.origin == "script" or self.people is None or self.people.unused:
                return replace(request, role=UNVERIFIED, signatures=()), ""
            request = replace(request, actor=unidentified(request.actor), role=NOBODY)
            return request, "this station has accounts: a console cannot tell who asks"
        found = self.people.who(request.session, stamp) if self.people is not None else None
        if found is None:
            actor = unidentified(request.station)
            request = replace(request, actor=actor, role=NOBODY, second="")
            return request, "nobody is logged in"
        session, account, live = found
        actor = named(account.user, session.station)
        request = replace(request, actor=actor, role=account.role, second="")
        return request, "" if live else "this session was idle and only shows"

    def admit(self, request: Request, idle: str, now: Situation, stamp: Stamp) -> Request:
        """What `identified` gave, with its second person. Raises Denied, or BadInput.

        A Hold needs nothing: no log-in, no signature, no fresh screen, and it is never too late.
        """
        hold = request.verb == "hold"
        if not hold and 0 <= request.until_ns < stamp.mono_ns:
            late_s = (stamp.mono_ns - request.until_ns) / NS_PER_S
            raise Denied("expired", f"it came {late_s:.1f} s too late and was not carried out")
        if idle and not hold:
            raise Denied("unauthenticated", idle, do="Log in at the screen.")
        rule = self.rights.rule(request.verb)
        if rule is None:
            known = nearest(request.verb, self.rights.verbs)
            raise BadInput(f"unknown verb {request.verb[:40]!r}. {known}")
        _authorised(rule, request, now)
        if hold:
            return request
        if rule.reason and not request.reason.strip():
            raise BadInput(f"a {request.verb} needs a reason")
        if request.role == UNVERIFIED:
            _two_names(rule, request)
            return request
        request = self._signed(rule, request, now, stamp)
        self._seen(request, stamp)
        return request

    def spend(self, signatures: Sequence[Signature], stamp: Stamp) -> None:
        """These signatures were used."""
        for signature in signatures:
            if self.people is not None:
                self.people.seals.spend(signature, stamp)

    def _signed(self, rule: Rule, request: Request, now: Situation, stamp: Stamp) -> Request:
        """Checks the signatures of a request made in a session; the second person is their last."""
        needed = 2 if now.people == 2 else rule.signatures
        given = request.signatures
        if len(given) != needed and not (now.again and len(given) == 2):
            words = {0: "no signature", 1: "one signature", 2: "signatures of two people"}
            raise Denied("forbidden", f"{request.verb} takes {words[needed]}, not {len(given)}")
        if given and now.clock_back:
            raise Denied(
                "refused", "nothing is signed: the wall clock went back, and nobody has seen it",
                do=f"Check the time, then acknowledge the alarm {CLOCK_BACK}.",
            )
        digest = request_digest(
            request.verb, request.target, request.value, request.expected, request.reason,
            now.batch_id,
        )  # fmt: skip
        meanings = (rule.meaning, rule.second_meaning)
        for signature, meaning in zip(given, meanings, strict=False):
            flaw = self._flaw(signature, meaning, request, digest, stamp)
            if flaw:
                who = signature.user[:40]
                raise Denied("forbidden", f"the signature of {who} does not count: {flaw}")
        if not given:
            return request
        first, last = given[0], given[-1]
        user, _, station = request.actor.partition("@")
        if rule.signers and first.role not in rule.signers:
            raise Denied("forbidden", f"{rule.verb} is signed by a {' or '.join(rule.signers)}")
        if not rule.signers and first.user != user:
            raise Denied("forbidden", f"the first signature must be that of {user}, who asks")
        if len(given) == 2:
            if last.user in (first.user, user):
                raise Denied("forbidden", f"{rule.verb} needs a second person, who is another")
            if last.role not in rule.second_roles:
                allowed = " or ".join(rule.second_roles)
                raise Denied("forbidden", f"a {last.role} may not be the second person: {allowed}")
        return replace(request, second="" if last.user == user else named(last.user, station))

    def _flaw(
        self, signature: Signature, meaning: str, request: Request, digest: str, stamp: Stamp
    ) -> str:
        people = self.people
        if people is None:
            return "this station has no accounts"
        flaw = people.seals.flaw(signature, digest, stamp)
        if flaw:
            return flaw
        account = people.accounts.find(signature.user)
        if account is None or account.disabled:
            return "the user is disabled"
        if signature.meaning != meaning:
            return f"its meaning is {signature.meaning[:40]!r}, not {meaning!r}"
        if signature.reason != request.reason:
            return "it was given for another reason"
        return ""

    def _seen(self, request: Request, stamp: Stamp) -> None:
        """Refuses a click on a screen that did not show the present."""
        if request.verb in UNSEEN:
            return
        if request.seen_ns < 0:
            raise BadInput("the request does not say which frame of the screen it was made on")
        pace = self.people.pace if self.people is not None else 1.0
        age_s = (stamp.mono_ns - request.seen_ns) / NS_PER_S / pace
        if not -AHEAD_S_MAX <= age_s <= SEEN_S_MAX:
            raise Denied("stale", f"the screen was {age_s:.1f} s old", do="Look again, then ask.")


def _authorised(rule: Rule, request: Request, now: Situation) -> None:
    """One cell of the table; says whether it is the role or the state that is wrong."""
    role = request.role
    if rule.allows(role, now.state, now.use):
        return
    if role not in rule.roles:
        raise Denied("forbidden", f"{role} may not {rule.verb}")
    if not rule.states(role, now.use):
        raise Denied("forbidden", f"{role} may not {rule.verb} in a batch of use {now.use}")
    if any(rule.allows(other, now.state, now.use) for other in rule.roles):
        raise Denied("forbidden", f"{role} may not {rule.verb} while {now.state}")
    if now.state == NO_BATCH:
        raise Denied("refused", "no batch is open")
    if rule.states(role, now.use) == (NO_BATCH,):
        raise Denied("refused", "a batch is open already")
    do = f"It is while {', '.join(rule.states(role, now.use))}."
    orders = [verb for verb in COMMANDS if legal(now.state, verb)]
    if rule.verb in ORDERS:
        do += f" Possible now: {', '.join(orders) or 'no order'}."
    raise Denied("refused", f"{rule.verb} is not possible while {now.state}", do=do)


def _two_names(rule: Rule, request: Request) -> None:
    """Where nobody can sign, two different names are asked for. Answers: the engine asks."""
    if rule.signatures == 2 and request.second.strip().casefold() in (
        "", request.actor.strip().casefold(),
    ):  # fmt: skip
        raise BadInput(f"{request.verb} {request.target} needs a second person")
