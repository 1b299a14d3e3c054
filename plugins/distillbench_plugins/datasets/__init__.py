"""Data sets: where videos come from."""
