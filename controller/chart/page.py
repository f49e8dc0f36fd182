"""The chart as one HTML page that needs nothing else: to read, to print on A3, to hand over.

No script and no fetch, so what is printed is what is read. The same chart gives the same bytes.
"""

from __future__ import annotations

from html import escape
from itertools import groupby
from pathlib import Path
from typing import Final

from controller.chart.model import LEGEND, Cell, Chart, Column, Line
from controller.chart.table import UNCOVERED, condition

STYLE: Final = Path(__file__).with_name("page.css")
SECTIONS: Final = {
    "plausibility": "Plausibility of sensors and actuators, apart from what controls them",
    "permit": "Permits", "interlock": "Interlocks and protects", "protect": "",
    "procedure": "What a Hold or a phase asks",
}  # fmt: skip
NOTICE: Final = (
    "Basic process control interlocks, claimed risk reduction at most 10; not a safety-instrumented"
    " system. Hard-wired protection stays outside the controller. NOT FOR HUMAN USE."
)
HEAD: Final = 6  # columns in front of the effects
LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"


def page(chart: Chart) -> str:
    """The page."""
    title = f"Cause and effect, {chart.unit} version {chart.version}"
    return "\n".join([
        "<!doctype html>", '<html lang="en"><head><meta charset="utf-8">',
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
        "style-src 'unsafe-inline'; img-src data:\">",
        f'<title>{escape(title)}</title><link rel="icon" href="data:,">',
        f"<style>{STYLE.read_text(encoding='utf-8')}</style></head><body>",
        _heading(chart, title), _legend(chart), '<div class="sheet"><table class="chart">',
        _head(chart), *_body(chart), "</table></div>", _computed(chart), _risks(chart),
        _tests(chart), "</body></html>", "",
    ])  # fmt: skip


def _heading(chart: Chart, title: str) -> str:
    risks = escape(chart.risks) or "none given: no line names what it controls"
    facts = (
        ("Unit file", f"{Path(chart.file).name}, SHA-256 <code>{chart.sha256}</code>"),
        ("Plan that runs", f"SHA-256 <code>{chart.plan}</code>"), ("Risks", risks),
    )  # fmt: skip
    said = "".join(f"<dt>{name}</dt><dd>{text}</dd>" for name, text in facts)
    return (f"<header><h1>{escape(title)}</h1><p>{escape(chart.title)}</p><dl>{said}</dl>"
            f'<p class="notice">{escape(NOTICE)}</p></header>')  # fmt: skip


def _legend(chart: Chart) -> str:
    marks = "".join(f'<li><span class="mark {mark}">{mark}</span> {escape(text)}</li>'
                    for mark, text in LEGEND.items())  # fmt: skip
    open_ = len(chart.uncovered())
    cells = sum(1 for _ in chart.cells())
    covered = (
        f"{cells} cells, each executed by the tests named by its letters"
        if not open_
        else (f'{cells} cells, <b class="open">{open_} of them executed by no test</b>')
    )
    return (
        f'<ul class="legend">{marks}<li><span class="mark none">!</span> executed by no test'
        f"</li><li><b>*</b> never bypassed, valid in every phase</li><li>{covered}</li></ul>"
    )


def _head(chart: Chart) -> str:
    names = "".join(
        f'<th class="effect {column.kind}" scope="col"><span>{escape(column.name)}</span></th>'
        for column in chart.columns
    )
    front = "".join(f'<th rowspan="3" scope="col" class="{css}">{text}</th>' for css, text in (
        ("id", "Row"), ("cause", "Cause"), ("vote", "Vote, delays"),
        ("valid", "Valid, first-out group"), ("time", "Time used (at most half) of safety time"),
        ("risk", "Risk, severity"),
    ))  # fmt: skip
    rows = [f"<tr>{front}{names}</tr>"]
    for about in (_range, _second):
        cells = "".join(f'<th class="effect"><span>{about(column)}</span></th>'
                        for column in chart.columns)  # fmt: skip
        rows.append(f"<tr>{cells}</tr>")
    return f"<thead>{''.join(rows)}</thead>"


def _range(column: Column) -> str:
    if column.kind != "actuator":
        return ""
    return f"<i>{escape(column.unit)}</i><br>safe {escape(column.safe)}"


def _second(column: Column) -> str:
    if column.kind != "actuator":
        return ""
    second = f"2nd: {column.second}" if column.second else "no 2nd"
    return f"{escape(second)}<br>{escape(column.winner)} wins"


def _body(chart: Chart) -> list[str]:
    found = []
    width = HEAD + len(chart.columns)
    for kind, lines in groupby(chart.lines, key=lambda line: _section(line)):
        found.append(f'<tbody><tr class="section"><th colspan="{width}"><span>'
                     f"{escape(SECTIONS[kind])}</span></th></tr>")  # fmt: skip
        found += [_line(chart, line) for line in lines]
        found.append("</tbody>")
    return found


def _section(line: Line) -> str:
    return "interlock" if line.kind == "protect" else line.kind


