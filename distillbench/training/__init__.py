"""Training: the parts of a run, the one loop that acts out a schedule's phases, and what is kept of it."""
