"""Several teachers as one."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from distillbench.interfaces import Encoding, LabelKind, Output


def joined(outputs: Sequence[Output], label_kind: LabelKind) -> Output:
    """Averages teachers' probabilities, and their encodings where they are equally wide.

    The logits returned are those of the mean probability: of a class (multi-label), or among all
    classes (single-label). States and exits are left out.
    """
    logits = torch.stack([output.logits for output in outputs])
    count = torch.tensor(float(len(outputs)), device=logits.device).log()
    if label_kind == "single-label":
        mean = logits.log_softmax(2).logsumexp(0) - count
    else:
        log_yes = torch.nn.functional.logsigmoid(logits).logsumexp(0) - count
        log_no = torch.nn.functional.logsigmoid(-logits).logsumexp(0) - count
        mean = log_yes - log_no
    summaries = [output.encoding.summary for output in outputs]
    alike = len({summary.shape for summary in summaries}) == 1
    summary = torch.stack(summaries).mean(0) if alike else summaries[0]
    return Output(Encoding(summary), mean)
