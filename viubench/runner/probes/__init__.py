"""Shortcut probes: the same questions with some of the evidence taken away, to see what a score rests on."""
