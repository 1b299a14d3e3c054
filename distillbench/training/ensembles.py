"""The mean output of several teachers."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from distillbench.interfaces import Encoding, LabelKind, Output


def average_outputs(outputs: Sequence[Output], label_kind: LabelKind) -> Output:
    """Averages teachers' probabilities, and their encodings if they are equally wide.

    The returned logits are those of the mean probability: of each class on its own
    (multi-label), or among all classes (single-label). States and exits are left out.
    """
    logits = torch.stack([output.logits for output in outputs])
    log_count = torch.tensor(float(len(outputs)), device=logits.device).log()
    # In logarithms throughout: probabilities of confident teachers round to 0 or 1.
    if label_kind == "single-label":
        mean_logits = logits.log_softmax(2).logsumexp(0) - log_count
    else:
        log_yes = torch.nn.functional.logsigmoid(logits).logsumexp(0) - log_count
        log_no = torch.nn.functional.logsigmoid(-logits).logsumexp(0) - log_count
        mean_logits = log_yes - log_no
    summaries = [output.encoding.summary for output in outputs]
    equally_wide = len({summary.shape for summary in summaries}) == 1
    # A loss that reads encodings of unequal width was refused: the first only fills the place.
    summary = torch.stack(summaries).mean(0) if equally_wide else summaries[0]
    return Output(Encoding(summary), mean_logits)
