"""Frame selectors: which frames a student sees."""
