"""Results: one JSON file a run, written whole or not at all, and the leaderboard made from any number of them."""
