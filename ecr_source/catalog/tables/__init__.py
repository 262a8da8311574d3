"""The tables, a module for each group."""
