"""Times all contenders on one endpoint in turn, and writes docs/performance.md: `python -m tests.bench`."""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from tests.ecr_server import ACCESS_KEY

ROOT = Path(__file__).parent.parent.parent
OTHERS = str(ROOT / ".venv-bench/bin/python")

CONTENDERS = {
    "ecr-source": ("ecr_source_run", sys.executable),
    "plain dlt": ("plain_dlt", sys.executable),
    "boto3 + pandas + DuckDB": ("pandas_duckdb", OTHERS),
    "AWS CLI + DuckDB": ("aws_cli", OTHERS),
    "the floor": ("floor", sys.executable),
}


@dataclass(frozen=True)
class Measurement:
    """One run: wall seconds of the whole process, those after its imports, and its peak of memory."""

    process: float
    after_imports: float
    megabytes: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repositories", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--output", type=Path, default=ROOT / "docs/performance.md")
    arguments = parser.parse_args()
    measured: dict[str, list[Measurement]] = {name: [] for name in CONTENDERS}
    with endpoint(arguments.repositories) as url:
        for round_ in range(1, arguments.rounds + 1):
            for name, (module, python) in CONTENDERS.items():
                measured[name].append(measure(module, python, url))
                print(f"round {round_} {name}: {measured[name][-1]}", flush=True)
    arguments.output.write_text(page(measured, arguments.repositories, arguments.rounds))
    print(f"wrote {arguments.output}")


@contextmanager
def endpoint(repositories: int) -> Iterator[str]:
    """The URL of the test server, in a process of its own."""
    command = [sys.executable, "-m", "tests.ecr_server", "--repositories", str(repositories)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield server.stdout.readline().strip()
        finally:
            server.terminate()


def measure(module: str, python: str, url: str) -> Measurement:
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": "secret",
            "DLT_DATA_DIR": f"{folder}/dlt",
            "RUNTIME__DLTHUB_TELEMETRY": "false",
        }
        command = [python, "-m", "tests.bench.timed", module, url, f"{folder}/bench.duckdb"]
        started = time.perf_counter()
        with subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as process:
            assert process.stdout is not None
            output = process.stdout.read()
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - started
        if process.returncode:
            raise SystemExit(f"{module} ended with {process.returncode}")
    return Measurement(seconds, float(output.splitlines()[-1]), usage.ru_maxrss / 1024)


def page(measured: dict[str, list[Measurement]], repositories: int, rounds: int) -> str:
    ours = measured["ecr-source"]
    lines = []
    for name, runs in measured.items():
        process, after = (
            statistics.median(values) for values in zip(*((r.process, r.after_imports) for r in runs), strict=True)
        )
        spread = f"{min(r.process for r in runs):.1f}–{max(r.process for r in runs):.1f}"
        times = statistics.median(r.process / o.process for r, o in zip(runs, ours, strict=True))
        times_after = statistics.median(r.after_imports / o.after_imports for r, o in zip(runs, ours, strict=True))
        memory = max(r.megabytes for r in runs)
        lines.append(
            f"| {name} | {process:.1f} ({spread}) | {times:.2f} | {after:.1f} | {times_after:.2f} | {memory:.0f} |"
        )
    versions = ", ".join(f"{name} {version(name)}" for name in ("dlt", "boto3", "pyarrow", "duckdb"))
    return TEMPLATE.format(
        repositories=repositories,
        rounds=rounds,
        rows="\n".join(lines),
        machine=f"{_processor()}, {os.cpu_count()} cores; {platform.system()}, Python {platform.python_version()}",
        versions=versions,
    )


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


TEMPLATE = """\
# Performance

`make bench` writes this page: {repositories:,} repositories, served by the test server over HTTP on the same machine,
into a new DuckDB file; medians of {rounds} runs, the contenders in turn. The other ways ask for pages as one types
them, by the API's default of 100; ecr-source asks for 1,000. *Whole process* is what one waits for (in brackets the
fastest and the slowest run); *after imports* leaves out the start of Python and its imports. *Times ecr-source* is the
median of the ratios within each round. *The floor* is the same bytes to Arrow to DuckDB, without dlt: no state, no
replacement, no ledger.

| | whole process, s | times ecr-source | after imports, s | times ecr-source | peak, MB |
|---|---|---|---|---|---|
{rows}

Measured on: {machine}; {versions}.

The peak is that of the largest process. The sources of the contenders are in `tests/bench/`.
"""

if __name__ == "__main__":
    main()
