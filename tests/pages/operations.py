"""Writes docs/operations.md anew: `python -m tests.pages.operations`. Prose, commands and queries stay; answers follow.

A comment `<!-- now: … -->` on the page names an event from `EVENTS`, which happens before the next block.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
from rich.console import Console

from ecr_source import catalog
from ecr_source.aws.iam_policies import least_policy
from ecr_source.printing import print_grid
from tests.server.ecr_server import ACCESS_KEY, DESCRIBE_REPOSITORIES, EcrServer, serving
from tests.server.registry import LIFECYCLE_POLICIES

PAGE = Path(__file__).parents[2] / "docs" / "operations.md"

HOME = "~"
"""What the page shows in the place of the temporary folder."""

PROD, DEV = "111111111111", "222222222222"
REGIONS = ("eu-west-1", "us-east-1")
ROLE = "arn:aws:iam::{account}:role/ecr-reader"
EXTERNAL_ID = "3f1c9a52"
LIFECYCLE_POLICY = json.dumps(LIFECYCLE_POLICIES["team-a/api"])

_PART = re.compile(
    r"(?P<comment><!-- now: (?P<event>[^\n]*) -->\n)"
    r"|(?P<console>```console\n)(?P<typed>.*?)```\n"
    r"|(?P<settings>```toml\n# (?P<name>\S+)\n(?P<toml>.*?)```\n)"
    r"|(?P<sql>```sql\n(?P<query>.*?)```\n\n```text\n)(?P<answer>.*?)```\n",
    re.DOTALL,
)
# It goes on after a backslash, and on lines that are indented.
_COMMAND = re.compile(r"^\$ (.*(?:(?<=\\)\n.*|\n  .*)*)\n", re.MULTILINE)
_PROGRESS = re.compile(r"^(endpoint: |read [\d,]+ of [\d,]+: |reading |loading).*\n", re.MULTILINE)


@dataclass
class Shell:
    """Where the commands of the page are typed: `home/ecr`, with the endpoint of a company's registries."""

    server: EcrServer
    home: Path
    background: ExitStack
    exit_code: int = 0

    @property
    def folder(self) -> Path:
        return self.home / "ecr"

    @property
    def environment(self) -> dict[str, str]:
        ours = {name: value for name, value in os.environ.items() if name.startswith(("PYTHON", "COVERAGE"))}
        return ours | {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(self.home),
            "DLT_DATA_DIR": str(self.home / ".dlt"),
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_EC2_METADATA_DISABLED": "true",
            "SOURCES__ECR__ENDPOINT_URL": self.server.url,
        }

    def output(self, command: str) -> str:
        """What the command prints, without progress; its exit code is what `$?` is for the next one."""
        done = subprocess.run(
            ["bash", "-c", f"(exit {self.exit_code}); {command}"],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
        )
        self.exit_code = done.returncode
        return _PROGRESS.sub("", done.stderr + done.stdout).replace(str(self.home), HOME)

    def answer(self, query: str) -> str:
        """The answer of the database, as a grid."""
        with duckdb.connect(self.folder / "ecr.duckdb", read_only=True) as connection:
            connection.execute("USE aws_ecr; SET TimeZone = 'UTC'")
            result = connection.execute(query)
            text = StringIO()
            print_grid(Console(file=text), [column[0] for column in result.description or ()], result.fetchall())
        return text.getvalue()

    def write_settings(self, name: str, toml: str) -> None:
        """Writes a file of settings into the folder."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(toml)


@contextmanager
def shell() -> Iterator[Shell]:
    """A shell in an empty folder, and registries of two accounts of an organization."""
    with TemporaryDirectory() as name, serving() as server, ExitStack() as background:
        _fill(server)
        opened = Shell(server, Path(name), background)
        opened.folder.mkdir()
        yield opened


def _fill(server: EcrServer) -> None:
    server.organization.add(PROD, ou="Workloads")
    server.organization.add(DEV, ou="Workloads")
    server.organization.add("333333333333", ou="Sandbox")
    for account in (PROD, DEV):
        server.add_role(ROLE.replace("{account}", account), external_id=EXTERNAL_ID)
        server.enabled_regions[account] = [*REGIONS]
        for region in REGIONS:
            _fill_registry(server, account, region)


def _fill_registry(server: EcrServer, account: str, region: str) -> None:
    registry = server.registry(region, account)
    for name in ("billing/api", "billing/web", "search/api", "search/index", "tools/lint", "tools/release"):
        registry.put(name)
        registry.put_image(name, tags=["1.0"])
        registry.lifecycle_policies[name] = LIFECYCLE_POLICY


# --- what happens between the blocks ----------------------------------------------------------------------------------


def _another_run_is_under_way(shell: Shell) -> None:
    """A run that gets no answer, until it is killed."""
    held, released = threading.Event(), threading.Event()

    def hold(operation: str, call: int) -> None:
        if operation == DESCRIBE_REPOSITORIES and not released.is_set():
            held.set()
            released.wait(60)

    shell.server.before_answer = hold
    quiet = subprocess.DEVNULL
    other = shell.background.enter_context(
        subprocess.Popen(["ecr-source", "run"], cwd=shell.folder, env=shell.environment, stdout=quiet, stderr=quiet)
    )
    shell.background.callback(released.set)
    shell.background.callback(other.kill)
    assert held.wait(60)


def _the_other_run_has_ended(shell: Shell) -> None:
    shell.background.close()


def _a_permission_is_missing(shell: Shell) -> None:
    allowed = {action for one in least_policy(catalog.select_tables(()))["Statement"] for action in one["Action"]}
    shell.server.allowed = {DEV: allowed - {"ecr:GetLifecyclePolicy"}}


def _the_permission_is_there(shell: Shell) -> None:
    shell.server.allowed = {}


def _settings_change(shell: Shell) -> None:
    registry = shell.server.registry("eu-west-1", PROD)
    registry.put("billing/api", imageTagMutability="IMMUTABLE")
    del registry.repositories["search/index"]


EVENTS: Mapping[str, Callable[[Shell], None]] = {
    "another run is under way": _another_run_is_under_way,
    "the other run has ended": _the_other_run_has_ended,
    "222222222222 does not allow ecr:GetLifecyclePolicy": _a_permission_is_missing,
    "222222222222 allows it": _the_permission_is_there,
    "billing/api of 111111111111 becomes immutable, and search/index is deleted": _settings_change,
}


# --- the page ---------------------------------------------------------------------------------------------------------


def page(text: str, shell: Shell) -> str:
    """The page `text` with what its commands and queries answer now, from the first to the last."""
    return _PART.sub(lambda part: _renewed(part, shell), text)


def _renewed(part: re.Match[str], shell: Shell) -> str:
    if part["comment"]:
        EVENTS[part["event"]](shell)
    elif part["settings"]:
        shell.write_settings(part["name"], part["toml"])
    elif part["sql"]:
        return f"{part['sql']}{_kept(part['answer'], shell.answer(part['query']))}```\n"
    else:
        commands = _COMMAND.findall(part["typed"])
        typed = "".join(f"$ {command}\n{shell.output(command)}" for command in commands)
        return f"{part['console']}{_kept(part['typed'], typed)}```\n"
    return part[0]


def _kept(before: str, now: str) -> str:
    """`before`, where only times differ."""
    return before if settled(before) == settled(now) else now


def settled(text: str) -> str:
    """`text` without what differs from run to run: ports, seconds, times and pseudonyms."""
    text = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:PORT", text)
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?(\+00:00)?", "TIME", text)
    text = re.sub(r"\bx[0-9a-f]{11}\b", "PSEUDONYM", text)
    text = re.sub(r"since \d+ \w+( to \d+ \w+)? ago", "since TIME ago", text)
    return re.sub(r" +\d+\.\d\d$", " SECONDS", text, flags=re.MULTILINE)


if __name__ == "__main__":
    with shell() as opened:
        PAGE.write_text(page(PAGE.read_text(), opened))
    print(f"wrote {PAGE}")
