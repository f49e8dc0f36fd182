"""What a comparison finds: differences in groups, the most critical group first, and words."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from controller.core.errors import Place
from controller.recipe.plan import ControlRecipe, Path_

EQUIPMENT: Final = "Equipment"
ELEMENTS: Final = "Elements"
CONDITIONS: Final = "Conditions and time-outs"
EXCEPTIONS: Final = "Exceptions, alternatives, long Hold"
CONTROLS: Final = "In-process controls"
FORMULA: Final = "Formula"
PARAMETERS: Final = "Parameters of phases"
FOLLOWS: Final = "Parameters that follow from the formula"
GROUPS: Final = (
    EQUIPMENT, ELEMENTS, CONDITIONS, EXCEPTIONS, CONTROLS, FORMULA, PARAMETERS, FOLLOWS,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference, and where it is written on both sides; None where there is nothing."""

    group: str
    what: str
    before: Place | None
    after: Place | None


@dataclass(slots=True)
class Comparison:
    """Everything that was found. `words` change nothing that happens."""

    before: ControlRecipe
    after: ControlRecipe
    differences: list[Difference] = field(default_factory=list)
    words: list[Difference] = field(default_factory=list)

    def add(self, group: str, what: str, ours: Path_ | None, theirs: Path_ | None) -> None:
        """Adds a difference; `ours` and `theirs` are places in the two documents."""
        self.differences.append(self._made(group, what, ours, theirs))

    def word(self, what: str, ours: Path_, theirs: Path_) -> None:
        """Adds a change of words."""
        self.words.append(self._made("Words", what, ours, theirs))

    def title(self, what: str, old: str, new: str, ours: Path_, theirs: Path_) -> None:
        """Adds a change of words where there is one."""
        if old != new:
            self.word(f"{what}: {old!r}, now {new!r}", ours, theirs)

    def grouped(self) -> list[tuple[str, list[Difference]]]:
        """The groups that are not empty, in their order; in each what is about protected phases
        comes first, and then what is gone, new and moved as the recipe runs."""
        found = [(group, [d for d in self.differences if d.group == group]) for group in GROUPS]
        return [(group, sorted(inside, key=lambda each: "protected" not in each.what))
                for group, inside in found if inside]  # fmt: skip

    def _made(self, group: str, what: str, ours: Path_ | None, theirs: Path_ | None) -> Difference:
        return Difference(
            group, what,
            None if ours is None else self.before.document.place(*ours),
            None if theirs is None else self.after.document.place(*theirs),
        )  # fmt: skip
