"""Views over the tables: the questions that people ask, each a `.sql` file."""
