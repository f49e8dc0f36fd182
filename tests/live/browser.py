"""A real browser in front of a live station: what a person does with it and sees in it.

Every wait is on what is shown. Times of "visible within 2 s" come from stamps the page itself keeps
(`Seen`), so a busy test machine delays no measurement.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness import Live, wait_until
from playwright.sync_api import Browser, Page, expect, sync_playwright

ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
SHOTS = Path("build/screenshots")
PRESS_MS = 1_300
PASSWORDS = {"olivia": "", "sam": "", "quinn": "", "ada": ""}
WATCH = """([selector, words]) => new Promise((seen) => {
  const look = () => {
    const found = [...document.querySelectorAll(selector)].some(
      (e) => e.checkVisibility() && e.textContent.includes(words));
    if (found) seen(Date.now()); else setTimeout(look, 20);
  };
  look();
})"""


@contextmanager
def chromium() -> Iterator[Browser]:
    """The machine's chromium, without a window."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    assert path, "chromium is missing: make setup-test installs it"
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=path, args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


def address(live: Live) -> str:
    """Where the screen of a station is, as its state directory tells."""
    file = live.state / "screen.json"
    wait_until(file.exists, lambda: f"no screen\n{live.words()}", 60.0)
    return str(json.loads(file.read_text())["url"])


class Operator:
    """A person at one page."""

    def __init__(self, page: Page, url: str) -> None:
        self.page, self.url = page, url
        self.requests: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))

    def at(self, testid: str) -> Any:
        """What carries this mark."""
        return self.page.get_by_test_id(testid)

    def log_in(self, user: str, password: str) -> None:
        """Through the log-in page."""
        self.page.goto(self.url)
        self.at("login-user").fill(user)
        self.at("login-password").fill(password)
        self.at("login-go").click()
        expect(self.at("hold")).to_be_visible()
        expect(self.at("nav-unit")).to_be_visible(timeout=15_000)

    def go(self, page: str) -> None:
        """To one of the pages."""
        self.at(f"nav-{page}").click()

    def press_hold(self, ms: int = PRESS_MS) -> None:
        """Holds the button down for so long."""
        button = self.at("hold")
        box = button.bounding_box()
        assert box is not None
        self.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        self.page.mouse.down()
        self.page.wait_for_timeout(ms)
        self.page.mouse.up()

    def sees(self, words: str, timeout_s: float = 20.0) -> None:
        """Some visible element shows these words."""
        shown = self.page.get_by_text(words, exact=False).first
        expect(shown).to_be_visible(timeout=timeout_s * 1_000)

    def when_seen(self, words: str, selector: str = "body", timeout_s: float = 30.0) -> float:
        """The wall time, in s, at which the page first showed these words, by its own clock."""
        self.page.set_default_timeout(timeout_s * 1_000)
        return float(self.page.evaluate(WATCH, [selector, words])) / 1_000

    def shot(self, name: str) -> None:
        """A picture for people, under the test output."""
        SHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=str(SHOTS / f"{name}.png"))


def now_s() -> float:
    """The wall clock, which the page reads too."""
    return time.time()
