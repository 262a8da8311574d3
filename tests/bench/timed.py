"""Runs one contender in this process: `python -m tests.bench.timed floor URL DATABASE`; prints its seconds."""

from __future__ import annotations

import sys
import time
from importlib import import_module

if __name__ == "__main__":
    _, name, url, database = sys.argv
    main = import_module(f"tests.bench.{name}").main
    started = time.perf_counter()
    main(url, database)
    print(time.perf_counter() - started)
