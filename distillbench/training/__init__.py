"""Training: builds a run's networks and losses, runs its phases, and stores what they produce."""
