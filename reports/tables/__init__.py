"""The leaderboard's tables as data."""
