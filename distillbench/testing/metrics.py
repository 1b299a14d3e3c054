"""What a metric promises."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from distillbench.interfaces import LabelKind, Labels, Predictions
from distillbench.metrics import TopK
from distillbench.testing.promises import Subject, Unclaimed, expect

VIDEOS, CLASSES = 240, 24


def _truth(kind: LabelKind) -> NDArray[np.bool_]:
    """Draws labels (V, C), at least one a video and exactly one of single-label data."""
    drawn = np.random.default_rng(0)
    of = drawn.permutation(VIDEOS) % CLASSES
    truth = np.zeros((VIDEOS, CLASSES), dtype=np.bool_)
    truth[np.arange(VIDEOS), of] = True
    if kind == "multi-label":
        truth |= drawn.random(truth.shape) < 0.1
    return truth


def _scores(truth: NDArray[np.bool_], knows: float, noise: float) -> NDArray[np.float32]:
    drawn = np.random.default_rng(1).standard_normal(truth.shape)
    return (knows * truth + noise * drawn).astype(np.float32)


def _predictions(
    truth: NDArray[np.bool_], scores: NDArray[np.float32], videos: Sequence[int] | None = None
) -> Predictions:
    """Makes the predictions of some videos, or of all; their arrays may be written to."""
    rows = np.arange(len(truth)) if videos is None else np.asarray(videos)
    labels, found = truth[rows], scores[rows]
    kept = TopK(truth.shape[1])
    kept.update(found, labels)
    offsets = torch.from_numpy(np.concatenate([[0], labels.sum(1).cumsum()]))
    named = torch.from_numpy(labels.nonzero()[1])

    def batches() -> Iterator[tuple[NDArray[np.float32], NDArray[np.bool_]]]:
        for start in range(0, len(found), 100):
            yield found[start : start + 100].copy(), labels[start : start + 100].copy()

    ids = [f"video {row}" for row in rows]
    made = kept.predictions(ids, Labels(offsets, named, truth.shape[1]), batches)
    return replace(made, **{name: array.copy() for name, array in _arrays(made).items()})


def _arrays(predictions: Predictions) -> dict[str, Any]:
    return {name: v for name, v in vars(predictions).items() if isinstance(v, np.ndarray)}


def _usual(kind: LabelKind, videos: Sequence[int] | None = None) -> Predictions:
    truth = _truth(kind)
    return _predictions(truth, _scores(truth, 2.0, 1.0), videos)


def toy(subject: Subject) -> Predictions:
    """Makes predictions of labels that a metric is for."""
    return _usual(_kinds(subject)[0])


def _kinds(subject: Subject) -> list[LabelKind]:
    return sorted(subject.cls.label_kinds)  # type: ignore[attr-defined]


def _value(subject: Subject, predictions: Predictions) -> float:
    """Computes the metric; another check reports a value that is not a number."""
    found = subject.build().compute(predictions)
    return float(found) if isinstance(found, (int, float, np.number)) else math.nan


def is_a_finite_number(subject: Subject) -> None:
    """It returns a finite number, or None where it is not defined, which usual predictions are."""
    for kind in _kinds(subject):
        for count in (VIDEOS, 2, 1):
            found = subject.build().compute(_usual(kind, range(count)))
            expect(found is not None or count < VIDEOS, f"None for {count} videos, {kind}")
            text = f"{found!r} for {count} videos, {kind}"
            is_number = isinstance(found, (int, float, np.number)) and math.isfinite(found)
            expect(found is None or is_number, text)


def is_pure(subject: Subject) -> None:
    """The same predictions have the same value, whatever it computed before."""
    for kind in _kinds(subject):
        metric = subject.build()
        first = metric.compute(_usual(kind))
        metric.compute(_usual(kind, range(9)))
        again = metric.compute(_usual(kind))
        expect(first == again, f"{first!r} and then {again!r}, {kind}")


def leaves_its_input_alone(subject: Subject) -> None:
    """It changes nothing of the predictions that it is given."""
    for kind in _kinds(subject):
        given, untouched = _usual(kind), _arrays(_usual(kind))
        metric = subject.build()
        metric.compute(given)
        metric.influence(given)
        for name, array in _arrays(given).items():
            expect(np.array_equal(array, untouched[name]), f"{name} were changed, {kind}")


def the_order_of_videos_does_not_matter(subject: Subject) -> None:
    """Its value is the same in whatever order the videos come, but for rounding."""
    order = np.random.default_rng(2).permutation(VIDEOS).tolist()
    for kind in _kinds(subject):
        ours, theirs = _value(subject, _usual(kind)), _value(subject, _usual(kind, order))
        apart = abs(ours - theirs)
        is_same = math.isnan(ours) or apart <= 1e-9 * max(1.0, abs(ours))
        expect(is_same, f"{ours!r} and, in another order, {theirs!r}, {kind}")


def being_right_is_best(subject: Subject) -> None:
    """Predictions that are all right are no worse than others, and better than another video's."""
    sign = 1.0 if subject.cls.higher_is_better else -1.0  # type: ignore[attr-defined]
    order = np.random.default_rng(3).permutation(VIDEOS)
    for kind in _kinds(subject):
        truth = _truth(kind)
        right = _scores(truth, 16.0, 0.0)
        best = _value(subject, _predictions(truth, right))
        others = _value(subject, _predictions(truth, right[order]))
        noisy = [_value(subject, _predictions(truth, _scores(truth, k, 1.0))) for k in (1.0, 3.0)]
        text = f"{best!r} where all is right, {others!r} with another video's, {kind}"
        expect(not sign * best <= sign * others, text)
        worst = max(noisy, key=lambda value: sign * value)
        expect(not sign * best < sign * worst - 1e-9, f"{best!r}, and {worst!r} with noise, {kind}")


