"""Backbones: what turns the pictures of a video into numbers."""
