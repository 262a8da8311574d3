"""The test server: registries in memory, served as AWS's endpoints would, which can be told to misbehave."""
