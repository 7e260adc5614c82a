"""Pages, escaping, and SVG charts."""
