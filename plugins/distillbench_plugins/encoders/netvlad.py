"""NetVLAD (arXiv 1511.07247), as the winners of YouTube-8M used it (arXiv 1706.06905)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import nn
from torch.nn.functional import normalize

from distillbench import hookimpl
from distillbench.interfaces import Clips, Encoder, Encoding
from distillbench_plugins.layers.gating import ContextGating
from distillbench_plugins.layers.knobs import refuse, wrong_counts


class NetVLAD(Encoder):
    """Residuals of the frames from cluster centers, summed by soft assignment, and projected.

    V_k = the sum over frames of a_k(x) (x - c_k), a the softmax of a linear layer; every V_k and
    then all together are scaled to length 1 (arXiv 1511.07247, eq. 3 and 4). The order of the
    frames plays no part. Defaults are those of arXiv 1706.06905, section 4.3.

    Knobs:
        clusters: K.
        size: E, the width of the encoding.
        gating: whether a context gate follows the projection (arXiv 1706.06905, eq. 1).
    """

    check_knobs: ClassVar[Mapping[str, object]] = {"clusters": 3, "size": 10}

    def __init__(
        self, width: int, *, clusters: int = 256, size: int = 1024, gating: bool = True
    ) -> None:
        super().__init__()
        refuse(
            wrong_counts("encoder netvlad", clusters=(clusters, 1, 65_536), size=(size, 1, 65_536))
        )
        self.assign = nn.Linear(width, clusters)
        self.centers = nn.Parameter(torch.randn(clusters, width) / width**0.5)
        self.project = nn.Linear(clusters * width, size)
        self.gate = ContextGating(size) if gating else nn.Identity()

    def forward(self, clips: Clips, *, with_states: bool = False) -> Encoding:
        """Encodes clips; there are no states."""
        shares = self.assign(clips.frames).softmax(2) * clips.mask()[:, :, None]
        sums = shares.transpose(1, 2) @ clips.frames.to(shares.dtype)
        residuals = sums - shares.sum(1)[:, :, None] * self.centers
        vlad = normalize(normalize(residuals, dim=2).flatten(1), dim=1)
        return Encoding(self.gate(self.project(vlad)))


@hookimpl
def teacher_encoders() -> dict[str, type[Encoder]]:
    """Offers `netvlad`."""
    return {"netvlad": NetVLAD}


@hookimpl
def student_encoders() -> dict[str, type[Encoder]]:
    """Offers `netvlad`."""
    return {"netvlad": NetVLAD}
