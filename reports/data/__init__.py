"""What pages are made from: run folders and training logs."""
