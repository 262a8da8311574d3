"""The dlt source by its first name: `ecr_source.loading.source` is its home."""

from ecr_source.loading.source import ecr_source, read_outcome

__all__ = ["ecr_source", "read_outcome"]
