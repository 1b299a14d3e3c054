"""Matching losses: what a student learns from."""
