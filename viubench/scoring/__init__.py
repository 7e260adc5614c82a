"""From responses to scores and from records to results."""
