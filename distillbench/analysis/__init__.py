"""What follows from many results: the leaderboard, intervals, comparisons, convergence."""
