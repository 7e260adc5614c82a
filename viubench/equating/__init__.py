"""Two item sets of one recipe: whether they are alike, so that scores on them can be compared."""
