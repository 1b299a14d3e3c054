"""Prints when it is imported."""

print("hello")
