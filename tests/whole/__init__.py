"""Tests of whole runs, end to end."""
