"""The version of this package, in a module that imports nothing.

Example:
    >>> __version__.count(".")
    2
"""

__version__ = "0.1.0"
