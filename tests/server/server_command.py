"""The test server as a command: `python -m tests.server.ecr_server`."""

from __future__ import annotations

import argparse
import threading
from collections.abc import Sequence

from tests.server.accounts import ACCOUNT
from tests.server.ecr_server import EcrServer, serving
from tests.server.regions import ALWAYS_ENABLED, regions_of

FIRST_ACCOUNT = 100_000_000_000
REGION = "eu-west-1"


def main() -> None:
    """Serves filled registries until it is stopped; the first line of output is the URL."""
    arguments = _arguments()
    with serving() as server:
        accounts = [str(FIRST_ACCOUNT + number) for number in range(arguments.accounts)]
        regions = _regions(arguments)
        for account in accounts or [ACCOUNT]:
            _fill(server, account, regions, arguments.repositories, arguments.images)
        for account in accounts:
            server.add_role(f"arn:aws:iam::{account}:role/reader")
            server.organization.add(account)
        server.answers = {}  # nothing changes here, so that an answer can be kept
        server.keep_requests = False
        server.delay = arguments.latency
        if arguments.rate:
            server.throttle = (arguments.rate, arguments.burst or max(arguments.rate, 1))
        print(server.url, flush=True)
        threading.Event().wait()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.server.ecr_server", description=main.__doc__)
    parser.add_argument("--repositories", type=int, required=True, help="repositories of each account and region")
    parser.add_argument("--images", type=int, default=0, help="images in each repository")
    parser.add_argument(
        "--accounts",
        type=int,
        default=0,
        metavar="N",
        help=f"accounts, {FIRST_ACCOUNT} and those that follow, each with a role to assume:"
        f" arn:aws:iam::ACCOUNT:role/reader; without it there is {ACCOUNT}",
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--regions", default=REGION, metavar="A,B", help="regions that have repositories")
    where.add_argument("--region-count", type=int, metavar="N", help="how many regions have repositories, instead")
    parser.add_argument("--latency", type=float, default=0.0, metavar="SECONDS", help="time that every answer takes")
    parser.add_argument("--rate", type=float, metavar="CALLS", help="calls a second of each operation in each region")
    parser.add_argument("--burst", type=float, metavar="CALLS", help="calls at once; by default those of a second")
    return parser.parse_args()


def _regions(arguments: argparse.Namespace) -> list[str]:
    if arguments.region_count is None:
        return [str(region) for region in arguments.regions.split(",")]
    return list(dict.fromkeys([*ALWAYS_ENABLED, *regions_of("aws")]))[: arguments.region_count]


def _fill(server: EcrServer, account: str, regions: Sequence[str], repositories: int, images: int) -> None:
    server.enabled_regions[account] = list(regions)
    for region in regions:
        registry = server.registry(region, account)
        if images:
            registry.fill_images(repositories, images)
        else:
            registry.fill(repositories)
