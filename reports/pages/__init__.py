"""The pages: leaderboard, comparison, watch."""
