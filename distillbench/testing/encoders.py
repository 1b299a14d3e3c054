"""What an encoder promises, as teacher or as student."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from distillbench.interfaces import NO_FRAME, Clips, EarlyExit, Encoder, Encoding, States
from distillbench.testing import modules, toys
from distillbench.testing.promises import Broken, Subject, Unclaimed, expect, seeded

LENGTHS = (12, 9, 7, 4)  # falling: what depends on the order has a check of its own
LONG = (60, 45, 23, 9)


def _evaluated(subject: Subject, seed: int = 0) -> Encoder:
    encoder: Encoder = subject.build(toys.WIDTH, seed=seed)
    return encoder.eval()


def _encode(encoder: nn.Module, batch: Clips) -> Encoding:
    with seeded(1), torch.no_grad():
        encoding: Encoding = encoder(batch)
    return encoding


def _summary(encoder: nn.Module, batch: Clips) -> Tensor:
    return _encode(encoder, batch).summary.reshape(len(batch.lengths), -1)


def a_row_for_each_clip(subject: Subject) -> None:
    """It returns one row of finite numbers for each clip, equally wide whatever the batch."""
    encoder, widths = _evaluated(subject), set()
    for lengths in (LENGTHS, LENGTHS[:1]):
        summary = _encode(encoder, toys.clips(lengths)).summary
        expect(
            summary.dim() == 2 and len(summary) == len(lengths),
            f"{tuple(summary.shape)} for {len(lengths)} clips",
        )
        expect(
            summary.is_floating_point() and summary.isfinite().all(), "numbers that are not finite"
        )
        widths.add(summary.shape[1])
    expect(len(widths) == 1, f"widths {sorted(widths)}")


def states_come_when_asked(subject: Subject) -> None:
    """States are returned only on request, with the number of the frame that each follows.

    values (B, T', W) and times (B, T') int64 on the CPU, ascending, `NO_FRAME` where padded. An
    encoder without states never returns any.
    """
    encoder, batch = _evaluated(subject), toys.clips(LENGTHS)
    expect(not _encode(encoder, batch).states, "states without a request")
    with seeded(0), torch.no_grad():
        encoding: Encoding = encoder(batch, with_states=True)
    for name, states in encoding.states.items():
        expect(
            isinstance(name, str) and isinstance(states, States),
            f"states {name!r}: {type(states).__name__}",
        )
        times, values = states.times, states.values
        expect(
            times.dtype == torch.int64 and times.device.type == "cpu",
            f"times of {times.dtype} on {times.device}",
        )
        expect(values.dim() == 3, f"states of shape {tuple(values.shape)}")
        shapes = tuple(times.shape), tuple(values.shape[:2])
        expect(
            shapes[0] == shapes[1] and len(times) == len(LENGTHS),
            f"times {shapes[0]} for states {shapes[1]}",
        )
        for row, length in zip(times, LENGTHS, strict=True):
            real = row[row != NO_FRAME]
            ascending = len(real) and (real.diff() > 0).all() and int(real[-1]) < length
            expect(ascending, f"times {row.tolist()}, length {length}")


def exits_end_where_it_ends(subject: Subject) -> None:
    """If it may stop early.

    Up to all frames it encodes what `forward` does, and up to each exit as wide.

    Exits are ascending numbers of at least 1, and do not depend on the clips.
    """
    encoder, batch = _evaluated(subject), toys.clips(LENGTHS)
    if not isinstance(encoder, EarlyExit):
        raise Unclaimed("it has no exits")
    exits = list(encoder.exits)
    if not exits:
        raise Unclaimed("it has no exits with these knobs")
    whole = all(type(number) is int and number >= 1 for number in exits)
    expect(whole and exits == sorted(set(exits)), f"exits {exits}")
    whole_encoding = _encode(encoder, batch)
    for frames in (*exits, max(LENGTHS)):
        with seeded(0), torch.no_grad():
            summary = encoder.up_to(batch, frames).summary
        expect(
            summary.shape == whole_encoding.summary.shape,
            f"{tuple(summary.shape)} up to {frames} frames",
        )
        expect(bool(summary.isfinite().all()), f"a number that is not finite up to {frames} frames")
    modules.same(
        summary, whole_encoding.summary, "the encoding up to all frames and the whole one", 1e-5
    )


def clips_do_not_see_each_other(subject: Subject) -> None:
    """A clip's encoding is the same alone as in a batch."""
    encoder = _evaluated(subject)
    together = _summary(encoder, toys.clips(LENGTHS))
    for place in range(len(LENGTHS)):
        alone = _summary(encoder, toys.rows(toys.clips(LENGTHS), [place]))
        modules.same(
            alone[0], together[place], f"clip {place} alone and in a batch of {len(LENGTHS)}"
        )


def order_of_the_batch_does_not_matter(subject: Subject) -> None:
    """Clips in another order give the same encodings in that order."""
    encoder, order = _evaluated(subject), [2, 0, 3, 1]
    straight = _summary(encoder, toys.clips(LENGTHS))
    mixed = _summary(encoder, toys.rows(toys.clips(LENGTHS), order))
    modules.same(mixed, straight[order], f"clips in the order {order}")


def padding_is_not_seen(subject: Subject) -> None:
    """Padding a batch further changes no encoding."""
    encoder = _evaluated(subject)
    for lengths in ((5, 5, 5), (5, 5, 4)):
        trimmed = _summary(encoder, toys.clips(lengths))
        padded = _summary(encoder, toys.clips(lengths, padded=6))
        modules.same(padded, trimmed, f"lengths {lengths} padded to 11 frames and to 5")


