"""Tests of `ecr_source.loading`."""
