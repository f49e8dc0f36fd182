"""What a check must know of the equipment: ranges, safe positions, and whose business an output is.

Heat, stirring and gas belong to the batch, not to a phase (docs/decisions/0011): an output that is
of the environment, or that goes on over a restart, and a loop that drives one, need not be ended by
the phase that began it. All other outputs must.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from controller.profile.compile import Profile
from controller.profile.unit import Block, UnitModel
from controller.recipe.check import bounds
from controller.recipe.check.bounds import ANY, Span
from controller.recipe.steps import Equipment

_FAR = 1e8  # the compiler gives computed signals bounds beyond this, which say nothing


@dataclass(frozen=True, slots=True)
class Plant:
    """`tags`: what a good signal can be; `setpoints` and `outputs`: what may be asked for.

    `safe`: the safe position of each output. `owned`: outputs a phase must end; `drives`: for each
    loop that is no loop of the environment, the outputs it drives. `every_drive`: the same for all
    loops. `guard`: the flag that stands while cells depend on the environment.
    """

    tags: Mapping[str, Span]
    setpoints: Mapping[str, Span]
    outputs: Mapping[str, Span]
    safe: Mapping[str, float]
    owned: frozenset[str]
    drives: Mapping[str, frozenset[str]]
    every_drive: Mapping[str, frozenset[str]]
    guard: str = ""


def plant_of(profile: Profile) -> Plant:
    """The plant of a checked unit."""
    model = profile.model
    lasting = {
        name for name, item in model.actuators.items()
        if item.environment or item.restart == "read_back"
    }  # fmt: skip
    drives = _drives(model)
    return Plant(
        tags=_tags(profile),
        setpoints={name: Span(*loop.setpoint) for name, loop in model.loops.items()},
        outputs={name: Span(*item.range) for name, item in model.actuators.items()},
        safe={name: item.safe for name, item in model.actuators.items()},
        owned=frozenset(set(model.actuators) - lasting),
        drives={loop: driven for loop, driven in drives.items() if not driven & lasting},
        every_drive=drives,
        guard=model.unit.guard,
    )


def bare(equipment: Equipment) -> Plant:
    """A plant of which only the names are known: every range is open, and whose business an output
    is cannot be said."""
    return Plant(
        tags=dict.fromkeys(equipment.tags, ANY),
        setpoints={name: Span() for name in equipment.loops},
        outputs={name: Span() for name in equipment.outputs},
        safe=dict.fromkeys(equipment.outputs, 0.0),
        owned=frozenset(),
        drives={},
        every_drive={name: frozenset() for name in equipment.loops},
    )


def _drives(model: UnitModel) -> dict[str, frozenset[str]]:
    """The outputs each loop drives, itself or through the loops it is master of."""
    found = {name: {part.actuator for part in loop.segments} for name, loop in model.loops.items()}
    for name, loop in reversed(model.loops.items()):
        if loop.master is not None:
            found[loop.master] |= found[name]
    return {name: frozenset(driven) for name, driven in found.items()}


def _tags(profile: Profile) -> dict[str, Span]:
    found = {
        tag.name: Span(tag.low, tag.high, True) if abs(tag.low) < _FAR else ANY
        for tag in profile.tags
    }
    for name, item in profile.model.actuators.items():
        found[name] = Span(*item.range)
    for name, block in profile.model.blocks.items():
        found[name] = _block(block, found)
    return found


def _block(block: Block, known: Mapping[str, Span]) -> Span:
    """What a computed signal can be, where that is simple to say."""
    if block.linear is not None:
        gain = Span(block.linear.gain, block.linear.gain)
        offset = Span(block.linear.offset, block.linear.offset)
        return bounds.add(bounds.multiply(known.get(block.linear.of, ANY), gain), offset)
    if block.otherwise is not None:
        first, second = (known.get(name, ANY) for name in block.otherwise)
        return first.joined(second)
    if block.difference is not None or block.absolute_difference is not None:
        pair = block.difference or block.absolute_difference or ("", "")
        found = bounds.subtract(known.get(pair[0], ANY), known.get(pair[1], ANY))
        return found if block.difference is not None else bounds.absolute(found)
    return ANY
