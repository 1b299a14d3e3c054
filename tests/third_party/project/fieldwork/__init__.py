"""Somebody's methods: one small module each, which import nothing of distillbench but its public modules."""
