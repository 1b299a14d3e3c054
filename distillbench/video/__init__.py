"""Video files: their frames as pictures, and what a backbone makes of them."""
