"""The prices, quotas and thresholds that views use: the rows of `ecr_parameters`, of which settings override values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

RELATION = "parameters_in_force"
"""By which name a view asks them."""

_OVERRIDDEN = "settings"
"""The source of a value that settings override."""


@dataclass(frozen=True)
class Parameter:
    """A number, what it is counted in, and who says so.

    `looked_up_on` is None where it is this project's choice, or a setting's.
    """

    value: float
    unit: str
    looked_up_on: str | None
    source: str


_PRICES = "Amazon ECR pricing, us-east-1"

PARAMETERS = {
    "storage_price": Parameter(0.10, "USD per GB-month", "2026-03-01", _PRICES),
    "archive_price": Parameter(0.10, "USD per GB-month", "2026-03-01", f"{_PRICES}, up to archive_price_up_to"),
    "archive_price_up_to": Parameter(150, "TB", "2026-03-01", _PRICES),
    "archive_price_beyond": Parameter(0.07, "USD per GB-month", "2026-03-01", f"{_PRICES}, beyond archive_price_up_to"),
    # https://aws.amazon.com/ecr/pricing/ does not say what a GB is; Amazon S3's is 2^30 bytes, and a TB 1024 of them.
    "bytes_per_gb": Parameter(1024**3, "bytes", None, "ecr-source"),
    "images_per_repository": Parameter(100_000, "images", "2026-03-01", "Amazon ECR service quotas"),
    "stale_scan_after": Parameter(30, "days", None, "ecr-source"),
}
"""The parameters by their names."""


def in_force(overridden: Mapping[str, float]) -> dict[str, Parameter]:
    """The parameters with the values that hold; of those that are overridden nobody else says them."""
    return PARAMETERS | {
        name: Parameter(value, PARAMETERS[name].unit, None, _OVERRIDDEN) for name, value in overridden.items()
    }


def parameters_query(overridden: Mapping[str, float]) -> str:
    """The SELECT that returns them, in the SQL of the views."""
    rows = ", ".join(
        f"('{name}', CAST({one.value} AS DOUBLE), '{one.unit}', {_date(one.looked_up_on)}, '{one.source}')"
        for name, one in in_force(overridden).items()
    )
    columns = "name, value, unit, looked_up_on, source"
    return f"SELECT {columns} FROM (VALUES {rows}) AS parameters ({columns})"  # noqa: S608 (texts of this module)


def _date(day: str | None) -> str:
    return f"DATE '{day}'" if day else "CAST(NULL AS DATE)"
