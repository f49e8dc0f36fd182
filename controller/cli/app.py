"""Every command of `cellwright`. Exit status: 0 done, 1 failed or refused, 2 bad input."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from controller.cli.alarms import alarms_app
from controller.cli.annunciator import annunciator_app
from controller.cli.firmware import firmware_app
from controller.cli.hearing import AnnunciatorCommand, CallOutCommand, Hearing
from controller.cli.history import history_app
from controller.cli.key import DeviceKey, key_app
from controller.cli.log import log_app
from controller.cli.matrix import matrix
from controller.cli.outside import Outside, Tsa, TsaRoots, Witnesses
from controller.cli.qualify import qualify_app
from controller.cli.recipe import recipe_app
from controller.cli.user import user_app
from controller.cli.witness import timestamp_check, witness_app
from controller.core.errors import CellwrightError
from controller.field.lock import SHM

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
    help="Runs closed-system cell-expansion equipment from recipes. NOT FOR HUMAN USE.",
)  # fmt: skip
sim_app = typer.Typer(no_args_is_help=True, help="The simulated equipment.")
app.add_typer(log_app, name="log")
app.add_typer(history_app, name="history")
app.add_typer(alarms_app, name="alarms")
app.add_typer(annunciator_app, name="annunciator")
app.add_typer(firmware_app, name="firmware")
app.add_typer(key_app, name="key")
app.add_typer(sim_app, name="sim")
app.add_typer(qualify_app, name="qualify")
app.add_typer(recipe_app, name="recipe")
app.add_typer(user_app, name="user")
app.add_typer(witness_app, name="witness")
log_app.command("timestamp-check")(timestamp_check)
app.command()(matrix)
Host = Annotated[str, typer.Option(help="Address of the screen")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="Its port, 0 = any")]
Http = Annotated[bool, typer.Option("--http", help="Without TLS, on a loopback address only")]
Demo = Annotated[bool, typer.Option("--demo", help="Demo accounts: anybody can log in")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def main() -> None:
    """Runs the command line; errors are said in words, with what to do."""
    try:
        # Without its standalone mode typer hands the exit status back instead of raising it.
        sys.exit(app(standalone_mode=False) or 0)
    except typer.Abort:
        sys.exit(130)
    except CellwrightError as error:
        Console(stderr=True).print(f"[bold]{escape(str(error))}[/bold]", soft_wrap=True)
        sys.exit(error.exit_code)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        # What is still to be printed must not be tried again at the exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.stderr.write("The disk is full: not everything was written.\n")
        sys.exit(1)
    except Exception as error:
        # typer's own usage errors carry their words and an exit code of 2.
        if hasattr(error, "format_message"):
            sys.stderr.write(f"{error.format_message()}\n")
            sys.exit(2)
        raise


@app.command()
def demo(
    seed: Annotated[int, typer.Option(min=0, max=10**6)] = 1,
    fidelity: Annotated[str, typer.Option(help="live, wire or signal")] = "signal",
    until: Annotated[str, typer.Option(help="60s, 30h, 7d; default: the whole batch")] = "",
    fault: Annotated[list[str] | None, typer.Option(help="NAME@TIME; may be repeated")] = None,
    out: Annotated[Path, typer.Option(help="Where the run goes")] = Path("build/demo"),
    unit: Annotated[str, typer.Option()] = "perfusion_2l",
    json: Json = False,
) -> None:
    """Runs a T-cell expansion on the simulated unit and proves its log."""
    from controller.cli.demo import run_demo

    raise typer.Exit(run_demo(seed, fidelity, until, fault or [], out, json, unit))


@app.command()
def check(
    files: list[Path],
    unit: Annotated[str, typer.Option(help="Unit for the recipes: its id or file")] = "",
    json: Json = False,
) -> None:
    """Checks units and recipes, and how long a recipe takes; nothing is started."""
    from controller.cli.check import check_files

    raise typer.Exit(check_files(files, unit, json))


@app.command()
def prove(unit: Annotated[str, typer.Argument(metavar="PROFILE")], json: Json = False) -> None:
    """Proves what a unit promises, over all readings, commands and timers; nothing is started."""
    from controller.cli.prove import prove_unit

    raise typer.Exit(prove_unit(unit, json))


@app.command()
def run(
    unit: Annotated[str, typer.Option()],
    recipe: Annotated[str, typer.Option()],
    links: Annotated[Path, typer.Option(help="YAML: where each link is")],
    state: Annotated[Path, typer.Option(help="State directory; its open batch is taken up")],
    script: Annotated[Path | None, typer.Option(help="Scripted operator")] = None,
    until: Annotated[str, typer.Option(help="Hold and end after this time")] = "",
    use: Annotated[str, typer.Option(help="engineering; GMP is refused")] = "engineering",
    shm: Annotated[Path, typer.Option(help="Where the memory region is made")] = SHM,
    fifo: Annotated[bool, typer.Option(help="Ask for the real-time class")] = True,
    watchdog: Annotated[Path | None, typer.Option(help="A watchdog device to feed")] = None,
    screen: Annotated[bool, typer.Option("--screen", help="People open batches there")] = False,
    host: Host = "127.0.0.1",
    port: Port = 8443,
    http: Http = False,
    demo: Demo = False,
    device_key: DeviceKey = "",
    witness: Witnesses = None,
    tsa: Tsa = "",
    tsa_roots: TsaRoots = None,
    annunciator: AnnunciatorCommand = "",
    call_out: CallOutCommand = "",
) -> None:
    """Runs a recipe on real or simulated links: field, supervisor, terminal view and screen."""
    from controller.cli.run import Asked, screen_at
    from controller.cli.run import run as run_

    at = screen_at(host, port, http) if screen else ""
    asked = Asked(unit, recipe, links, state, script, until, use, shm, fifo, watchdog, at, http,
                  demo, device_key, Outside.given(witness, tsa, tsa_roots),
                  Hearing(annunciator, call_out))  # fmt: skip
    raise typer.Exit(run_(asked))


@app.command()
def bench(
    name: Annotated[str, typer.Argument(help="kernel, jitter, reaction, rings, start, log")],
    json: Json = False,
    plot: Annotated[Path | None, typer.Option(help="Also draw a PNG")] = None,
    rounds: Annotated[int, typer.Option(help="Alternating rounds")] = 5,
    seconds: Annotated[float | None, typer.Option(help="Of each measurement in a round")] = None,
) -> None:
    """Measures the kernel, the loop's jitter, reaction, rings or start on this machine."""
    from controller.cli.bench import bench as bench_

    raise typer.Exit(bench_(name, json, plot, rounds, seconds))


