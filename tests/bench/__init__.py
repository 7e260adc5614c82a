"""Benchmarks of viubench, run from a checkout: each module makes its own work, measures it, and returns rows.

Example:
    python -m tests.bench records --n 60000
"""
