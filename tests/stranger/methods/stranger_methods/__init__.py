"""Somebody else's methods."""
