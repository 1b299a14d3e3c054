"""Encoders: from clips to one encoding a video."""
