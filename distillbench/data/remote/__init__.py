"""Data that is somewhere else: files by URL, what is kept of them here, and downloads."""
