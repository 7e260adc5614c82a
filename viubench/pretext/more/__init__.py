"""Further kinds of pretext questions, one in each file; none of them is part of VIUBench."""
