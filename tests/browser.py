"""A headless Chromium, for the pages that people look at; tests that need one are skipped where there is none.

What belongs here: starting it so that it stays on this machine. What does not: what a test looks for on a page.
"""

import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

_QUIET = (
    "--headless=new",
    "--no-sandbox",  # a container's root has no other way
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@contextmanager
def browser(profile: Path, theme: Literal["light", "dark"] = "light") -> Generator[Chrome, None, None]:
    """A window of 1500 × 1200 px whose system prefers `theme`; `profile` is an empty folder of its own."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if program is None or driver is None:
        pytest.skip("needs Chromium and its driver (Debian: apt-get install chromium chromium-driver)")
    options = Options()
    options.binary_location = program
    for argument in (*_QUIET, "--window-size=1500,1200", f"--user-data-dir={profile}"):
        options.add_argument(argument)
    chrome = Chrome(options=options, service=Service(driver))
    try:
        preference = {"name": "prefers-color-scheme", "value": theme}
        chrome.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [preference]})
        yield chrome
    finally:
        chrome.quit()