def one_frame_is_enough(subject: Subject) -> None:
    """A clip of one frame has a finite encoding."""
    encoder = _evaluated(subject)
    for padded in (0, 3):
        summary = _summary(encoder, toys.clips((1, 1, 1), padded))
        expect(
            summary.isfinite().all(),
            f"numbers that are not finite, for one frame padded to {1 + padded}",
        )


def leaves_its_input_as_it_was(subject: Subject) -> None:
    """It changes nothing of the clips that it is given."""
    batch, untouched = toys.clips(LENGTHS, padded=2), toys.clips(LENGTHS, padded=2)
    encoder = _evaluated(subject)
    _encode(encoder, batch)
    for name in ("frames", "lengths", "times"):
        expect(
            torch.equal(getattr(batch, name), getattr(untouched, name)), f"other {name} than before"
        )


def evaluation_is_deterministic(subject: Subject) -> None:
    """In evaluation the same clips have the same encoding, whatever the random state."""
    modules.repeats(_evaluated(subject), lambda encoder: encoder(toys.clips(LENGTHS)).summary)


def every_weight_gets_a_gradient(subject: Subject) -> None:
    """Every weight gets a finite gradient other than zero.

    From the summary, or from the states if it has any.
    """
    with seeded(0):
        encoder: Encoder = subject.build(toys.WIDTH).train()
        encoding: Encoding = encoder(toys.clips(LONG), with_states=True)
        parts = [
            encoding.summary,
            *(states.values for states in encoding.states.values()),
            *encoding.exits,
        ]
        value = torch.stack(
            [(part * modules.draw(1, part)).sum() + part.square().mean() for part in parts]
        ).sum()
        modules.all_weights_learn(encoder, value)


def survives_safetensors(subject: Subject) -> None:
    """Its weights, stored as safetensors and loaded into a new build, make the same encoder."""
    first, second = _evaluated(subject, seed=1), _evaluated(subject, seed=2)
    modules.survives_storage(first, second, lambda encoder: _summary(encoder, toys.clips(LENGTHS)))


def its_cost_can_be_counted(subject: Subject) -> None:
    """Its multiply-accumulates can be counted on the meta device, and grow with the frames."""
    counted = {frames: _macs(subject, frames) for frames in (4, 12)}
    expect(counted[4] > 0, "no multiply-accumulates at all; element-wise work is not counted")
    expect(counted[12] > counted[4], f"{counted[4]:,} for 4 frames and {counted[12]:,} for 12")


def _macs(subject: Subject, frames: int) -> int:
    encoder = _evaluated(subject).to("meta")
    batch = toys.clips((frames,))
    shown = Clips(batch.frames.to("meta"), batch.lengths, batch.times, batch.slots)
    try:
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            encoder(shown)
    except (RuntimeError, NotImplementedError) as error:
        raise Broken(
            f"not countable on the meta device: {str(error).partition(chr(10))[0]}"
        ) from error
    return int(counter.get_total_flops()) // 2


def learns_a_toy_batch(subject: Subject) -> None:
    """Trained on four clips under a fixed linear head, it lowers the loss by a third.

    In 60 steps of Adam.
    """
    with seeded(0):
        encoder: Encoder = subject.build(toys.WIDTH).train()
        width = _summary(encoder, toys.clips(LENGTHS)).shape[1]
        head = torch.randn(width, toys.CLASSES)
        targets, adam = toys.labels(len(LENGTHS)), torch.optim.Adam(encoder.parameters(), 0.01)
        values = []
        for _ in range(60):
            logits = encoder(toys.clips(LENGTHS)).summary.reshape(len(LENGTHS), -1) @ head
            loss = nn.functional.binary_cross_entropy_with_logits(logits, targets)
            adam.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            adam.step()
            values.append(float(loss.detach()))
    end = sum(values[-5:]) / 5  # dropout makes single steps noisy
    expect(end < values[0] * 2 / 3, f"a loss of {values[0]:.3f} at first and {end:.3f} in the end")


def is_unchanged_when_frozen(subject: Subject) -> None:
    """Frozen and in evaluation mode, its weights and buffers stay, and no gradient passes."""
    encoder: Encoder = subject.build(toys.WIDTH)
    modules.is_unchanged(encoder, lambda frozen: frozen(toys.clips(LENGTHS)).summary)


def works_under_bf16_autocast(subject: Subject) -> None:
    """Under bf16 autocast it encodes about as in float32, and learns."""
    encoder = _evaluated(subject)
    plain = _summary(encoder, toys.clips(LENGTHS))
    with seeded(1), torch.autocast("cpu", torch.bfloat16):
        low = encoder(toys.clips(LENGTHS)).summary.reshape(len(LENGTHS), -1)
    modules.same(low.float(), plain, "bf16 and float32", 0.1)
    low.float().square().sum().backward()
    for name, weight in encoder.named_parameters():
        expect(
            weight.grad is None or weight.grad.isfinite().all(),
            f"{name} got a gradient that is not finite",
        )


GIVEN: tuple[object, ...] = (toys.WIDTH,)
"""The positional constructor arguments of a component."""

CHECKS = (
    a_row_for_each_clip,
    states_come_when_asked,
    exits_end_where_it_ends,
    clips_do_not_see_each_other,
    order_of_the_batch_does_not_matter,
    padding_is_not_seen,
    one_frame_is_enough,
    leaves_its_input_as_it_was,
    evaluation_is_deterministic,
    every_weight_gets_a_gradient,
    survives_safetensors,
    its_cost_can_be_counted,
    learns_a_toy_batch,
    is_unchanged_when_frozen,
    works_under_bf16_autocast,
)
