"""Runs the command line: `python -m distillbench`."""

from distillbench.cli import main

if __name__ == "__main__":
    main()
