"""All that is proved of one unit: what its file promises, and what is asked of every unit."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from controller.profile.compile import Profile
from controller.profile.prove.checks import always
from controller.profile.prove.claims import claims
from controller.profile.prove.environment import environment
from controller.profile.prove.prover import Result, prove_claim


@dataclass(frozen=True, slots=True)
class Proof:
    """The results in their order, and how long they took."""

    results: tuple[Result, ...]
    seconds: float

    @property
    def good(self) -> bool:
        """Whether everything holds, and not vacuously."""
        return all(result.holds for result in self.results)


def prove(profile: Profile) -> Proof:
    """Proves one unit; raises BadInput at the first property that names what it has not."""
    begun = time.perf_counter()
    results = tuple(_results(profile))
    return Proof(results, time.perf_counter() - begun)


def _results(profile: Profile) -> Iterator[Result]:
    for claim in claims(profile):
        yield prove_claim(profile, claim)
    yield from always(profile)
    yield from environment(profile)
