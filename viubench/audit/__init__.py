"""What in a set of questions gives answers away: duplicates, imbalance, names, metadata, compression, clocks."""
