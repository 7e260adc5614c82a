"""Fuzzing: bytes from anywhere must end in a value or in an error of ours, soon, and in bounded memory.

Example:
    python -m tests.fuzz answers --seconds 60
"""
