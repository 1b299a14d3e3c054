"""NeXtVLAD (arXiv 1811.05014)."""

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


class NeXtVLAD(Encoder):
    """NetVLAD over groups of an expanded frame, with attention over the groups.

    A frame is expanded to lambda D numbers and cut into G groups; each group is assigned to K
    clusters, weighted by a sigmoid of its own, and its residuals are summed over frames and groups
    (arXiv 1811.05014, eq. 4 to 6). The encoding is K lambda D / G numbers, projected and gated. The
    order of the frames plays no part.

    Knobs:
        clusters: K.
        groups: G, which must divide expansion * D.
        expansion: lambda.
        size: E, the width of the encoding.
        gate_reduction: how many times narrower the gate's hidden layer is than the encoding.
    """

    check_knobs: ClassVar[Mapping[str, object]] = {
        "clusters": 3,
        "groups": 4,
        "size": 10,
        "gate_reduction": 2,
    }

    def __init__(
        self,
        width: int,
        *,
        clusters: int = 128,
        groups: int = 8,
        expansion: int = 2,
        size: int = 2048,
        gate_reduction: int = 8,
    ) -> None:
        super().__init__()
        problems = wrong_counts(
            "encoder nextvlad",
            clusters=(clusters, 1, 65_536),
            groups=(groups, 1, 65_536),
            expansion=(expansion, 1, 65_536),
            size=(size, 1, 65_536),
            gate_reduction=(gate_reduction, 1, 65_536),
        )
        if not problems and expansion * width % groups:
            problems.append(
                f"encoder nextvlad: groups={groups} does not divide the expanded frame, which has"
                f" {expansion} x {width} numbers"
            )
        refuse(problems)
        self.groups, self.clusters = groups, clusters
        expanded = expansion * width
        part = expanded // groups
        self.expand = nn.Linear(width, expanded)
        self.attend = nn.Linear(expanded, groups)
        self.assign = nn.Linear(expanded, groups * clusters)
        self.centers = nn.Parameter(torch.randn(clusters, part) / part**0.5)
        self.project = nn.Linear(clusters * part, size)
        self.gate = ContextGating(size, max(1, size // gate_reduction))

    def forward(self, clips: Clips, *, with_states: bool = False) -> Encoding:
        """Encodes clips; there are no states."""
        videos, frames, _ = clips.frames.shape
        expanded = self.expand(clips.frames)
        attention = self.attend(expanded).sigmoid() * clips.mask()[:, :, None]
        shares = self.assign(expanded).view(videos, frames, self.groups, -1).softmax(3)
        # Groups of all frames are summed as one long row of parts.
        weights = (shares * attention[:, :, :, None]).flatten(1, 2)
        parts = expanded.reshape(videos, frames * self.groups, -1)
        sums = weights.transpose(1, 2) @ parts.to(weights.dtype)
        residuals = sums - weights.sum(1)[:, :, None] * self.centers
        return Encoding(self.gate(self.project(normalize(residuals, dim=2).flatten(1))))


@hookimpl
def teacher_encoders() -> dict[str, type[Encoder]]:
    """Offers `nextvlad`."""
    return {"nextvlad": NeXtVLAD}


@hookimpl
def student_encoders() -> dict[str, type[Encoder]]:
    """Offers `nextvlad`."""
    return {"nextvlad": NeXtVLAD}
