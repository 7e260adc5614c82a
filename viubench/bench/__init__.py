"""What viubench costs, measured: one module for each part, behind `viubench bench`."""
