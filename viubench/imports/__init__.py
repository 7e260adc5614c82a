"""Answers that other harnesses wrote, as ordinary runs: read, matched with our questions, scored, explained."""
