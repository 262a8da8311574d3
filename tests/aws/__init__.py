"""Tests of `ecr_source.aws`."""
