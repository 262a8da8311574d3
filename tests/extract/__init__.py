"""Tests of `ecr_source.extract`."""
