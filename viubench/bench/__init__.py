"""What `viubench bench` measures: each module makes its own work, measures it, and returns rows."""
