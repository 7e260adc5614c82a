"""A user's own questions: a table without a task file, understood and made a task."""
