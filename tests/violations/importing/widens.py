"""Changes the default type when it is imported."""

import torch

torch.set_default_dtype(torch.float64)
