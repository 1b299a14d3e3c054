"""`python killed.py SAVES ARGUMENTS...`: runs the command line, and is killed by SIGKILL after so many checkpoints."""

from __future__ import annotations

import os
import signal
import sys

from distillbench.cli import main
from distillbench.training import checkpoint


def kill_after(saves: int) -> None:
    """Lets this process be killed right after its last checkpoint of so many was written."""
    write, written = checkpoint.save_tensors, [0]

    def save(*given: object) -> None:
        write(*given)  # type: ignore[arg-type]
        written[0] += 1
        if written[0] == saves:
            os.kill(os.getpid(), signal.SIGKILL)

    checkpoint.save_tensors = save  # type: ignore[assignment]


if __name__ == "__main__":
    kill_after(int(sys.argv[1]))
    sys.argv = ["distillbench", *sys.argv[2:]]
    main()
