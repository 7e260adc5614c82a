"""Checkpoints: files, optimizer state, which are kept, model card, metrics log."""
