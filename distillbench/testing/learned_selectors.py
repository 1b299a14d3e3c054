"""What a selector that is a part of the network promises."""

from __future__ import annotations

import torch
from torch import Tensor

from distillbench.interfaces import Clips, LearnedSelector, Selection
from distillbench.testing import modules, toys
from distillbench.testing.promises import Subject, Unclaimed, expect, seeded

K = 3
LENGTHS = (9, 2, 5)


def _selector(subject: Subject, seed: int = 0, training: bool = False) -> LearnedSelector:
    selector: LearnedSelector = subject.build(toys.WIDTH, K, seed=seed)
    return selector.train(training)


def _shown(selector: LearnedSelector, lengths: tuple[int, ...] = LENGTHS) -> Clips:
    batch = toys.clips(lengths)
    return batch.take(selector.candidates(batch.lengths))


def _chosen(selector: LearnedSelector, shown: Clips, seed: int = 1) -> Selection:
    with seeded(seed):
        selection: Selection = selector(shown, toys.generator(range(len(shown.lengths)), seed))
    return selection


def reads_frames_that_there_are(subject: Subject) -> None:
    """Its candidates are frames of each video, at least one, ascending, padded with `NO_FRAME`."""
    index = _selector(subject).candidates(torch.tensor(LENGTHS))
    expect(
        index.dim() == 2 and index.dtype == torch.int64 and len(index) == len(LENGTHS),
        f"{index.dtype}",
    )
    _well_formed(index, torch.tensor(LENGTHS))


def keeps_at_most_k(subject: Subject) -> None:
    """It keeps one to k of each video's candidates, as strictly ascending positions."""
    for training in (False, True):
        selector = _selector(subject, training=training)
        shown = _shown(selector)
        index = _chosen(selector, shown).index
        kept = (index >= 0).sum(1)
        expect(
            bool((kept >= 1).all() and (kept <= K).all()),
            f"{kept.tolist()} frames of {LENGTHS}, for k = {K}",
        )
        _well_formed(index, shown.lengths)


def _well_formed(index: Tensor, lengths: Tensor) -> None:
    for row, length in zip(index.tolist(), lengths.tolist(), strict=True):
        kept = [place for place in row if place >= 0]
        expect(
            row == kept + [-1] * (len(row) - len(kept)), f"{row}: a frame after one that is none"
        )
        expect(kept and kept == sorted(set(kept)), f"{row}: not strictly ascending")
        expect(kept[-1] < length, f"{row} of {length} frames")


def a_clip_is_chosen_from_alone(subject: Subject) -> None:
    """In evaluation a clip's choice depends on that clip alone, whatever else is in the batch."""
    selector = _selector(subject)
    together = _chosen(selector, _shown(selector)).index
    for place in range(len(LENGTHS)):
        alone = _chosen(selector, toys.rows(_shown(selector), [place]), seed=2).index[0]
        ours, theirs = (row[row >= 0].tolist() for row in (together[place], alone))
        expect(ours == theirs, f"{ours} in a batch, {theirs} alone")


def draws_from_its_generator_alone(subject: Subject) -> None:
    """In training all chance comes from its generator.

    The same numbers give the same choice, whatever torch's are.
    """
    selector = _selector(subject, training=True)
    shown = _shown(selector)
    numbers = range(len(shown.lengths))
    choices = []
    for seed in (3, 4):
        with seeded(seed):
            choices.append(selector(shown, toys.generator(numbers)).index)
    expect(torch.equal(*choices), "another choice with another state of torch's random numbers")


def is_learned(subject: Subject) -> None:
    """Its weights learn: through weights of frames, the probability of its choice, or scores."""
    selector = _selector(subject, training=True)
    if not any(weight.requires_grad for weight in selector.parameters()):
        raise Unclaimed("it has no weights that are trained")
    chosen = _chosen(selector, _shown(selector))
    parts = [
        part
        for part in (chosen.weights, chosen.log_prob, chosen.scores)
        if part is not None and part.requires_grad
    ]
    expect(parts, "neither weights, log_prob nor scores with a gradient")
    draws = [torch.linspace(1.0, 2.0, part.numel()).reshape(part.shape) for part in parts]
    pulled = torch.stack([(part * draw).sum() for part, draw in zip(parts, draws, strict=True)])
    modules.all_weights_learn(selector, pulled.sum())


def weights_and_probabilities_fit(subject: Subject) -> None:
    """Weights are finite, one for each kept frame; probabilities are at most 1, one a video.

    Scores are finite, one for each candidate; a baseline is a choice of candidates like any other.
    """
    for training in (False, True):
        selector = _selector(subject, training=training)
        shown = _shown(selector)
        chosen = _chosen(selector, shown)
        if chosen.baseline is not None:
            _well_formed(chosen.baseline, shown.lengths)
        if chosen.weights is not None:
            fits = chosen.weights.shape == chosen.index.shape and bool(
                chosen.weights.isfinite().all()
            )
            expect(
                fits, f"weights {tuple(chosen.weights.shape)} of frames {tuple(chosen.index.shape)}"
            )
        if chosen.scores is not None:
            expect(
                chosen.scores.shape == shown.times.shape and bool(chosen.scores.isfinite().all()),
                f"scores {tuple(chosen.scores.shape)} of candidates {tuple(shown.times.shape)}",
            )
        if chosen.log_prob is not None:
            fits = chosen.log_prob.shape == chosen.index.shape[:1] and bool(
                (chosen.log_prob <= 1e-6).all()
            )
            expect(fits, f"log_prob {chosen.log_prob.tolist()}")


def survives_storage(subject: Subject) -> None:
    """Its state holds all that it is: another one with its state chooses the same."""
    first, second = _selector(subject), _selector(subject, seed=4)
    second.load_state_dict(first.state_dict())
    choices = [_chosen(selector, _shown(selector)).index for selector in (first, second)]
    expect(torch.equal(*choices), "another choice from its stored state")


GIVEN: tuple[object, ...] = (toys.WIDTH, K)
"""The positional constructor arguments of a component."""

CHECKS = (
    reads_frames_that_there_are,
    keeps_at_most_k,
    a_clip_is_chosen_from_alone,
    draws_from_its_generator_alone,
    is_learned,
    weights_and_probabilities_fit,
    survives_storage,
)
