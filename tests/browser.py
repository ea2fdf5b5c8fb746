"""A real Chromium, driven over WebDriver by its own driver (Debian: chromium, chromium-driver); no client library.

It runs headless in a profile of its own; what it fetches and what it complains of is kept.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

NEEDS = ("chromium", "chromedriver")
ENTER = "\ue007"
_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage", "--hide-scrollbars",
)  # fmt: skip
_START_SECONDS = 60.0


def needed(*programs: str) -> None:
    """Skip the test where a program is not there; fail it where BABELSCALE_PAGE_TESTS says that it must be."""
    missing = [name for name in programs if shutil.which(name) is None]
    if missing and os.environ.get("BABELSCALE_PAGE_TESTS") == "required":
        pytest.fail(f"{', '.join(missing)} is not installed")
    if missing:
        pytest.skip(f"{', '.join(missing)} is not installed; make test-page installs it")


class Browser:
    """One window."""

    def __init__(self, address: str, profile: Path) -> None:
        self._at = address
        options = {"binary": shutil.which("chromium"), "args": [*_FLAGS, f"--user-data-dir={profile}"]}
        wanted = {"browserName": "chrome", "goog:chromeOptions": options}
        wanted["goog:loggingPrefs"] = {"browser": "ALL", "performance": "ALL"}
        made = self._send("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        self._at = f"{address}/session/{made['sessionId']}"

    def _send(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._at + path, data, {"Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.load(answer)["value"]

    def width(self, pixels: int) -> None:
        """As wide as this, whatever the least width of a window is."""
        size = {"width": pixels, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        self._send("POST", "/goog/cdp/execute", {"cmd": "Emulation.setDeviceMetricsOverride", "params": size})

    def open(self, page: Path) -> None:
        """Load a file and wait until all of it is there; what was kept of earlier pages is forgotten."""
        self.told(), self.fetched()
        self._send("POST", "/url", {"url": page.resolve().as_uri()})

    def run(self, script: str, *arguments: Any) -> Any:
        """What the body of a function returns in the page."""
        return self._send("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def press(self, selector: str, keys: str) -> None:
        """Keys on the first element of a selector, as a keyboard sends them."""
        found = self._send("POST", "/element", {"using": "css selector", "value": selector})
        self._send("POST", f"/element/{next(iter(found.values()))}/value", {"text": keys})

    def told(self) -> list[str]:
        """Lines of the console since the last look: errors, warnings, violations of the page's policy."""
        return [f"{row['level']}: {row['message']}" for row in self._send("POST", "/se/log", {"type": "browser"})]

    def fetched(self) -> list[str]:
        """Addresses asked for since the last look, data: left out."""
        rows = self._send("POST", "/se/log", {"type": "performance"})
        events = [json.loads(row["message"])["message"] for row in rows]
        urls = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
        return [url for url in urls if not url.startswith("data:")]

    def close(self) -> None:
        self._send("DELETE", "")


@contextlib.contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    """A browser for the block, ended with it."""
    needed(*NEEDS)
    command = ["chromedriver", "--port=0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as driver:
        try:
            window = Browser(f"http://127.0.0.1:{_port(driver)}", profile)
            try:
                yield window
            finally:
                window.close()
        finally:
            driver.terminate()


def _port(driver: subprocess.Popen[str]) -> int:
    """The port that the driver chose, as it says."""
    until = time.monotonic() + _START_SECONDS
    assert driver.stdout is not None
    for line in driver.stdout:
        if "started successfully on port" in line:
            return int(line.strip().rstrip(".").rsplit(" ", 1)[-1])
        if time.monotonic() > until:
            break
    raise AssertionError("the driver of the browser did not start")
