"""Hand-over to verl: data, reward file, overrides, launch."""
