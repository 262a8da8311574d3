"""Tests of `ecr_source.cli`."""