def needs_no_more_than_it_says(subject: Subject) -> None:
    """It computes the same where it is given only what its `needs` name."""
    if subject.cls.needs == "all":  # type: ignore[attr-defined]
        raise Unclaimed("its `needs` name every score")
    for kind in _kinds(subject):
        whole, best = (_value(subject, p) for p in (_usual(kind), _without_batches(kind)))
        both_lack = math.isnan(whole) and math.isnan(best)
        is_same = both_lack or math.isclose(whole, best, rel_tol=1e-9)
        expect(is_same, f"{whole!r} and, without every score, {best!r}, {kind}")


def _without_batches(kind: LabelKind) -> Predictions:
    return replace(_usual(kind), batches=None)


def _influence(subject: Subject, kind: LabelKind) -> NDArray[np.float64]:
    found = subject.build().influence(_usual(kind))
    if found is None:
        raise Unclaimed("it has no influence; its intervals are made of resampled videos")
    return np.asarray(found, dtype=np.float64)


def influence_sums_to_0(subject: Subject) -> None:
    """Its influence is one finite number a video, and the sum of them is 0."""
    for kind in _kinds(subject):
        found = _influence(subject, kind)
        expect(found.shape == (VIDEOS,), f"shape {found.shape} for {VIDEOS} videos, {kind}")
        expect(np.isfinite(found).all(), f"{int((~np.isfinite(found)).sum())} are not finite")
        scale = float(np.abs(found).sum())
        expect(
            abs(found.sum()) <= 1e-6 * max(scale, 1e-12), f"the sum is {found.sum():.3g}, {kind}"
        )


def influence_is_what_leaving_out_changes(subject: Subject) -> None:
    """A video's influence is about what the metric loses where that video is left out."""
    for kind in _kinds(subject):
        found = _influence(subject, kind)
        whole = _value(subject, _usual(kind))
        left = [[v for v in range(VIDEOS) if v != out] for out in range(0, VIDEOS, 4)]
        lost = np.array([whole - _value(subject, _usual(kind, videos)) for videos in left])
        if found.shape != (VIDEOS,) or not np.isfinite(found).all():
            continue  # another check reports it
        ours = found[::4] - found.mean()
        norms = float(np.linalg.norm(ours)), float(np.linalg.norm(lost))
        alike = float(ours @ lost) / max(norms[0] * norms[1], 1e-30)
        text = f"norms {norms[0]:.3g} and {norms[1]:.3g}, cosine {alike:.2f}, {kind}"
        expect(norms == (0.0, 0.0) or (alike > 0.8 and 0.5 < norms[0] / norms[1] < 2.0), text)


GIVEN: tuple[object, ...] = ()
"""The positional constructor arguments of a component."""

CHECKS = (
    is_a_finite_number,
    is_pure,
    leaves_its_input_alone,
    the_order_of_videos_does_not_matter,
    being_right_is_best,
    needs_no_more_than_it_says,
    influence_sums_to_0,
    influence_is_what_leaving_out_changes,
)
