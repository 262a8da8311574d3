"""The registry of the demo: what it holds as plain data, its answers in the words of AWS, and an endpoint over HTTP."""
