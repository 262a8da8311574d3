"""File systems of the tests' own, to be full or read-only."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[Path]:
    """A file system of its own at `folder`. Skips the test where it may not be mounted; in CI that is a failure."""
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True, text=True)
    if done.returncode and os.environ.get("CI"):
        pytest.fail(f"CI may mount file systems: {done.stderr}")
    if done.returncode:
        pytest.skip("needs root, to mount a small file system for a database to be on")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def remount(folder: Path, options: str) -> None:
    """Changes the file system at `folder`."""
    subprocess.run(["mount", "-o", f"remount,{options}", str(folder)], check=True)
