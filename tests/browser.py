"""Chromium without a window, driven from tests."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, sync_playwright

_NAMES = ("chromium", "chromium-browser", "google-chrome")


@contextmanager
def chromium() -> Iterator[Browser]:
    """The Chromium that is installed; without one nothing is tested that needs it, but in CI."""
    program = next(filter(None, map(shutil.which, _NAMES)), None)
    if program is None and not os.environ.get("CI"):
        pytest.skip("no Chromium is installed: nobody has looked at the report")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])  # which root may not have
        yield browser
        browser.close()
