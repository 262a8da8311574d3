"""The generators of documents, and the tests that they are true."""
