"""What a trained student is worth, and what it costs: ranking metrics, multiply-accumulates, latency."""
