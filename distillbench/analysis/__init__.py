"""What many results say together: the leaderboard, intervals, comparisons, convergence."""
