"""A pytest plugin for CI: nothing may be skipped, so a skip fails the run."""

from __future__ import annotations

import pytest


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> object:
    """Turns a skipped test into a failed one."""
    outcome = yield
    report = outcome.get_result()
    if report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, and CI skips nothing: {report.longrepr}"
    return None


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """A module skipped while it is collected fails too."""
    if report.skipped:
        report.outcome = "failed"
