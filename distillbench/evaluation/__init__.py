"""What a trained student is worth, and what it costs.

Ranking metrics, multiply-accumulates, latency.
"""
