"""`cellwright log ...`: reads, proves and hands over logs. Exit status 3: the log is not whole."""

from __future__ import annotations

import json as json_
import sys
from pathlib import Path
from typing import Annotated

import typer

from controller.core.errors import BadInput

log_app = typer.Typer(no_args_is_help=True, help="Reads and proves batch logs.")
PROBLEMS_SHOWN = 20  # the first says most; a byte that is wrong makes a hundred
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Log = Annotated[Path, typer.Argument(help="A log directory, or a batch's")]


@log_app.command()
def verify(
    directory: Path,
    deep: Annotated[bool, typer.Option(help="Also every signature and every meaning")] = False,
    device: Annotated[str, typer.Option(help="The device's key that is trusted, or its file")] = "",
    json: Json = False,
) -> None:
    """Proves that a log is whole: frames, tree, signatures, chunks, blobs, nothing else."""
    from controller.cli.log_files import trusted
    from controller.record.sources import to_verify
    from controller.record.state import must_be_sealed
    from controller.record.verify import verify as verify_

    directory, key = to_verify(directory), str(trusted(device) or "")
    report = verify_(directory, expect_sealed=must_be_sealed(directory), deep=deep, device=key)
    if report.kind == "batch" and not report.sealed and directory.resolve().name == "station":
        # Only a station's log may stay open for ever; a batch's log does not by such a name.
        report = verify_(directory, expect_sealed=True, deep=deep, device=key)
    if json:
        problems = [{"where": p.where, "what": p.what} for p in report.problems]
        sys.stdout.write(json_.dumps({
            "ok": report.ok, "records": report.records, "root": report.root,
            "sealed": report.sealed, "kind": report.kind, "origin": report.origin,
            "device": report.device, "problems": problems,
        }) + "\n")  # fmt: skip
    else:
        for problem in report.problems[:PROBLEMS_SHOWN]:
            sys.stdout.write(f"{problem.where}: {problem.what}\n")
        left = len(report.problems) - PROBLEMS_SHOWN
        if left > 0:
            sys.stdout.write(f"... and {left} more problems; --json gives them all\n")
        state = "sealed" if report.sealed else "open"
        verdict = "whole" if report.ok else "NOT whole"
        sys.stdout.write(
            f"{verdict}: {report.kind} log {report.origin}, {report.records} records, {state}, "
            f"root {report.root}\nkey certified by {report.device}\n"
        )
    raise typer.Exit(0 if report.ok else 3)


@log_app.command()
def show(
    log: Annotated[Path, typer.Argument(help="A log directory, a batch's, or a state directory")],
    who: Annotated[str, typer.Option(help="A person, with or without station; * for any")] = "",
    event: Annotated[str, typer.Option(help="A name, or a pattern like alarm.*")] = "",
    since: Annotated[str, typer.Option(help="2026-01-05, or 2026-01-05T08:30+01:00")] = "",
    until: Annotated[str, typer.Option(help="The same; a day means to its end")] = "",
    why: Annotated[str, typer.Option(help="Part of a reason or cause")] = "",
    tag: Annotated[str, typer.Option(help="A tag, output, loop, row or other word")] = "",
    batch: Annotated[str, typer.Option(help="A batch's id")] = "",
    seq: Annotated[str, typer.Option(help="Record numbers, A..B")] = "",
    changes: Annotated[bool, typer.Option("--changes", help="The audit trail of values")] = False,
    expand: Annotated[bool, typer.Option(help="Also every value packed in a chunk")] = False,
    indexed: Annotated[bool, typer.Option("--index/--no-index", help="Ask an index")] = True,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object a record")] = False,
) -> None:
    """Prints the records of a log that are asked for, oldest first."""
    from controller.record.query import Filter, moment, span

    asked = Filter(
        who, event, moment(since) if since else None, moment(until, end=True) if until else None,
        why, tag, batch, *(span(seq) if seq else ()),
    )  # fmt: skip
    if changes and expand:
        raise BadInput("--changes and --expand do not go together", do="Give one of them.")
    try:
        from controller.cli.log_show import print_rows

        print_rows(log, asked, changes=changes, expand=expand, indexed=indexed, json=json)
    except BrokenPipeError:
        sys.stderr.close()


@log_app.command("index")
def index_(log: Log) -> None:
    """Makes the index beside a log anew; `show` is faster with it and says the same."""
    from controller.record import index
    from controller.record.sources import source_of

    built = index.ensure(source_of(log), again=True)
    sys.stdout.write(f"{built.path}: {built.records} records, root {built.root}\n")


