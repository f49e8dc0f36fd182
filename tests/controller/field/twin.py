"""The kernel and the reference in lock step: the same beats, and every state compared.

`Compiled` runs the kernel as it runs in the field; `Interpreted` runs the same functions without
numba, on plain objects, in a process that was started with NUMBA_DISABLE_JIT=1.
"""

from __future__ import annotations

from operator import attrgetter
from typing import Any

from random_plans import Beat, Story, random_plan
from reference import Reference
from reference_plan import Model

from controller.field.image import Image, create, size
from controller.profile.plan import Plan
from hil_sim.bench.interpreted import Grid, as_objects

START = 1_000_000  # ns: no scan is at 0
RING_ROWS = 512  # what one scan puts into a ring is far less
# What the reference calls the fields of the image that hold its state.
NAMES = {
    "signals": {"forced_bad": "stuck"},
    "conditions": {"raw": "true", "state": "counts"},
    "causes": {
        "raw": "reached", "raw_ns": "true_since", "bad_ns": "blind_since", "active": "stands",
        "active_ns": "stood_ns", "bypass_until_ns": "bypass_until", "action_done": "asked",
        "action_ns": "tripped_ns",
    },
    "groups": {},
    "effects": {"confirm": "proof", "second_on": "second"},
    "outputs": {
        "mean_end_ns": "bucket_end_ns", "mean_head": "bucket_head", "mean_filled": "bucket_filled",
        "mean_sum": "bucket_sum", "mean_n": "bucket_n",
    },
}  # fmt: skip
OF_REFERENCE = {"conditions": "comparisons", "causes": "rows", "effects": "wishes"}


def fields(of: str) -> tuple[str, ...]:
    """The fields of one of the image's tables."""
    from controller.field import image

    kinds = {"signals": image.SIGNAL, "conditions": image.CONDITION, "causes": image.CAUSE,
             "groups": image.GROUP, "effects": image.EFFECT, "outputs": image.OUTPUT}  # fmt: skip
    return tuple(kinds[of].names or ())


GETTERS = {
    of: attrgetter(*(names.get(name, name) for name in fields(of))) for of, names in NAMES.items()
}


def as_told(unit: Reference) -> dict[str, list[tuple[Any, ...]]]:
    """The reference's state in the image's words."""
    return {
        of: [get(row) for row in getattr(unit, OF_REFERENCE.get(of, of))]
        for of, get in GETTERS.items()
    }


class Compiled:
    """The kernel on an image."""

    def __init__(
        self, plan: Plan, restarted: bool = False, buffer: bytearray | None = None
    ) -> None:
        from controller.field import kernel, views

        self.image = create(plan, START, 1, buffer)
        self._bound = views.Bound(plan, self.image)
        self._scan = kernel.scan_at
        kernel.initialise_at(self._bound.handles, START, restarted)

    def scan(self, beat: Beat) -> None:
        """One beat; what waits in the rings is only of this scan."""
        image = self.image
        for name in ("event_head", "event_tail", "history_head", "history_tail"):
            image.head[name] = 0
        for mode in beat.modes.items():
            image.loops["mode"][mode[0]] = mode[1]
        for output, value in beat.wants.items():
            image.outputs["wanted"][output] = value
        for link, *row in beat.samples:
            place = int(image.input_rings["head"][link])
            image.inputs[link, place % image.inputs.shape[1]] = tuple(row)
            image.input_rings["head"][link] = place + 1
        place = int(image.head["command_head"][0])
        for id_, verb, target, value in beat.commands:
            row = (id_, verb, target, 1 << 62, value)
            image.commands[place % len(image.commands)] = row
            place += 1
        image.head["command_head"] = place
        self._scan(self._bound.handles, beat.now_ns)

    def set_signal(self, index: int, value: float) -> None:
        """A signal that neither a sample nor the scan writes."""
        self.image.signals["value"][index] = value

    def state(self) -> dict[str, list[tuple[Any, ...]]]:
        """Every row of every table that causes, effects and the gate write."""
        return {of: getattr(self.image, of).tolist() for of in GETTERS}

    def told(self) -> list[tuple[Any, ...]]:
        """The events of the last scan."""
        found = self.image.events[: int(self.image.head["event_head"][0])].tolist()
        return [row[2:] for row in found]

    def history(self) -> list[tuple[Any, ...]]:
        """What the last scan released."""
        found = self.image.history[: int(self.image.head["history_head"][0])].tolist()
        return [row[1:] for row in found]

    def means(self, output: int, count: int) -> list[float]:
        """The newest `count` kept means of an output, the newest last."""
        head = int(self.image.outputs["mean_head"][output])
        line = self.image.means[output].tolist()
        return [line[(head - back) % len(line)] for back in range(count, 0, -1)]


