"""A correct backbone, and for each promise one that breaks it alone."""

from __future__ import annotations

import torch
from torch import nn
from violations.violating import violating

from distillbench.interfaces import Backbone, PictureEncoder


class Averaged(nn.Module):
    """Averages colors over a picture, and mixes them."""

    def __init__(self, weight=None) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.eye(3, 5) if weight is None else weight)

    def forward(self, pictures):
        return (pictures / 255).mean((2, 3)) @ self.weight


class Centered(Averaged):
    def forward(self, pictures):
        return super().forward(pictures - pictures.float().mean(0))


class Noisy(Averaged):
    def forward(self, pictures):
        return super().forward(pictures) + 1e-6 * torch.rand(len(pictures), 1).round()


class Blank(Averaged):
    def forward(self, pictures):
        return super().forward(0 * pictures)


class Changing(Averaged):
    def forward(self, pictures):
        encoded = super().forward(pictures)
        pictures[0, 0, 0, 0] += 1
        return encoded


def build(self) -> None:
    pass


def load(self):
    return PictureEncoder(Averaged(), 8)


PARTS = {"__init__": build, "load": load}
CORRECT = violating(Backbone, PARTS)


def loading(network, size=8, crop=1.0):
    return violating(Backbone, PARTS, load=lambda self: PictureEncoder(network(), size, crop))


VIOLATIONS = [
    ("says_what_it_is_shown", loading(Averaged, crop=1.5)),
    ("a_row_for_each_picture", loading(Blank)),
    ("pictures_do_not_see_each_other", loading(Centered)),
    ("evaluation_is_deterministic", loading(Noisy)),
    ("loads_the_same_again", loading(lambda: Averaged(torch.rand(3, 5)))),
    ("leaves_its_input_as_it_was", loading(Changing)),
]
