"""The ways that are measured beside one another, a module each: what it loads, by the name of the function."""
