"""The commands of `python -m tests.bench`, a file per group."""
