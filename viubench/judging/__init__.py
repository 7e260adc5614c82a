"""A judge: a language model that scores what rules cannot read, and says so where it fails."""
