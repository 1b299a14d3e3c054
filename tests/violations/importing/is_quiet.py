"""Changes nothing when it is imported."""
