"""The Postgres destination by the name that dlt keeps in the state of datasets: `ecr_source.destinations.postgres`."""

from ecr_source.destinations.postgres import postgres

__all__ = ["postgres"]
