"""`cellwright demo`: a batch on the simulated unit, with a picture and a proved log at the end."""

from __future__ import annotations

import json as json_
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from controller.core.errors import BadInput, nearest

if TYPE_CHECKING:
    from hil_sim.rig.live import LiveOrder

MARKER = "cellwright-demo"
BATCH_S = 7.4 * 86_400


def run_demo(
    seed: int, fidelity: str, until: str, faults: list[str], out: Path, as_json: bool,
    unit: str = "perfusion_2l",
) -> int:  # fmt: skip
    """Runs, prints, returns the exit status: 0 only if the run ended well and its log verifies."""
    from hil_sim.rig.rig import FIDELITIES, FaultAt, duration_s

    if fidelity not in ("live", *FIDELITIES):
        known = ["live", *FIDELITIES]
        raise BadInput(f"unknown fidelity {fidelity!r}. {nearest(fidelity, known)}")
    until_s = duration_s(until) if until else None
    chosen = [FaultAt.parse(text) for text in faults]
    prepare(out)
    console = Console(stderr=True)
    if fidelity == "live":
        from hil_sim.rig.live import live_demo

        wall_s = 60.0 if until_s is None else until_s
        result = live_demo(out, seed, launch, wall_s, chosen, unit=unit)
    else:
        result = virtual_demo(seed, fidelity, until_s, chosen, out, console, unit)
    good = bool(result.pop("_good"))
    pictures = result.pop("_pictures", [])
    if as_json:
        sys.stdout.write(json_.dumps(result) + "\n")
    else:
        summarise(result, pictures, out)
    return 0 if good else 1


def launch(order: LiveOrder) -> int:
    """Runs a station as `cellwright run` does."""
    from controller.cli.run import Asked, run

    return run(Asked(
        order.unit, order.recipe, order.links, order.state, order.script, f"{order.until_s:g} s",
        shm=order.shm,
    ))  # fmt: skip


def prepare(out: Path) -> None:
    """Empties the folder of an earlier demo; any other folder that is not empty is refused."""
    if out.exists() and any(out.iterdir()):
        if not (out / MARKER).exists():
            raise BadInput(
                f"{out} is not empty and is no folder of a demo", do="Choose another --out."
            )
        shutil.rmtree(out)
    out.mkdir(parents=True, exist_ok=True)
    (out / MARKER).write_text("made by `cellwright demo`, emptied by the next one\n")


def virtual_demo(
    seed: int, fidelity: str, until_s: float | None, faults: list[Any], out: Path, console: Console,
    unit: str = "perfusion_2l",
) -> dict[str, Any]:  # fmt: skip
    """One run in virtual time."""
    from hil_sim.rig.result import result_of
    from hil_sim.rig.rig import Rig

    rig = Rig(out / "state", seed=seed, fidelity=fidelity, faults=faults, unit=unit)
    began = time.perf_counter()
    columns = (
        TextColumn("[bold]{task.description}"), BarColumn(), TextColumn("{task.fields[what]}"),
        TimeElapsedColumn(),
    )  # fmt: skip
    total = until_s or BATCH_S
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("day 0.0", total=total, what="")

        def progress(running: Rig) -> None:
            now_s = running.clock.now_ns / 1e9
            bar.update(
                task, completed=min(now_s, total), description=f"day {now_s / 86_400:4.1f}",
                what=f"{running.phase}  VCD {running.plant.truth()['vcd_e6_per_ml']:.2f}e6/mL",
            )  # fmt: skip

        rig.run(until_s, progress)
    wall_s = time.perf_counter() - began
    rig.finish()
    link = out / "log"
    link.symlink_to(rig.log_dir.relative_to(out), target_is_directory=True)
    result = result_of(rig, wall_s)
    picture = out / "trends.png"
    rig.trends.draw(picture, f"{rig.batch_id}: {rig.control.title} (simulated, {fidelity})")
    ended = rig.closed and result["state"] == "Complete" if until_s is None else True
    result["_good"] = bool(result["verified"] and ended)
    result["_pictures"] = [picture]
    return result


def summarise(result: dict[str, Any], pictures: list[Path], out: Path) -> None:
    """Prints the result for people."""
    console = Console()
    table = Table(title=f"Batch {result['batch_id']}: {result['state']}", title_justify="left")
    table.add_column("what")
    table.add_column("value", justify="right")
    for key in ("fidelity", "seed", "virtual_s", "wall_s", "speed", "scans", "log_records",
                "holds"):  # fmt: skip
        value = result[key]
        table.add_row(key, f"{value:,.1f}" if isinstance(value, float) else f"{value}")
    table.add_row("trips", ", ".join(result["trips"]) or "none")
    for key, value in {**result["final"], **result.get("in_band_pct", {})}.items():
        table.add_row(key, "-" if value is None else f"{value:g}")
    table.add_row("log", "whole" if result["verified"] else "NOT whole")
    console.print(table)
    for picture in pictures:
        console.print(f"picture: {picture}", highlight=False)
    console.print(f"log: {out / 'log'}", highlight=False)
    console.print(f"root: {result['log_root']}", highlight=False)
    console.print("NOT FOR HUMAN USE. Simulated equipment.", highlight=False)