@log_app.command()
def prove(
    log: Log,
    record: Annotated[int, typer.Argument(min=0, help="The record's number")],
    out: Annotated[Path | None, typer.Option(help="FILE.tlog-proof; default: RECORD there")] = None,
) -> None:
    """Writes the proof that one record is in a log; it gives no other record away."""
    from controller.cli.log_files import keep
    from controller.record.prove import SUFFIX
    from controller.record.prove import prove as prove_
    from controller.record.sources import source_of

    target = out or Path(f"{record}{SUFFIX}")
    keep(target, prove_(source_of(log), record).render())
    sys.stdout.write(f"{target}: check it with `cellwright log check-proof`, or check_proof.py\n")


@log_app.command("check-proof")
def check_proof(
    file: Annotated[Path, typer.Argument(help="A .tlog-proof file")],
    vkey: Annotated[str, typer.Option(help="The log's verifier key, or a file with it")] = "",
    device: Annotated[str, typer.Option(help="The device's verifier key, or a file")] = "",
    json: Json = False,
) -> None:
    """Checks a proof of one record, with nothing but the key that is trusted."""
    from controller.cli.log_files import handed, trusted
    from controller.record.prove import PROOF_BYTES_MAX, check
    from controller.record.show import printable, said

    data = handed(file, PROOF_BYTES_MAX)
    found = check(data, log=trusted(vkey), device=trusted(device))
    if json:
        sys.stdout.write(json_.dumps({
            "ok": True, "index": found.index, "size": found.size, "root": found.root.hex(),
            "sealed": found.sealed, "origin": found.origin, "device": str(found.device),
            "others": list(found.others), "record": found.record,
        }) + "\n")  # fmt: skip
        return
    record = found.record
    sys.stdout.write(
        f"proved: record {found.index} of the log {found.origin}, which had {found.size} records "
        f"and the root {found.root.hex()}\nkey certified by {found.device}\n"
    )
    if found.others:
        sys.stdout.write(f"also signed, not checked here: {', '.join(found.others)}\n")
    line = f"{record['time']}  {record['event']}  {record['actor']}: {said(record)}"
    sys.stdout.write(f"{printable(line)}\n")


@log_app.command()
def consistency(
    log: Log,
    old: Annotated[Path, typer.Argument(help="A checkpoint of this log that somebody kept")],
    json: Json = False,
) -> None:
    """Proves that a log is the one an older checkpoint was given for, only longer."""
    from controller.cli.log_files import handed
    from controller.record.note import NOTE_BYTES_MAX
    from controller.record.prove import consistent
    from controller.record.sources import source_of

    note = handed(old, NOTE_BYTES_MAX)
    then, now, path = consistent(source_of(log).directory, note)
    if json:
        sys.stdout.write(json_.dumps({
            "ok": True, "old": then.size, "new": now.size, "root": now.root.hex(),
            "sealed": now.sealed, "proof": [part.hex() for part in path],
        }) + "\n")  # fmt: skip
        return
    sys.stdout.write(
        f"consistent: the {then.size} records of then begin the {now.size} of now, root "
        f"{now.root.hex()}, {len(path)} hashes\n"
    )


@log_app.command()
def export(
    log: Log,
    out: Annotated[Path, typer.Option(help="A new directory, or FILE.zip")],
    damaged: Annotated[bool, typer.Option("--damaged", help="Even if it does not verify")] = False,
) -> None:
    """Writes a copy with all that is needed to check it without us: verifier, format, report."""
    from controller.record.export import export as export_
    from controller.record.sources import source_of
    from controller.report.batch import of_export

    done = export_(source_of(log), out, damaged=damaged, report=of_export)
    state = "sealed" if done.sealed else "NOT sealed: up to its last checkpoint"
    sys.stdout.write(f"{done.path}: {done.records} records, {state}, root {done.root.hex()}\n")
    if done.without:
        sys.stdout.write(f"without a report: {done.without}\n")
    if done.problems:
        sys.stdout.write(f"it does NOT verify: {len(done.problems)} problems, see its README.txt\n")


@log_app.command()
def report(
    log: Log,
    out: Annotated[Path | None, typer.Option(help="Default: report.pdf beside the log")] = None,
) -> None:
    """Makes the batch report from the log alone, as PDF."""
    from controller.cli.log_files import keep
    from controller.record.sources import source_of
    from controller.report.batch import NAME, make

    source = source_of(log)
    target = out or source.beside(NAME)
    keep(target, make(source))
    sys.stdout.write(f"{target}\n")
