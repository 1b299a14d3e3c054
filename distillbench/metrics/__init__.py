"""What metrics are made of: accumulators of scores and labels, and ranked lists of predictions."""

from distillbench.metrics.average_precision import MeanAveragePrecision, mean_average_precision
from distillbench.metrics.ranking import precision_derivatives, precision_sums
from distillbench.metrics.topk import TopK

__all__ = [
    "MeanAveragePrecision",
    "TopK",
    "mean_average_precision",
    "precision_derivatives",
    "precision_sums",
]
