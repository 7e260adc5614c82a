"""Two runs side by side: paired differences, flips, the gate."""
