"""This project beside the other ways of getting a registry into DuckDB."""
