"""What came of a command, as people or programs see it."""
