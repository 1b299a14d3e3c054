"""The components that distillbench ships: one module is one plugin, found by entry point like anyone's."""
