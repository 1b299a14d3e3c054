"""The components that distillbench ships.

One module is one plugin, found by entry point like anyone's.
"""
