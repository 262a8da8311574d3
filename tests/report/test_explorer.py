"""pipelines/ecr_explore.py: a notebook in which somebody goes on asking, in Chromium."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.browser import chromium
from tests.postgres import free_port
from tests.warehouse import DuckDbFile

NOTEBOOK = Path(__file__).parents[2] / "pipelines" / "ecr_explore.py"
STARTED_WITHIN = 120


@pytest.fixture
def page(loaded_file: DuckDbFile, tmp_path: Path) -> Iterator[Page]:
    """The notebook in a browser, of what was loaded."""
    port = free_port()
    options = ["--headless", "--host", "127.0.0.1", "--port", str(port), "--no-token"]
    command = [sys.executable, "-m", "marimo", "--quiet", "run", str(NOTEBOOK), *options]
    env = {**os.environ, **loaded_file.settings, "MARIMO_SKIP_UPDATE_CHECK": "1", "XDG_CONFIG_HOME": str(tmp_path)}
    with subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as server:
        try:
            wait_for(port, server)
            with chromium() as browser:
                page = browser.new_page()
                page.set_default_timeout(60_000)
                page.goto(f"http://127.0.0.1:{port}/")
                yield page
        finally:
            server.kill()


def wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + STARTED_WITHIN
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            assert server.poll() is None, server.stderr and server.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.1)


@pytest.mark.nightly
def test_views_are_chosen_and_questions_asked_and_nothing_can_be_changed(page: Page) -> None:
    page.get_by_role("columnheader", name="answered_as_of").wait_for()  # of ecr_freshness, with which it opens
    page.get_by_label("View").select_option(
        label="ecr_tag_moves: When did a tag come to an image, and was it taken from another?"
    )
    page.get_by_role("columnheader", name="previous_image_digest").wait_for()
    question, ask = page.get_by_label("Question"), page.get_by_role("button", name="Ask")
    question.fill("SELECT 'asked ' || min(repository_name) AS first FROM repositories WHERE namespace = 'team-a';")
    ask.click()
    page.get_by_text("asked team-a/api").wait_for()
    question.fill("SELECT nothing FROM repositories")
    ask.click()
    page.get_by_text('Referenced column "nothing" not found').wait_for()
    assert page.get_by_text("asked team-a/api").count() == 0
