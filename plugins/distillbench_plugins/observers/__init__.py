"""Observers: plugins that get the events of runs."""
