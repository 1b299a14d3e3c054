"""How closely a student imitates its teacher, whatever either is worth."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from distillbench.data.batches import Reads, batches
from distillbench.distributed.processes import SINGLE, Processes
from distillbench.interfaces import Videos
from distillbench.networks import Model, evaluating

_TOP = 20


@dataclass(frozen=True)
class Fidelity:
    """Agreement of student and teacher on one split.

    top_1: share of videos whose best class is the same.
    top_20: mean share of the 20 best classes (or of half the classes, where that is fewer) that
        both name.
    kl: mean over videos of the sum over classes of the Bernoulli KL(teacher || student), in nats.
    cka: linear centred kernel alignment of the encodings (Kornblith et al. 2019), 1 where they
    agree up to rotation and scale; None where one of them is constant.
    """

    top_1: float
    top_20: float
    kl: float
    cka: float | None


@dataclass(frozen=True)
class ViewedNetwork:
    """A network, and what it is shown in evaluation."""

    model: Model
    view: Reads


def fidelity(
    teacher: ViewedNetwork,
    student: ViewedNetwork,
    videos: Videos,
    batch_size: int,
    device: torch.device,
    processes: Processes = SINGLE,
) -> Fidelity:
    """Shows both networks every video of a split, each with the frames it sees in evaluation.

    Several processes share the batches out.
    """
    order = torch.arange(len(videos))[processes.share(len(videos), batch_size).own]
    alignment = Alignment()
    sums = torch.zeros(3, dtype=torch.float64)
    seen = {"theirs": teacher.view, "ours": student.view}
    with evaluating(teacher.model), evaluating(student.model), torch.no_grad():
        for batch in batches(videos, order, batch_size, seen, device=device):
            theirs = teacher.model(batch.clips["theirs"].to(device))
            ours = student.model(batch.clips["ours"].to(device))
            sums += agreement(theirs.logits.cpu(), ours.logits.cpu()).sum(1)
            alignment.update(theirs.encoding.summary, ours.encoding.summary)
    top_1, top_20, kl = (processes.sum(sums) / len(videos)).tolist()
    return Fidelity(top_1, top_20, kl, alignment.gathered(processes).compute())


def agreement(teacher: Tensor, student: Tensor) -> Tensor:
    """Compares logits (B, C).

    Each video's top-1 agreement, top-20 overlap and KL, (3, B) float64.
    """
    teacher, student = teacher.double(), student.double()
    count = min(_TOP, max(1, teacher.shape[1] // 2))
    chosen = [
        torch.zeros_like(z).scatter(1, z.topk(count, 1).indices, 1.0) for z in (teacher, student)
    ]
    same = (teacher.argmax(1) == student.argmax(1)).double()
    yes = teacher.sigmoid() * (logsigmoid(teacher) - logsigmoid(student))
    no = (-teacher).sigmoid() * (logsigmoid(-teacher) - logsigmoid(-student))
    return torch.stack([same, (chosen[0] * chosen[1]).sum(1) / count, (yes + no).sum(1)])


class Alignment:
    """Linear CKA of two sets of encodings, batch by batch, in constant memory."""

    def __init__(self) -> None:
        self._products: dict[str, Tensor] = {}
        self._sums: list[Tensor] = []
        self._count = 0

    def update(self, one: Tensor, other: Tensor) -> None:
        """Adds the encodings (B, E) and (B, E') of the same videos."""
        x, y = one.double(), other.double()
        if not self._count:  # shifted by about the mean, or centring afterwards would lose digits
            self._shifts = (x.mean(0), y.mean(0))
        x, y = x - self._shifts[0], y - self._shifts[1]
        for name, a, b in (("xx", x, x), ("yy", y, y), ("xy", x, y)):
            self._products[name] = self._products[name] + a.T @ b if self._count else a.T @ b
        sums = [x.sum(0), y.sum(0)]
        self._sums = (
            [old + new for old, new in zip(self._sums, sums, strict=True)] if self._count else sums
        )
        self._count += len(x)

    def gathered(self, processes: Processes) -> Alignment:
        """Returns the alignment of all processes' videos, of which the first has some."""
        if processes.count == 1:
            return self
        joined = self._shifted(processes.broadcast(lambda: self._shifts))
        joined._products = {
            name: processes.sum(joined._products[name]) for name in ("xx", "yy", "xy")
        }
        joined._sums = [processes.sum(total) for total in joined._sums]
        joined._count = int(processes.sum(torch.tensor(self._count)))
        return joined

    def _shifted(self, shifts: tuple[Tensor, Tensor]) -> Alignment:
        """Returns the same with all sums taken about another point."""
        moved = Alignment()
        moved._shifts, moved._count = shifts, self._count
        widths = [len(shift) for shift in shifts]
        sums = self._sums or [torch.zeros_like(shift) for shift in shifts]
        by = [
            old - new
            for old, new in zip(self._shifts if self._count else shifts, shifts, strict=True)
        ]
        moved._sums = [total + self._count * step for total, step in zip(sums, by, strict=True)]
        for name, a, b in (("xx", 0, 0), ("yy", 1, 1), ("xy", 0, 1)):
            product = self._products.get(name, shifts[0].new_zeros(widths[a], widths[b]))
            crossed = torch.outer(by[a], sums[b]) + torch.outer(moved._sums[a], by[b])
            moved._products[name] = product + crossed
        return moved

    def compute(self) -> float | None:
        """Returns the alignment of all that was added."""
        x, y = self._sums
        centred = {
            name: (self._products[name] - a[:, None] * b[None] / self._count).norm()
            for name, a, b in (("xx", x, x), ("yy", y, y), ("xy", x, y))
        }
        scale = float(centred["xx"] * centred["yy"])
        return float(centred["xy"] ** 2) / scale if scale > 0 else None
