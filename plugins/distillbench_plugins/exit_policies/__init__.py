"""Exit policies: when a network that may stop early has seen enough."""
