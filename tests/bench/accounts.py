"""What many scopes cost: accounts and regions under one bound on calls under way."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from tests.bench.page import Column, Row, Section
from tests.bench.process import ECR_SOURCE, endpoint, environment, measure

ACCOUNTS = 16
REGIONS = ("eu-west-1", "eu-central-1", "us-east-1", "us-west-2")
REPOSITORIES = 200
LATENCY = 0.03
IN_FLIGHT = (8, 16, 32)
ROLE = "arn:aws:iam::{account}:role/reader"

READING = """
    SELECT sum(calls)::BIGINT, epoch(max(finished_at) - min(started_at)), count(DISTINCT (registry_id, region))
    FROM aws_ecr.extraction_scopes
"""


@dataclass(frozen=True)
class Reading:
    """One run: calls, seconds from the first to the last of them, scopes, and the peak of its memory."""

    calls: int
    seconds: float
    scopes: int
    megabytes: float

    def share_of(self, in_flight: int) -> float:
        """How much of what `in_flight` calls at a time could do."""
        return self.calls * LATENCY / in_flight / self.seconds


def read(url: str, in_flight: int, regions: Sequence[str]) -> Reading:
    """Reads these regions of all accounts of the endpoint into a new database."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        database = folder / "bench.duckdb"
        options = ["--organization", "--role-arn", ROLE, "--table", "policies", "--max-in-flight", str(in_flight)]
        options += [f"--region={region}" for region in regions]
        command = [str(ECR_SOURCE), "run", "--endpoint-url", url, "--database", str(database), *options]
        measured = measure(command, environment(folder), folder)
        with duckdb.connect(database, read_only=True) as connection:
            found = connection.execute(READING).fetchone()
    assert found is not None
    calls, seconds, scopes = found
    reading = Reading(calls, seconds, scopes, measured.megabytes)
    print(reading, flush=True)
    return reading


def _rows(rounds: int) -> list[Row]:
    return [_row(in_flight, rounds) for in_flight in IN_FLIGHT]


def _row(in_flight: int, rounds: int) -> Row:
    size = ("--repositories", REPOSITORIES, "--images", 1, "--latency", LATENCY)
    with (
        endpoint("--accounts", ACCOUNTS, "--regions", ",".join(REGIONS), *size) as all_accounts,
        endpoint("--accounts", 1, "--regions", REGIONS[0], *size) as one_account,
    ):
        runs = [
            (read(all_accounts, in_flight, REGIONS), read(one_account, in_flight, REGIONS[:1])) for _ in range(rounds)
        ]
    first, _ = runs[0]
    seconds = statistics.median(many.seconds for many, _ in runs)
    share = statistics.median(many.share_of(in_flight) for many, _ in runs)
    peak = max(many.megabytes for many, _ in runs)
    of_one = statistics.median(many.megabytes / one.megabytes for many, one in runs)
    return [in_flight, first.scopes, first.calls, seconds, share, peak, of_one]


SECTIONS = {
    "accounts": Section(
        "Many scopes",
        f"`--organization --table policies` over {ACCOUNTS} accounts in {len(REGIONS)} regions, {REPOSITORIES}"
        f" repositories in each, from an endpoint that takes {LATENCY * 1000:.0f} ms for each call; rounds: {{rounds}}."
        " The ideal is `--max-in-flight` calls in each of these times; the last column compares the memory with that of"
        " reading one scope with the same bound. Aimed at: 80 % of the ideal, 1.5 times the memory.",
        (
            Column("in flight"),
            Column("scopes"),
            Column("calls", "{:,}"),
            Column("seconds of reading", "{:.1f}"),
            Column("of the ideal", "{:.0%}"),
            Column("peak, MB", "{:.0f}"),
            Column("times the peak of one scope", "{:.2f}"),
        ),
        3,
        _rows,
    ),
}
