"""Hand-over to verl: data, reward file, overrides, launch."""

PINS = {"verl": "0.9", "transformers": "5.9", "vllm": "0.24"}
"""Series of verl and of what `verl[vllm]` 0.9.1 pins, with which the hand-over was tested."""
