"""Seeds derived from what they are for, so that no draw depends on how many came before it."""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_GAMMA = np.uint64(0x9E3779B97F4A7C15)


def derive(*parts: object) -> int:
    """Returns a 63-bit seed for a purpose, such as `derive(seed, "student", "init")`.

    The same on every machine.
    """
    return int.from_bytes(_hash("\x1f".join(map(str, parts))), "little") >> 1


def seed_torch(seed: int) -> None:
    """Seeds the generators that torch draws from where it is given none.

    Draws are those after `torch.manual_seed`, which also formats a stack trace at every call where
    CUDA was not used yet: a hundred times what the seeding itself takes.
    """
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.manual_seed_all(seed)


def clip_keys(ids: list[str], *parts: object) -> Tensor:
    """Returns one key a clip, (B,) int64, for `ClipGenerator`.

    A function of the clip's id and of the purpose.
    """
    hashed = b"".join(_hash(name) for name in ids)
    return torch.frombuffer(bytearray(hashed), dtype=torch.int64) ^ derive(*parts)


def _hash(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=8).digest()


def splitmix64(seeds: NDArray[np.uint64], steps: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Returns what the generator splitmix64 draws from each seed at each step, counted from 1.

    Steele et al., OOPSLA 2014. The two are broadcast. Nothing is kept in between: a number is a
    function of its seed and its step.
    """
    value: NDArray[np.uint64] = seeds + steps * _GAMMA
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))
