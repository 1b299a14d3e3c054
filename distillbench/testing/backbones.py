"""What a backbone promises."""

from __future__ import annotations

import torch
from torch import Tensor

from distillbench.errors import ConfigError
from distillbench.interfaces import Backbone, PictureEncoder
from distillbench.testing import modules
from distillbench.testing.promises import Subject, Unchecked, expect, seeded

_PICTURES = 3


def _loaded(subject: Subject) -> PictureEncoder:
    backbone: Backbone = subject.build()
    try:
        loaded = backbone.load()
    except ConfigError as error:  # a package or the name of a model is missing
        raise Unchecked(str(error)) from error
    expect(isinstance(loaded, PictureEncoder), f"load() returned {type(loaded).__name__}")
    return loaded


def _pictures(size: int) -> Tensor:
    generator = torch.Generator().manual_seed(4)
    coarse = torch.rand(_PICTURES, 3, 4, 4, generator=generator)
    fine = torch.nn.functional.interpolate(coarse, (size, size), mode="bilinear")
    return (255 * fine).to(torch.uint8)


def _encoded(loaded: PictureEncoder, pictures: Tensor, seed: int = 1) -> Tensor:
    with seeded(seed), torch.no_grad():
        encoded: Tensor = loaded.network(pictures.clone())
    return encoded


def says_what_it_is_shown(subject: Subject) -> None:
    """Its pictures have a side of one pixel or more, and show a part of the frame."""
    loaded = _loaded(subject)
    expect(type(loaded.size) is int and loaded.size >= 1, f"size {loaded.size!r}")
    expect(0 < loaded.crop <= 1, f"crop {loaded.crop!r}, not above 0 and at most 1")


def a_row_for_each_picture(subject: Subject) -> None:
    """It returns one row of finite floating point numbers a picture, which tell pictures apart."""
    loaded = _loaded(subject)
    encoded = _encoded(loaded, _pictures(loaded.size))
    expect(encoded.ndim == 2 and len(encoded) == _PICTURES, f"shape {tuple(encoded.shape)}")
    expect(encoded.is_floating_point(), f"numbers of {encoded.dtype}")
    expect(bool(encoded.isfinite().all()), "numbers that are not finite")
    apart = [(encoded[one] - encoded[other]).abs().max() for one, other in ((0, 1), (1, 2))]
    expect(min(apart) > 0, "the same numbers for different pictures")


def pictures_do_not_see_each_other(subject: Subject) -> None:
    """A picture's numbers are the same alone as in a batch."""
    loaded = _loaded(subject)
    pictures = _pictures(loaded.size)
    together = _encoded(loaded, pictures)
    for number in range(_PICTURES):
        alone = _encoded(loaded, pictures[number : number + 1])[0]
        modules.same(alone, together[number], f"picture {number} alone and in a batch")


def evaluation_is_deterministic(subject: Subject) -> None:
    """The same picture has the same numbers, whatever the random state."""
    loaded = _loaded(subject)
    pictures = _pictures(loaded.size)
    first, second = _encoded(loaded, pictures, seed=1), _encoded(loaded, pictures, seed=2)
    expect(bool(torch.equal(first, second)), "other numbers the second time")


def loads_the_same_again(subject: Subject) -> None:
    """Loaded twice, from any random state, it has the same weights."""
    states = []
    for seed in (1, 2):
        with seeded(seed):
            states.append(_loaded(subject).network.state_dict())
    first, second = states
    differing = [name for name in first if not torch.equal(first[name], second[name])]
    expect(not differing, f"other weights the second time: {', '.join(differing)}")


def leaves_its_input_as_it_was(subject: Subject) -> None:
    """It changes nothing of the pictures that it is given."""
    loaded = _loaded(subject)
    pictures = _pictures(loaded.size)
    before = pictures.clone()
    with torch.no_grad():
        loaded.network(pictures)
    expect(bool(torch.equal(pictures, before)), "pictures that were changed")


GIVEN: tuple[object, ...] = ()
"""The positional constructor arguments of a component."""

CHECKS = (
    says_what_it_is_shown,
    a_row_for_each_picture,
    pictures_do_not_see_each_other,
    evaluation_is_deterministic,
    loads_the_same_again,
    leaves_its_input_as_it_was,
)
