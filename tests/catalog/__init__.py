"""Tests of `ecr_source.catalog`."""
