"""How commands are typed that are told to a person."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Iterator, Sequence

from ecr_source.loading.settings.declared import OF_THE_DESTINATION, Settings, declarations


def command() -> str:
    """How `ecr-source` is typed here: as it was, where the shell would not find it otherwise."""
    return "ecr-source" if shutil.which("ecr-source") else sys.argv[0]


def where(settings: Settings) -> Iterator[str]:
    """The options that say where the rows are, where they are not where they are by default."""
    for name, declaration in declarations().items():
        value = getattr(settings, name)
        if name in OF_THE_DESTINATION and value != declaration.default:
            yield from (declaration.option, value)


def loading_command(settings: Settings, options: Sequence[str]) -> str:
    """The run with these options that loads what a query with the settings asks for; which region nobody has said."""
    return shlex.join([command(), "run", "--region", "REGION", *options, *where(settings)])
