"""From a benchmark's own files to samples: hub, archives, rows, adapters, lmms-eval tasks."""
