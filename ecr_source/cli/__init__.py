"""What people type and see: commands, progress, tables.

Imports all other packages, each where it is needed, so that `--help` need not wait.
"""

from ecr_source.cli.commands import main

__all__ = ["main"]
