"""`cellwright qualify iq|oq run|review|report` and `matrix`: thin, parse, call, print."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path
from typing import Annotated

import typer

from controller.core.clock import RealClock

qualify_app = typer.Typer(no_args_is_help=True, help="Installation and operational qualification.")
Unit = Annotated[str, typer.Option(help="Id of the unit")]
Out = Annotated[Path, typer.Option(help="Where the record is; runs are added")]
By = Annotated[str, typer.Option(help="Who; default: the user of this machine")]
Required = Annotated[Path | None, typer.Option(help="Requirements; default: the unit's")]
OUT = Path("build/qualification")


def _stage(stage: str) -> typer.Typer:
    app = typer.Typer(no_args_is_help=True, help=f"{stage.upper()}: execute, review, report.")

    @app.command()
    def run(
        unit: Unit,
        select: Annotated[str, typer.Option(help="smoke, or ids with * and commas")] = "",
        out: Out = OUT,
        by: By = "",
        unit_file: Annotated[Path | None, typer.Option(help="The profile under test")] = None,
        requirements: Required = None,
        resume: Annotated[bool, typer.Option(help="Go on with an interrupted run")] = False,
        wire: Annotated[bool, typer.Option(help="All in virtual time, none live")] = False,
        board: Annotated[str, typer.Option(help="What plays the I/O board live: native, qemu")] = (
            "native"
        ),
    ) -> None:
        """Executes the cases and adds the run to the record. Exit status 1 unless all passed."""
        from hil_sim.qualification.runner import Order, execute

        order = Order(stage, unit, out, by or _user(), select, unit_file, requirements, resume,
                      wire, board)  # fmt: skip
        result = execute(order, RealClock(), _say)
        passed = sum(v == "pass" for v in result.verdicts.values())
        _say(f"{result.run}: {passed} of {len(result.verdicts) + len(result.not_run)} passed, "
             f"{len(result.not_run)} not run; record in {out / 'log'}")  # fmt: skip
        raise typer.Exit(0 if result.good else 1)

    @app.command()
    def review(
        unit: Unit,
        by: Annotated[str, typer.Option(help="Who reviews; never who executed")],
        reason: Annotated[str, typer.Option(help="What was looked at, and why this verdict")],
        reject: Annotated[bool, typer.Option(help="Record a rejection")] = False,
        out: Out = OUT,
        requirements: Required = None,
    ) -> None:
        """Records a review by another person than the executor."""
        from hil_sim.qualification import record
        from hil_sim.qualification.runner import all_cases, required

        ids = [case.id for case in all_cases(stage, required(unit, requirements))]
        verdict = record.REJECTED if reject else record.ACCEPTED
        run_ = record.review(out, RealClock(), stage, by, verdict, reason, ids)
        _say(f"{stage.upper()} up to {run_}: {verdict} by {by}")

    @app.command()
    def report(unit: Unit, out: Out = OUT, requirements: Required = None) -> None:
        """Renders the executed protocol as PDF, from its canonical JSON alone."""
        from hil_sim.qualification.report import write_report

        paths = write_report(out, stage, unit, requirements)
        _say("\n".join(map(str, paths)))

    return app


qualify_app.add_typer(_stage("iq"), name="iq")
qualify_app.add_typer(_stage("oq"), name="oq")


@qualify_app.command()
def matrix(unit: Unit, out: Out = OUT, requirements: Required = None) -> None:
    """Requirement, case, result. Exit status 1 when either side has an orphan."""
    from hil_sim.qualification.matrix import matrix as matrix_

    lines, orphans = matrix_(out, unit, requirements)
    _say("\n".join(lines))
    raise typer.Exit(1 if orphans else 0)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "console"


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
