"""Imported by the server process that decoders are forks of, before it forks: what decoders need is loaded once.

Example:
    multiprocessing.set_forkserver_preload(["viubench.video.decoder_server"])

A fork that ends before its first job says nothing of its own: its parent tells it as `crashed`, or is gone itself, and
then a traceback about what it took along helps nobody.
"""

import sys

import viubench.video.frame_cache  # noqa: F401

sys.excepthook = lambda *_: None
