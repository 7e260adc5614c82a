"""Tasks of the installed lmms-eval, run on our engines."""
