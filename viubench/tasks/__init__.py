"""The task catalogue: YAML files found, loaded and checked."""
