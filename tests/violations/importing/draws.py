"""Moves torch's random state when it is imported."""

import torch

torch.rand(1)
