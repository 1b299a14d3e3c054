"""Tuners: how good settings are searched for."""
