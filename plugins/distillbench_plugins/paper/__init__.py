"""What the reports of the paper (arXiv 1902.10640) share.

Its digits, and what it calls a method.
"""
