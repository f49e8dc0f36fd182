"""Which alarms say no more than that a link is lost: derived from the Plan, for any set of links.

One fault must not raise forty alarms. What is derived here only keeps an alarm from being shown
beside the one that explains it; no row, effect or action knows of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from controller.alarms.book import ROWS
from controller.profile.compile import Profile
from controller.profile.plan import BlockOp, CompareOp

_SINGLE: Final = (BlockOp.LINEAR, BlockOp.TOTAL, BlockOp.RISE, BlockOp.LOWEST, BlockOp.SPREAD,
                  BlockOp.LAG, BlockOp.HIGHEST, BlockOp.MEAN, BlockOp.HOLD)  # fmt: skip


class Dependence:
    """What of one unit is known through which link."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._links_of = {profile.index[tag]: use.link for use in profile.model.devices.values()
                          for tag in use.tags.values()}  # fmt: skip
        ages = zip(profile.plan.links, profile.links, strict=True)
        self._ages = {int(row["age_signal"]): link.name for row, link in ages}
        self._blind: dict[frozenset[str], frozenset[int]] = {}
        self._rows = {f"row:{c.row}": i for i, c in enumerate(profile.causes) if c.kind in ROWS}
        self._loops = {f"loop:{loop}": i for i, loop in enumerate(profile.loops)}
        self._proofs = {f"proof:{row}:{output}": i for i, (row, output)
                        in enumerate(profile.effects)}  # fmt: skip
        self.silent: Mapping[str, str] = {
            row: link for row, index in self._rows.items()
            if (link := self._age_link(index))
        }  # fmt: skip

    def explained(self, name: str, blind: Iterable[str], lost: frozenset[str]) -> bool:
        """Whether an alarm says no more than that these links are lost. `blind`: the bad signals
        that alone made its row act; none when what it watches really happened."""
        if name in self.silent:
            return self.silent[name] in lost
        if name in self._rows:
            return self._row(self._rows[name], tuple(blind), lost)
        if name in self._loops:
            loop = self._profile.plan.loops[self._loops[name]]
            return int(loop["pv"]) in self.blind(lost)
        if name in self._proofs:
            effect = self._profile.plan.effects[self._proofs[name]]
            output = self._profile.plan.outputs[int(effect["output"])]
            told = self._profile.links[int(output["link"])].name in lost
            return told or int(effect["confirm_signal"]) in self.blind(lost)
        return False

    def blind(self, lost: frozenset[str]) -> frozenset[int]:
        """The signals that are bad because these links are lost."""
        if lost not in self._blind:
            bad = {signal for signal, link in self._links_of.items() if link in lost}
            for block in self._profile.plan.blocks:
                if self._is_blind(block, bad):
                    bad.add(int(block["target"]))
            self._blind[lost] = frozenset(bad)
        return self._blind[lost]

    def _is_blind(self, block: Mapping[str, int], bad: set[int]) -> bool:
        a, b = int(block["a"]) in bad, int(block["b"]) in bad
        if block["op"] == BlockOp.ELSE:
            return a and b
        if block["op"] == BlockOp.SUM:
            first = int(block["first_term"])
            terms = self._profile.plan.terms[first : first + int(block["n_terms"])]
            return any(int(term["signal"]) in bad for term in terms)
        return a if block["op"] in _SINGLE else a or b

    def _row(self, index: int, blind: tuple[str, ...], lost: frozenset[str]) -> bool:
        """A row that acts on bad signals alone, all of them bad by the loss, and that could not
        reach its vote without them: what it watches may happen meanwhile, and must be heard."""
        index_of, bad = self._profile.index, self.blind(lost)
        watched = self._conditions(index)
        if all(c["op"] == CompareOp.IS_BAD for c in watched):  # it says so in its own words
            return all(int(c["signal"]) in bad for c in watched)
        if not blind or not all(index_of.get(name) in bad for name in blind):
            return False
        cause = self._profile.plan.causes[index]
        seeing = [c for c in watched if int(c["signal"]) not in bad]
        return len(seeing) < int(cause["votes"])

    def _conditions(self, index: int) -> list[Mapping[str, int]]:
        cause = self._profile.plan.causes[index]
        first = int(cause["first_condition"])
        return list(self._profile.plan.conditions[first : first + int(cause["n_conditions"])])

    def _age_link(self, index: int) -> str:
        """The one link whose silence is all that a row watches; empty for any other row."""
        found = {self._ages.get(int(c["signal"]), "") if c["op"] == CompareOp.ABOVE else ""
                 for c in self._conditions(index)}  # fmt: skip
        return max(found) if len(found) == 1 else ""
