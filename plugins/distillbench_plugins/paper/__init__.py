"""What the reports of the paper (arXiv 1902.10640) share: its digits, and what it calls a method."""