@sim_app.command()
def serve(
    unit: Annotated[str, typer.Option()] = "perfusion_2l",
    seed: Annotated[int, typer.Option()] = 1,
    links: Annotated[Path, typer.Option(help="Written: where each link is")] = Path("links.yaml"),
    port: Annotated[int, typer.Option(help="OPC UA port, 0 = any")] = 0,
    plant: Annotated[Path | None, typer.Option(help="A plant's snapshot to go on from")] = None,
    board: Annotated[str, typer.Option(help="What plays the I/O board: native, qemu")] = "native",
) -> None:
    """Serves the device side of a unit on PTYs and OPC UA, at the pace of the wall clock."""
    import asyncio

    from hil_sim.devices.serve import serve as serve_

    asyncio.run(serve_(unit, seed, links, links.with_suffix(".sock"), port, plant, board))


@sim_app.command("run")
def sim_run(
    unit: Annotated[str, typer.Option()] = "perfusion_2l",
    recipe: Annotated[str, typer.Option()] = "car_t_perfusion",
    speed: Annotated[float, typer.Option(help="More than 1: virtual time, so much faster")] = 1.0,
    seed: Annotated[int, typer.Option(min=0, max=10**6)] = 1,
    out: Annotated[Path, typer.Option(help="State directories go here")] = Path("build/run"),
    host: Host = "127.0.0.1",
    port: Port = 8443,
    http: Http = False,
    demo: Demo = False,
    witness: Witnesses = None,
    tsa: Tsa = "",
    tsa_roots: TsaRoots = None,
) -> None:
    """A simulated unit, the station that runs it and the operator's screen, in one command."""
    from controller.cli.sim_run import SimAsked
    from controller.cli.sim_run import sim_run as sim_run_

    outside = Outside.given(witness, tsa, tsa_roots)
    asked = SimAsked(unit, recipe, speed, seed, out, host, port, http, demo, outside)
    raise typer.Exit(sim_run_(asked))
