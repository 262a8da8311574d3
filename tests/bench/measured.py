"""Runs a command, `measured.py COMMAND …`, and prints as its last line what it took: seconds, megabytes, and seconds of
processor.

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
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(seconds, used.ru_maxrss / 1024, used.ru_utime + used.ru_stime)
    raise SystemExit(code)
