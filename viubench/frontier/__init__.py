"""Where a model breaks: the level, on each axis of difficulty, half way between guessing and all right."""
