"""The tests, and the benchmarks in `tests.bench`: a package, so that `python -m tests.bench` finds this one."""
