"""User stories: pages of Markdown that say what is typed and all that is shown, and can be told anew.

A story begins with a heading of the second level. `- Given …` and `- Then …` say what happens outside of the command
line, in the words of `tests.stories.circumstances`. A block `console` has commands, each after `$ `, and what they
show; a block `sql` is asked of the database `ecr.duckdb`, and its answer is in the block `text` that follows.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Iterator, Mapping
from io import StringIO
from pathlib import Path

import duckdb
from rich.console import Console

from ecr_source.printing import print_grid
from tests.forked import run_forked
from tests.server.ecr_server import EcrServer
from tests.stories.circumstances import bring_about

PAGES = sorted(Path(__file__).parent.glob("*.md"))

_PARTS = re.compile(
    r"^- (?:Given|Then) (?P<words>[^\n]*)$|^```(?P<kind>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
_SECONDS = 120

_PATH = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"


def stories() -> list[tuple[str, str]]:
    """The title and the text of each story."""
    parts = [part.partition("\n") for page in PAGES for part in page.read_text().split("\n## ")[1:]]
    return [(title, text) for title, _, text in parts]


def surroundings(server: EcrServer) -> dict[str, str]:
    """The environment of what is typed."""
    return {
        **os.environ,
        "AWS_ENDPOINT_URL": server.url,
        "AWS_DEFAULT_REGION": "eu-west-1",
        "COLUMNS": "120",
        "PATH": _PATH,
    }


def told(story: str, server: EcrServer, environment: Mapping[str, str]) -> str:
    """The story as it goes now, in the working directory."""
    answer = ""

    def retold(part: re.Match[str]) -> str:
        nonlocal answer
        if part["words"]:
            bring_about(part["words"], server)
            return part[0]
        if part["kind"] == "sql":
            answer = _asked(part["text"])
        shown = {"sql": part["text"], "text": answer, "console": "".join(_typed(part["text"], server, environment))}
        return f"```{part['kind']}\n{shown[part['kind']]}```"

    return _PARTS.sub(retold, story)


def _typed(block: str, server: EcrServer, environment: Mapping[str, str]) -> Iterator[str]:
    for line in block.splitlines():
        if not line.startswith("$ "):
            continue
        words = shlex.split(line.removeprefix("$ "))
        settings = dict(word.split("=", 1) for word in words[: words.index("ecr-source")])
        arguments = words[words.index("ecr-source") + 1 :]
        done = run_forked(arguments, {**environment, **settings}, _SECONDS)
        yield f"{line}\n{_settled(done.stderr + done.stdout, server)}"
        if done.returncode:
            yield f"exit code {done.returncode}\n"


def _settled(text: str, server: EcrServer) -> str:
    """`text` without what differs from run to run: the port, times, and which scope is the first that has ended."""
    text = text.replace(server.url, "http://127.0.0.1:8000")
    text = re.sub(r"\b\d+\.\d\d\b", lambda seconds: "0.10".rjust(len(seconds[0])), text)
    text = re.sub(r"^(reading |loading .*: ).*\n", "", text, flags=re.MULTILINE)
    text = re.sub(r"since \d+ (s|min)( to \d+ (s|min))? ago", "since 5 s ago", text)
    return re.sub(r"(?:^read \d+ of .*\n)+", _in_order, text, flags=re.MULTILINE)


def _in_order(lines: re.Match[str]) -> str:
    ended = sorted(line.partition(": ")[2] for line in lines[0].splitlines())
    return "".join(f"read {number} of {len(ended)}: {scope}\n" for number, scope in enumerate(ended, 1))


def _asked(query: str) -> str:
    with duckdb.connect("ecr.duckdb", read_only=True) as connection:
        connection.execute("USE aws_ecr")
        answer = connection.execute(query)
        shown = StringIO()
        print_grid(Console(file=shown), [column[0] for column in answer.description or ()], answer.fetchall())
    return shown.getvalue()
