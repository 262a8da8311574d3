"""Answers become rows: flat, typed by the catalog, with the texts that they may have, in files of their own."""
