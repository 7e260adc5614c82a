"""Checkpoints evaluated as a training writes them."""
