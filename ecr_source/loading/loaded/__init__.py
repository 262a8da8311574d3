"""What runs have loaded before, and what a load changes of it."""
