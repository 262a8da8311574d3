"""Runs a command and prints, as its last line, the seconds and the megabytes that it took: `measured.py COMMAND …`.

It is a small process of its own: Linux hands the peak of a process on to those that it starts, so that what a large
process starts seems to be as large. The peak is that of the largest process of the command.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time

if __name__ == "__main__":
    started = time.perf_counter()
    code = subprocess.call(sys.argv[1:])
    seconds = time.perf_counter() - started
    print(seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)
    raise SystemExit(code)
