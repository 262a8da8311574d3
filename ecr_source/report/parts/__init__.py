"""The parts of the report, in the order in which they stand: each a module with its questions."""

from __future__ import annotations

from ecr_source.report.parts import (
    controls,
    exposure,
    provenance,
    storage,
    trust,
    vulnerabilities,
    what_changed,
)

PARTS = (
    trust.PART,
    vulnerabilities.PART,
    exposure.PART,
    controls.PART,
    storage.PART,
    what_changed.PART,
    provenance.PART,
)
