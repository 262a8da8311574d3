"""Tests of `ecr_source.destinations`."""
