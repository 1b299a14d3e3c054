"""Changes the number of threads when it is imported."""

import torch

torch.set_num_threads(torch.get_num_threads() + 1)
