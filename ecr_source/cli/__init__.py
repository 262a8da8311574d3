"""What people type and see: the commands, their progress, and what came of them.

Imports all other packages, each where it is needed, so that `--help` need not wait for dlt.
"""

from ecr_source.cli.commands import main

__all__ = ["main"]
