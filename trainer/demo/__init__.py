"""`make train-demo`: a tiny model trained on two cores, and the check of what it promises."""