class Interpreted:
    """The same functions without numba, on plain objects."""

    def __init__(self, plan: Plan, restarted: bool = False) -> None:
        from controller.field import kernel

        vars(kernel).update(plan_at=lambda handles: handles[0], image_at=lambda handles: handles[1])
        image = create(plan, START)
        rings = ("inputs", "events", "commands", "history")
        tables = {name: getattr(image, name) for name in Image._fields}
        for name in rings:
            tables[name] = tables[name][..., :RING_ROWS]
        for name in ("notes", "latency", "window_low", "window_high", "window_last"):
            tables[name] = tables[name][:1]
        self.image: Any = Image(**{name: as_objects(made) for name, made in tables.items()})
        self._tables: Any = (Plan(*(as_objects(made) for made in plan)), self.image)
        self._scan = kernel.scan_at
        kernel.initialise_at(self._tables, START, restarted)

    def scan(self, beat: Beat) -> None:
        """One beat; every ring starts anew."""
        image, head = self.image, self.image.head[0]
        head.event_head = head.event_tail = head.history_head = head.history_tail = 0
        head.command_head = head.command_tail = 0
        for ring in image.input_rings:
            ring.head = ring.tail = 0
        for loop, mode in beat.modes.items():
            image.loops[loop].mode = mode
        for output, value in beat.wants.items():
            image.outputs[output].wanted = value
        for link, *values in beat.samples:
            row = image.inputs[link, image.input_rings[link].head]
            row.point, row.quality, row.reason, row.sample_ns, row.value = values
            image.input_rings[link].head += 1
        for order in beat.commands:
            row = image.commands[head.command_head]
            row.id, row.verb, row.target, row.value = order
            row.valid_until_ns = 1 << 62
            head.command_head += 1
        self._scan(self._tables, beat.now_ns)

    def set_signal(self, index: int, value: float) -> None:
        """See Compiled."""
        self.image.signals[index].value = value

    def state(self) -> dict[str, list[tuple[Any, ...]]]:
        """See Compiled."""
        return {
            of: [tuple(getattr(row, name) for name in table.names) for row in table]
            for of in GETTERS if (table := getattr(self.image, of)) is not None
        }  # fmt: skip

    def told(self) -> list[tuple[Any, ...]]:
        """See Compiled."""
        found = self.image.events[: self.image.head[0].event_head]
        return [(row.kind, row.index, row.a, row.b) for row in found]

    def history(self) -> list[tuple[Any, ...]]:
        """See Compiled."""
        found = self.image.history[: self.image.head[0].history_head]
        return [(row.output, row.cause, row.value) for row in found]

    def means(self, output: int, count: int) -> list[float]:
        """See Compiled."""
        from controller.field.image import MEAN_BUCKETS

        grid: Grid = self.image.means
        head = self.image.outputs[output].mean_head
        return [grid[output, (head - back) % MEAN_BUCKETS] for back in range(count, 0, -1)]


def same(one: Any, other: Any) -> bool:
    """Equal, where not a number equals not a number."""
    return bool(one == other) or repr(plain(one)) == repr(plain(other))


def plain(value: Any) -> Any:
    """Numbers as floats, so that what is equal is written alike."""
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return float(value) + 0.0


def difference(unit: Reference, kernel: Any) -> str:
    """Where the two differ now, row and field; empty when they agree."""
    for name, wanted, found in (
        ("events", unit.told, kernel.told()), ("history", unit.history, kernel.history()),
    ):  # fmt: skip
        if not same(wanted, found):
            return f"{name}: reference {wanted}, kernel {found}"
    wanted, found = as_told(unit), kernel.state()
    if same(wanted, found):
        return ""
    for of, rows in wanted.items():
        for number, (one, other) in enumerate(zip(rows, found[of], strict=True)):
            for name, here, there in zip(fields(of), one, other, strict=True):
                if not same(here, there):
                    return f"{of}[{number}].{name}: reference {here}, kernel {there}"
    return "one has more rows than the other"


def told_alike(kind: Any, plan: Plan, model: Model, seed: int, scans: int, **how: Any) -> int:
    """Tells one story to both; the number of states in which they agreed, which is all of them.

    Raises AssertionError at the first that differs, with the seed and the beat.
    """
    restarted = seed % 4 == 3  # every fourth: a field that starts with a batch open
    unit = Reference(model, START, restarted)
    kernel = kind(plan, restarted, **how)
    story = Story(unit, seed)
    for count in range(scans):
        beat = story.beat()
        for loop, mode in beat.modes.items():
            kernel.set_signal(model.loops[loop].auto_signal, float(mode >= 2))
        unit.scan(beat.now_ns, beat.samples, beat.commands)
        kernel.scan(beat)
        found = difference(unit, kernel)
        if found:
            raise AssertionError(f"seed {seed}, scan {count}: {found}\n{beat}")
    for number, output in enumerate(unit.outputs):
        kept = output.buckets[-160:]
        if not same(kept, kernel.means(number, len(kept))):
            raise AssertionError(f"seed {seed}: means of output {number} differ")
    return scans


def campaign(kind: Any, seeds: range, stories: int, scans: int) -> int:
    """Random units of these seeds, some stories each; the number of states that agreed."""
    total = 0
    for seed in seeds:
        plan = random_plan(seed)
        model = Model(plan)
        how = {"buffer": bytearray(size(plan))} if kind is Compiled else {}
        for number in range(stories):
            total += told_alike(kind, plan, model, seed * stories + number, scans, **how)
    return total
