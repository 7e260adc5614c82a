"""`make train-demo`: a tiny model trained on two cores, and the check of its gain."""
