"""Which images are asked about again, where a call for each is needed, and what came of it."""
