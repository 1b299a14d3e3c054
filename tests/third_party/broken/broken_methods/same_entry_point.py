"""Its entry point is called as one of distillbench's own."""
