"""Seeds derived from what they are for, so that no draw depends on how many came before it."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor


def derive(*parts: object) -> int:
    """Returns a 63-bit seed for a purpose, such as `derive(seed, "student", "init")`; the same on every machine."""
    return int.from_bytes(_hash("\x1f".join(map(str, parts))), "little") >> 1


def clip_keys(ids: list[str], *parts: object) -> Tensor:
    """Returns one key a clip, (B,) int64, for `ClipGenerator`: a function of the clip's id and of the purpose."""
    hashed = b"".join(_hash(name) for name in ids)
    return torch.frombuffer(bytearray(hashed), dtype=torch.int64) ^ derive(*parts)


def _hash(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=8).digest()
