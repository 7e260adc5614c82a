"""Classical image processing answers the pretext tasks: what low-level cues give without a model.

Example:
    viubench run --engine pixels --tasks viubench --videos clips --out runs/pixels

It reads the question's text and the frames as a model is shown them; never the truth, nor what was drawn for an item.
"""

from viubench.engines.pixels.engine import PixelsEngine as PixelsEngine
