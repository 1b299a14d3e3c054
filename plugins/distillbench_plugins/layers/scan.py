"""Linear recurrences of all steps at once."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import pad


def linear_recurrence(keep: Tensor, new: Tensor) -> Tensor:
    """Solves h_t = keep_t h_(t-1) + new_t with h_0 = 0, all (B, T, W), in log2(T) passes.

    The pairs (keep, new) of a stretch of steps compose associatively (Martin and Cundy, arXiv
    1709.04057, section 2): each pass composes every stretch with the one before it, of the same
    length.
    """
    length = 1
    while length < keep.shape[1]:
        # Before the first step nothing is kept and nothing is new.
        earlier_keep = pad(keep[:, :-length], (0, 0, length, 0))
        earlier_new = pad(new[:, :-length], (0, 0, length, 0))
        new = new + keep * earlier_new
        keep = keep * earlier_keep
        length *= 2
    return new
