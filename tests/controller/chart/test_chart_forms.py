"""The chart as a table, a page and in a terminal: the same cells in each, and nothing fetched."""

from __future__ import annotations

import io
import shutil
import sys
from unittest import mock

import pytest
from chart_bench import FMEA, UNIT, chart
from playwright.sync_api import sync_playwright
from rich.console import Console

from controller.chart import page, table, terminal
from controller.chart.build import build
from controller.cli.app import main
from controller.core.errors import BadInput
from controller.units import load_unit


def cellwright(*words: str) -> int:
    with (
        mock.patch.object(sys, "argv", ["cellwright", *words]),
        pytest.raises(SystemExit) as ended,
    ):
        main()
    return int(ended.value.code or 0)


def test_a_table_read_again_is_the_chart():
    read = table.read(table.write(chart()))
    assert read.cells == {
        (line.id, column.name): (cell.text, cell.tests) for line, column, cell in chart().cells()
    }
    assert list(read.lines) == [line.id for line in chart().lines]
    for line in chart().lines:
        assert list(read.lines[line.id].values()) == table.head(line)
    for column in chart().columns:
        about = {title: read.about[title, column.name] for title, _ in table.ABOUT}
        assert about == table.about(column)


def test_a_cell_without_a_test_says_so_in_every_form():
    bare = build(load_unit(UNIT)[0])
    assert {tests for _, tests in table.read(table.write(bare)).cells.values()} == {()}
    assert table.write(bare).count(table.UNCOVERED) == len(bare.uncovered()) > 100
    html = page.page(bare)
    assert html.count('class="cell P none"') > 20
    assert "executed by no test</b>" in html
    assert "P 0!" in printed(bare)


def test_what_is_no_chart_is_refused():
    with pytest.raises(BadInput, match="no chart"):
        table.read("a,b\r\n1,2\r\n")
    text = table.write(chart())
    with pytest.raises(BadInput, match="cells, not"):
        table.read(text + "odd,row\r\n")


def printed(made) -> str:
    out = io.StringIO()
    terminal.show(made, Console(width=terminal.WIDTH, file=out))
    return out.getvalue()


def test_the_terminal_shows_every_row_and_every_cell_within_200_columns():
    text = printed(chart())
    assert max(map(len, text.splitlines())) <= 200
    for line in chart().lines:
        assert text.count(line.id) >= 2
    assert text.count("P 0") == sum(cell.text == "P 0" for _, _, cell in chart().cells())
    for words in ("TT101 > 38.5 degC (back 0.3 K, bad leaves the vote)", "FM-T1 S5", "H 10min",
                  "I <=30", "Q bad"):  # fmt: skip
        assert words in text


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """The page in a browser, with what it said and asked for."""
    file = tmp_path_factory.mktemp("chart") / "chart.html"
    file.write_text(page.page(chart()))
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    assert path, "chromium is missing: make setup-test installs it"
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        shown = browser.new_page(viewport={"width": 1680, "height": 1180})
        said: list[str] = []
        asked: list[str] = []
        shown.on("console", lambda message: said.append(message.text))
        shown.on("pageerror", lambda error: said.append(str(error)))
        shown.on("request", lambda request: asked.append(request.url))
        shown.goto(file.as_uri())
        yield shown, said, asked
        browser.close()


def test_the_page_opens_without_an_error_and_fetches_nothing(opened):
    shown, said, asked = opened
    assert said == []
    assert [url for url in asked if not url.startswith("data:")] == [shown.url]


def test_the_page_has_every_cell_with_its_tests(opened):
    shown, _, _ = opened
    cells = shown.locator("td.cell")
    assert cells.count() == sum(1 for _ in chart().cells())
    found = shown.evaluate("() => [...document.querySelectorAll('td.cell')].map((e) => e.title)")
    assert found == [", ".join(cell.tests) for _, _, cell in chart().cells()]
    assert shown.locator("td.cell.none").count() == 0


def test_heads_of_rows_and_columns_stay_in_sight(opened):
    shown, _, _ = opened
    sheet = shown.locator(".sheet")
    sheet.evaluate("(e) => { e.scrollTop = 900; e.scrollLeft = 400; }")
    top, box = shown.locator(".chart thead").bounding_box(), sheet.bounding_box()
    assert abs(top["y"] - box["y"]) < 3
    row = shown.locator("#row-\\31 0 th.id").bounding_box()
    assert abs(row["x"] - box["x"]) < 3


def test_the_page_prints_on_a3_landscape_with_the_head_on_every_sheet(opened, tmp_path):
    import pypdfium2

    shown, _, _ = opened
    shown.pdf(path=tmp_path / "chart.pdf", prefer_css_page_size=True, print_background=True)
    with pypdfium2.PdfDocument(tmp_path / "chart.pdf") as printed_:
        width, height = printed_[0].get_size()
        assert (round(width / 72 * 25.4), round(height / 72 * 25.4)) == (420, 297)
        assert len(printed_) <= 8
        second = printed_[1].get_textpage().get_text_bounded()
        assert "perfusate" in second
        assert "Risk, severity" in second


def test_the_command_writes_page_and_table_and_checks_them(tmp_path, capsys):
    html, csv = tmp_path / "chart.html", tmp_path / "chart.csv"
    assert cellwright("matrix", "perfusion_2l", "--html", str(html), "--csv", str(csv)) == 0
    assert html.read_text() == page.page(chart())
    assert csv.read_bytes() == table.write(chart()).encode()
    assert cellwright("matrix", str(UNIT), "--check") == 0
    assert "0 without a test, 0 findings" in capsys.readouterr().out
    assert cellwright("matrix", "perfusion_2l") == 0
    assert "heater" in capsys.readouterr().out


def test_a_check_fails_for_a_cell_without_a_test_and_for_a_risk_nobody_controls(tmp_path, capsys):
    unit, fmea = tmp_path / "perfusion_2l.yaml", tmp_path / "fmea.yaml"
    unit.write_text(UNIT.read_text().replace("then: [heater <= 30]", "then: [heater <= 40]"))
    fmea.write_text(FMEA.read_text().replace('rows: ["2"]', 'rows: ["1", "2"]'))
    assert cellwright("matrix", str(unit), "--check", "--fmea", str(fmea)) == 1
    out = capsys.readouterr().out
    assert "row 3, heater: executed by no test" in out
    assert "row 1 controls FM-T2" in out
    assert cellwright("matrix", "perfusion_2l", "--fmea", str(tmp_path / "none.yaml")) == 2
    assert "no such analysis" in capsys.readouterr().err
    assert cellwright("matrix", "perfusion_3l") == 2


def test_a_unit_nobody_has_written_requirements_or_risks_for_has_a_chart_and_fails_the_check(
    tmp_path, capsys
):
    unit = tmp_path / "other.yaml"
    unit.write_text(UNIT.read_text().replace("  id: perfusion_2l\n", "  id: other\n", 1))
    assert cellwright("matrix", str(unit), "--csv", str(tmp_path / "other.csv")) == 0
    assert table.UNCOVERED in (tmp_path / "other.csv").read_text()
    assert cellwright("matrix", str(unit), "--check") == 1
    assert "other has no risk analysis" in capsys.readouterr().out


def test_a_place_that_cannot_be_written_is_said(tmp_path, capsys):
    assert cellwright("matrix", "perfusion_2l", "--html", str(tmp_path / "no" / "chart.html")) == 2
    assert "cannot write the file: No such file" in capsys.readouterr().err
