"""What a command shows on a terminal."""

from __future__ import annotations

import os
import pty
import subprocess
from collections.abc import Mapping, Sequence


def shown_on_terminal(command: Sequence[str], environment: Mapping[str, str]) -> str:
    """All that it prints to its end, which is a good one."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(command, env=environment, stdout=theirs, stderr=theirs, stdin=subprocess.DEVNULL)
    os.close(theirs)
    shown = read_to_end(ours)
    assert process.wait(60) == 0
    return shown.decode()


def read_to_end(terminal: int) -> bytes:
    """What is written to the other side until that is closed; closes this one."""
    shown = b""
    try:
        while chunk := os.read(terminal, 65536):
            shown += chunk
    except OSError:  # the other side has closed
        pass
    os.close(terminal)
    return shown
