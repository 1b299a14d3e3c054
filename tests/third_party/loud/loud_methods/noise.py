"""Prints in every way there is."""

import ctypes
import os
import sys


def shout(where: str) -> None:
    """Prints by Python, past Python's redirection, to the descriptor, and by the C library, which keeps it for later."""
    print(f"NOISE print {where}")
    sys.__stdout__.write(f"NOISE kept {where}\n")
    os.write(1, f"NOISE descriptor {where}\n".encode())
    ctypes.CDLL(None).printf(f"NOISE library {where}\n".encode())
