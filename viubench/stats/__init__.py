"""Statistics of evals: estimates clustered by source video, paired differences."""
