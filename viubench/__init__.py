"""viubench: an evaluation harness and self-supervised benchmark for video-understanding multimodal LLMs."""

__version__ = "0.1.0"
