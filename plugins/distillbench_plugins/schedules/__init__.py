"""Training schedules: who learns what, and when."""
