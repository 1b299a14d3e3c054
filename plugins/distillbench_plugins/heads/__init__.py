"""Heads: from encodings to logits."""
