"""The site that `make docs` makes of docs/, with an environment of its own."""
