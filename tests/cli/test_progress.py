"""What a run shows of how far it is: on a terminal, and in a pipe."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from ecr_source.aws.scopes import Scope
from ecr_source.cli.progress import PlainProgress, TerminalProgress
from ecr_source.extract.reached import Reached, ScopeReached
from ecr_source.loading.shared_walk import SCOPES
from ecr_source.statuses import COMPLETE, DENIED
from tests.cli.terminal import read_to_end
from tests.conftest import ECR_SOURCE, environment
from tests.server.ecr_server import DENIED as REFUSAL
from tests.server.ecr_server import THROTTLED, EcrServer

EXTRACTING, LOADING = "Extract ecr", "Load ecr in 1795445654.9"

GROUPS = {
    "repositories": Reached(5, 5, status=COMPLETE),
    "images": Reached(1_000, 4_000, refused=7, granted=60, seconds_left=50),
    "findings": Reached(are_all_known=False, seconds_left=None),
}


SCOPE = Scope("123456789012", "eu-west-1")
IMAGES_ONLY = ScopeReached(SCOPE, {"images": GROUPS["images"]})


def scope(region: str = SCOPE.region) -> ScopeReached:
    return ScopeReached(Scope(SCOPE.registry_id, region), GROUPS)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def lines(console: Console) -> list[str]:
    assert isinstance(console.file, StringIO)
    return console.file.getvalue().splitlines()


@pytest.fixture
def pipe() -> Console:
    return Console(file=StringIO(), width=80)


def test_in_a_pipe_a_line_every_few_seconds_says_how_far_it_is(pipe: Console) -> None:
    clock = Clock()
    progress = PlainProgress(pipe, clock)
    with progress(EXTRACTING):
        progress.update(SCOPES, inc=0, total=3)
        for clock.now in (1, 4, 5, 6, 9):
            progress.going_on([IMAGES_ONLY])
        clock.now = 11
        progress.going_on([scope("us-east-1"), IMAGES_ONLY])
        progress.rows_read(SCOPE, "images", 12)
        progress.update(SCOPES, message="123456789012/eu-west-1", label="complete")
        clock.now = 15
        progress.going_on([scope()])
    assert lines(pipe) == [
        "reading 123456789012/eu-west-1: 1,000 of 4,000 calls, 60 a second, 7 refused, 50 s left",
        "reading 2 scopes: 2,005 of at least 8,005 calls, 120 a second, 14 refused",
        "read 1 of 3: 123456789012/eu-west-1 complete, 12 rows",
    ]


def test_in_a_pipe_it_says_which_tables_are_loaded(pipe: Console) -> None:
    clock = Clock()
    progress = PlainProgress(pipe, clock)
    with progress(EXTRACTING):
        progress.update(SCOPES, inc=0, total=1)
        for rows, table in enumerate(("registries", "repositories", "policies", "images", "image_tags")):
            progress.rows_read(SCOPE, table, rows)
    with progress(LOADING):
        progress.update("Jobs", 0, 8)
        clock.now = 5
        progress.update("Jobs", 1, inc_total=2)
    named = "loading image_tags, images, policies and 1 more table"
    assert lines(pipe) == [named, f"{named}: 1 of 10 jobs"]


def shown(height: int, scopes: list[ScopeReached]) -> list[str]:
    """The lines that a terminal of this height shows of these scopes."""
    console = Console(file=StringIO(), width=100, height=height, force_terminal=True, color_system=None)
    progress = TerminalProgress(console)
    with progress(EXTRACTING):
        progress.update(SCOPES, inc=0, total=len(scopes))
        progress.going_on(scopes)
    frames = re.split(r"\r?(?:\x1b\[\d*[AK])+|\x1b\[\?25[lh]", "\n".join(lines(console)))
    return max((frame.strip("\n").splitlines() for frame in reversed(frames)), key=len)


def test_a_terminal_shows_what_is_complete_what_is_under_way_and_what_could_not_be_read() -> None:
    groups = GROUPS | {"policies": Reached(3, 3, status=DENIED)}
    _, repositories, images, findings, policies = shown(24, [ScopeReached(SCOPE, groups)])
    assert re.fullmatch(r"✓ repositories +━+ 5/5 +0:00:00", repositories)
    assert re.fullmatch(r". images +━+[╸╺ ]? *━* 1000/4000 60 a second, 7 refused, 50 s left +0:00:00", images)
    assert re.fullmatch(r"[^✓] findings +━+ 0 +0:00:00", findings)
    assert re.fullmatch(r"✗ policies denied +━+ 3/3 +0:00:00", policies)


def test_a_terminal_counts_the_scopes_that_could_not_be_read() -> None:
    console = Console(file=StringIO(), width=100, height=24, force_terminal=True, color_system=None)
    progress = TerminalProgress(console)
    with progress(EXTRACTING):
        progress.update(SCOPES, inc=0, total=2)
        progress.going_on([scope(), scope("us-east-1")])
        for region, status in (("eu-west-1", COMPLETE), ("us-east-1", DENIED)):
            progress.update(SCOPES, message=f"123456789012/{region}", label=status)
        progress.going_on([])
    assert re.search(r"✓ scopes, 1 not read +━+ 2/2 ", "\n".join(lines(console)))


def test_many_scopes_have_a_line_each_and_never_more_than_fit_the_screen() -> None:
    regions = [f"eu-west-{number}" for number in range(8)]
    assert len(shown(40, [scope(region) for region in regions])) == 1 + 8 * len(GROUPS)
    of_scopes = shown(12, [scope(region) for region in regions])
    assert len(of_scopes) == 1 + 8
    assert "1005" in of_scopes[1]
    assert len(shown(6, [scope(region) for region in regions])) == 1 + 4


def test_a_run_on_a_terminal_shows_the_calls_to_come(server: EcrServer, database: Path) -> None:
    registry = server.registry("eu-west-1")
    for number in range(40):
        registry.put(f"team/{number}")
    server.registry("us-east-1").put("theirs")
    server.fail(REFUSAL, region="us-east-1")
    server.set_rate("GetLifecyclePolicy", 20, 5)
    server.fail(THROTTLED, times=2, operation="GetLifecyclePolicy")
    drawn = drawn_on_terminal(
        ["run", "--table", "repositories,images,policies", "--region", "eu-west-1", "--region", "us-east-1"],
        environment(server, database, {"TERM": "xterm"}),
    )
    assert "✓ 123456789012/eu-west-1 repositories" in drawn
    assert re.search(r"eu-west-1 images +\S+ +\d+/40 ", drawn)
    assert re.search(r"eu-west-1 policies +\S+ *\S* +\d+/8\d .*\b[1-9]\d* refused", drawn)
    assert "/?" not in drawn
    assert "loading repositories, repository_scanning_configurations" in drawn


def drawn_on_terminal(arguments: list[str], settings: dict[str, str]) -> str:
    """All that a run draws on a terminal of 24 lines of 120 characters."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 120, 0, 0))
    process = subprocess.Popen([ECR_SOURCE, *arguments], env=settings, stdout=subprocess.DEVNULL, stderr=theirs)
    os.close(theirs)
    drawn = read_to_end(ours).decode()
    assert process.wait(60) == 1
    return re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", drawn)
