"""What CI reads: JUnit, annotations, Markdown summaries."""
