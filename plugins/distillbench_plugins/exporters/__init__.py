"""Exporters: how a trained network leaves the framework."""
