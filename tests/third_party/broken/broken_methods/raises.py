"""Raises when it is imported."""

raise RuntimeError("the licence server is down")
