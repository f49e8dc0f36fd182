"""What a terminal shows of a live run: the whole picture on a screen, or one line an event.

A face like any other: it reads the image and the supervisor, and asks at the desk. A value that is
not good is struck through and says why; a screen that cannot be written to stops nothing.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from controller.cli.run_keys import HELP, Keyboard, pressed, raw_keys
from controller.core.clock import NS_PER_MS, NS_PER_S, Stamp
from controller.core.events import Event
from controller.core.signal import Quality, Reading
from controller.live import LiveRun
from controller.profile.plan import CauseKind, Mode
from controller.recipe.prompts import PromptView
from controller.station import NOTICE, Station

SHOW_NS = 500 * NS_PER_MS
NEWS = 6
COLUMNS = 3
TOLD = frozenset({
    "batch.opened", "batch.state", "batch.closed", "control.result", "deviation.recorded",
    "step.started", "step.timeout", "prompt.opened",
    "prompt.answered", "prompt.refused", "prompt.repeat", "command.refused", "cause.active",
    "cause.cleared", "cause.reset", "cause.reset_refused", "effect.not_confirmed", "unit.hold",
    "unit.hold_released", "quality.changed", "loop.fallback", "loop.restored", "link.state",
    "link.verify", "field.started", "field.stopping", "field.restarted",
    "field.left", "run.ending", "ring.overflow", "clock.step", "scan.late", "log.failed",
    "disk.enough", "disk.low", "disk.critical", "simulation.hands",
    "log.rolled_back", "witness.lost", "witness.back", "timestamp.failed",
})  # fmt: skip


class LinesFace:
    """One line for each event a person should know, for pipes and files."""

    def __init__(self, run: LiveRun, console: Console) -> None:
        self._run, self._console, self._broken = run, console, False
        run.station.supervisor.listeners.append(self._listen)

    def turn(self, stamp: Stamp) -> None:
        """Nothing waits between events."""

    def _listen(self, event: Event) -> None:
        if event.name not in TOLD or self._broken:
            return
        if event.name == "quality.changed" and not self._run.batch_id:
            return  # every signal becomes good once while the devices are found
        seconds = (event.stamp.mono_ns - self._run.began_ns) / NS_PER_S
        line = f"{seconds:8.1f} s  {event.severity.value:<8} {event.words()}"
        try:
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)
        except OSError:
            self._broken = True


class ScreenFace:
    """The picture of the run and its keyboard, refreshed twice a second."""

    def __init__(self, run: LiveRun, live: Live, keyboard: Keyboard, keys: int) -> None:
        self._run, self._live, self._keyboard, self._keys = run, live, keyboard, keys
        self._news: deque[Text] = deque(maxlen=NEWS)
        self._shown_ns = 0
        self._broken = False
        run.station.supervisor.listeners.append(self._listen)

    def turn(self, stamp: Stamp) -> None:
        """Takes what was typed; draws when it is time or something was typed."""
        if self._broken:
            return
        try:
            typed = pressed(self._keys)
            if typed:
                self._keyboard.press(typed)
            if typed or stamp.mono_ns - self._shown_ns >= SHOW_NS:
                self._shown_ns = stamp.mono_ns
                self._live.update(self._picture(stamp), refresh=True)
        except OSError:
            self._broken = True

    def _picture(self, stamp: Stamp) -> RenderableType:
        seconds = (stamp.mono_ns - self._run.began_ns) / NS_PER_S
        typing = self._keyboard.line
        keys = Text(typing or HELP, style="bold reverse" if typing else "dim")
        return Group(  # a small screen cuts off what stands last
            keys, Text(self._keyboard.said, style="cyan"),
            picture(self._run.station, self._run.batch_id, seconds),
            *self._news,
        )  # fmt: skip

    def _listen(self, event: Event) -> None:
        if event.name in TOLD:
            at = event.stamp.rfc3339()[11:19]
            self._news.append(Text(f"{at} {event.words()}", style="dim", overflow="ellipsis"))


@contextmanager
def screen(run: LiveRun, console: Console, actor: str) -> Iterator[ScreenFace]:
    """The full view on a terminal, until the block is left."""
    with raw_keys() as keys, Live(console=console, auto_refresh=False, transient=False) as live:
        yield ScreenFace(run, live, Keyboard(run.station, actor), keys)


def picture(station: Station, batch_id: str, seconds: float) -> RenderableType:
    """The whole picture at this moment."""
    parts: list[RenderableType] = [_head(station, batch_id, seconds), *_prompts(station)]
    parts += [*_trips(station), *_alarms(station), _loops(station), _readings(station)]
    return Group(*parts, _beat(station))


def _beat(station: Station) -> Text:
    """What became of the scans, and what the machine granted the loop."""
    beat = station.board.image.beat[0]
    granted = f"FIFO {int(beat['priority'])}" if beat["policy"] else "no real-time class"
    text = (
        f"field {station.board.generation}  scan {int(beat['scans']):,}  late {int(beat['late'])}  "
        f"long {int(beat['long'])}  missed {int(beat['missed'])}  latest wake "
        f"{int(beat['worst_late_ns']) / NS_PER_MS:.2f} ms  longest scan "
        f"{int(beat['worst_scan_ns']) / NS_PER_MS:.2f} ms  {granted}"
    )
    return Text(text, style="yellow" if beat["missed"] or not beat["policy"] else "dim")


def reading_text(reading: Reading) -> Text:
    """A value as people must see it: bad is struck through, with the reason."""
    number = f"{reading.value:.4g}" if math.isfinite(reading.value) else "---"
    if reading.quality is Quality.GOOD:
        return Text(number)
    style = "strike red" if reading.quality is Quality.BAD else "yellow"
    return Text.assemble((number, style), (f" {reading.reason.words}", style.split()[-1]))


def _head(station: Station, batch_id: str, seconds: float) -> Text:
    supervisor = station.supervisor
    colour = {"Running": "green", "Held": "yellow", "Holding": "yellow"}
    state = supervisor.procedure_state
    text = Text.assemble(
        (f"{station.profile.id}  {batch_id or 'looking for the devices'}  ", "bold"),
        (state, colour.get(state, "bold")), f"  {seconds:,.0f} s  ", (NOTICE, "bold red"),
    )  # fmt: skip
    if supervisor.failed:
        text.append(f"\nTHE LOG CANNOT BE WRITTEN: {supervisor.failed}", "bold red")
    if supervisor.engine is not None:
        for place in supervisor.engine.positions(supervisor.state):
            text.append(f"\n{place.title} ({place.state}): {place.text}")
    return text


def _loops(station: Station) -> Table:
    table = Table("loop", "", "process value", "setpoint", "mode", "output", box=None)
    model, image, plan = station.profile.model, station.board.image, station.profile.plan
    for index, name in enumerate(station.profile.loops):
        loop, state = model.loops[name], image.loops[index]
        unit = station.profile.tags[int(plan.loops[index]["pv"])].unit
        value = reading_text(station.board.read(loop.pv))
        table.add_row(
            name, loop.title, value + Text(f" {unit}", "dim"), f"{float(state['sp']):.4g}",
            Mode(int(state["mode"])).name.lower(), f"{float(state['op']):.1f}",
        )  # fmt: skip
    return table


def _readings(station: Station) -> Table:
    """Every measured signal but the two-valued ones; those only while they are not good."""
    grid = Table.grid(padding=(0, 3))
    cells: list[Text] = []
    for tag in station.profile.tags:
        if tag.name not in station.profile.model.tags:
            continue
        reading = station.board.read(tag.name)
        if tag.unit != "1" or not reading.good:
            unit = "" if tag.unit == "1" else f" {tag.unit}"
            name = (f"{tag.name} ", "dim")
            cells.append(Text.assemble(name, reading_text(reading), (unit, "dim")))
    rows = -(-len(cells) // COLUMNS)
    for row in range(rows):
        grid.add_row(*cells[row::rows])
    return grid


def _trips(station: Station) -> list[Text]:
    """Interlocks that act and latched rows, the first out first."""
    causes, kinds = station.board.image.causes, station.profile.plan.causes["kind"]
    shown = [
        index for index in range(len(causes))
        if kinds[index] >= CauseKind.INTERLOCK
        and (causes["active"][index] or causes["latched"][index])
    ]  # fmt: skip
    shown.sort(key=lambda index: int(causes["order"][index]))
    lines = []
    for place, index in enumerate(shown):
        info = station.profile.causes[index]
        marks = [
            word for word, on in (
                ("first out", place == 0), ("stands", causes["active"][index]),
                ("latched", causes["latched"][index]),
            ) if on
        ]  # fmt: skip
        lines.append(Text(f"row {info.row}: {info.title} ({', '.join(marks)})", "red"))
    return lines


def _alarms(station: Station) -> list[Text]:
    return [
        Text(f"{alarm.priority} {alarm.state} {alarm.name}: {alarm.text}",
             "bold red" if "UNACK" in alarm.state else "yellow", overflow="ellipsis")
        for alarm in station.supervisor.alarms.active()[:8]
    ]  # fmt: skip


def _prompts(station: Station) -> list[Text]:
    supervisor = station.supervisor
    if supervisor.engine is None:
        return []
    batch = supervisor.orders.standing.batch_id
    return [
        Text(f"? {prompt.text}{_beside(prompt, batch)}", "bold cyan")
        for prompt in supervisor.engine.prompts(supervisor.state)
    ]


def _beside(prompt: PromptView, batch: str) -> str:
    """What a person must know to answer: how many, which code, which sample, what was refused."""
    parts = (
        "two people" if prompt.people > 1 else "",
        f"the code is {prompt.expect}" if prompt.expect else "",
        f"sample {batch}/{prompt.sample}" if prompt.sample else "",
        f"measure again: {prompt.again}" if prompt.again else "",
    )
    said = "; ".join(part for part in parts if part)
    return f" ({said})" if said else ""
