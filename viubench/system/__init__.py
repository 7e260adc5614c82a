"""The machine and its environment: installer, doctor, child processes."""
