"""Runs one contender in this process, `python -m tests.bench.timed floor images URL DATABASE`; prints its seconds."""

from __future__ import annotations

import sys
import time
from importlib import import_module

if __name__ == "__main__":
    _, module, function, url, database = sys.argv
    load = getattr(import_module(f"tests.bench.contenders.{module}"), function)
    started = time.perf_counter()
    load(url, database)
    print(time.perf_counter() - started)