def _line(chart: Chart, line: Line) -> str:
    letters = _letters(line)
    star = "*" if line.never_bypass else ""
    conditions = "".join(f"<li>{escape(condition(item))}</li>" for item in line.conditions)
    tests = ", ".join(f"<b>{letter}</b> {escape(test)}" for test, letter in letters.items())
    notes = [f"stop groups: {', '.join(line.stops)}" if line.stops else "", line.route]
    said = "".join(f'<p class="note">{escape(note)}</p>' for note in notes if note)
    delays = [line.vote, f"on {line.delay}" if line.delay else "",
              f"off {line.off_delay}" if line.off_delay else "",
              f"bad {line.bad_after}" if line.bad_after else ""]  # fmt: skip
    valid = [line.valid, *(f"no action in {flag}" for flag in line.unless),
             f"group {line.group}" if line.group else ""]  # fmt: skip
    times = [line.used_time, f"of {line.safety_time}"] if line.safety_time else []
    risks = "".join(
        f'<li title="{escape(risk.hazard)}">{escape(risk.id)} <b class="s{risk.severity}">'
        f"S{risk.severity}</b></li>" for risk in line.risks
    )  # fmt: skip
    cells = "".join(_cell(line.cells.get(column.name), letters) for column in chart.columns)
    return (
        f'<tr id="row-{escape(line.id)}" class="{line.kind}">'
        f'<th scope="row" class="id">{escape(line.id)}{star}'
        f"<small>line {escape(line.place.rpartition(':')[2])}</small></th>"
        f'<td class="cause"><b>{escape(line.title)}</b> <i>{line.kind}</i><ul>{conditions}</ul>'
        f'{said}<p class="tests">{tests or UNCOVERED}</p></td>'
        f'<td class="vote">{_lines(delays)}</td><td class="valid">{_lines(valid)}</td>'
        f'<td class="time">{_lines(times)}</td><td class="risk"><ul>{risks}</ul></td>{cells}</tr>'
    )


def _letters(line: Line) -> dict[str, str]:
    """Each test of a line under a letter of its own."""
    tests = sorted({test for cell in line.cells.values() for test in cell.tests})
    return {test: _letter(place) for place, test in enumerate(tests)}


def _letter(place: int) -> str:
    before, last = divmod(place, len(LETTERS))
    return (LETTERS[before - 1] if before else "") + LETTERS[last]


def _lines(parts: list[str]) -> str:
    return "<br>".join(escape(part) for part in parts if part)


def _cell(cell: Cell | None, letters: dict[str, str]) -> str:
    if cell is None:
        return "<td></td>"
    named = " ".join(sorted(letters[test] for test in cell.tests)) or "!"
    css = f"cell {cell.mark}{'' if cell.tests else ' none'}"
    tests = escape(", ".join(cell.tests) or UNCOVERED)
    text = "<br>".join(escape(word) for word in cell.words)
    mark = "" if cell.mark == "U" else f"{cell.mark} "
    return f'<td class="{css}" title="{tests}"><b>{mark}{text}</b><small>{named}</small></td>'


def _computed(chart: Chart) -> str:
    rows = "".join(f"<tr><th>{escape(name)}</th><td>{escape(words)}</td><td>{escape(unit)}</td>"
                   "</tr>" for name, unit, words in chart.computed)  # fmt: skip
    return (f'<section><h2>Computed signals</h2><table class="list">{rows}</table></section>'
            if rows else "")  # fmt: skip


def _risks(chart: Chart) -> str:
    rows: dict[str, list[str]] = {}
    known = {risk.id: risk for line in chart.lines for risk in line.risks}
    for line in chart.lines:
        for risk in line.risks:
            rows.setdefault(risk.id, []).append(line.id)
    if not known:
        return ""
    head = ("Risk", "Hazard", "Cause", "S", "O", "D", "SxOxD", "Controlled by rows")
    body = "".join(
        f"<tr><th>{escape(id_)}</th><td>{escape(risk.hazard)}</td><td>{escape(risk.cause)}</td>"
        f"<td>{risk.severity}</td><td>{risk.occurrence}</td><td>{risk.detection}</td>"
        f"<td>{risk.number}</td><td>{escape(', '.join(rows[id_]))}</td></tr>"
        for id_, risk in sorted(known.items())
    )
    names = "".join(f"<th>{name}</th>" for name in head)
    return (
        f"<section><h2>Risks: {escape(chart.risks)}</h2><p>S severity without any control, O "
        "occurrence of the cause, D detection by the rows named; 1 good, 5 bad.</p>"
        f'<table class="list"><thead><tr>{names}</tr></thead>{body}</table></section>'
    )


def _tests(chart: Chart) -> str:
    items = "".join(f"<li><code>{escape(test)}</code> {count} cells</li>"
                    for test, count in chart.tests().items())  # fmt: skip
    return (f'<section><h2>Tests</h2><ul class="tests">{items}</ul></section>'
            if items else "")  # fmt: skip
