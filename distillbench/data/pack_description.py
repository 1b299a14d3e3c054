"""What stands beside packed shards: how their frames are to be read."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, get_args

import torch

from distillbench.data.bounds import MOST_CLASSES
from distillbench.data.places import Place, is_file
from distillbench.errors import DataError
from distillbench.interfaces import Codec, LabelKind
from distillbench.interfaces.clips import Normalise

DESCRIPTION, PROGRESS = "packed.json", "packing.json"
"""Names of the description of shards that are whole, and of those that are being written."""

FORMAT = 1
_LARGEST = torch.finfo(torch.float32).max
_DTYPES = {"uint8": torch.uint8, "float16": torch.float16, "float32": torch.float32}


@dataclass(frozen=True, kw_only=True)
class PackDescription:
    """How packed shards are to be read.

    features: name and width of each list, in the order they are joined.
    dtype: of their numbers: uint8, float16 or float32.
    scale, offset: of the codec.
    normalise: what the data set that was packed did with a frame.
    classes: their number.
    label_kind: of the data set that was packed.
    source: what was packed; changes when anything in it would.
    """

    features: Mapping[str, int]
    dtype: str
    scale: float
    offset: float
    normalise: Normalise
    classes: int
    label_kind: LabelKind
    source: str
    format: int = FORMAT

    @property
    def torch_dtype(self) -> torch.dtype:
        """The type that frames are read as."""
        return _DTYPES[self.dtype]

    @property
    def codec(self) -> Codec:
        """How frames are decoded, before they are normalised."""
        return Codec(scale=self.scale, offset=self.offset, normalise="none")

    def text(self, **more: object) -> str:
        """Writes it as JSON, with more fields."""
        return json.dumps(asdict(self) | more, indent=1) + "\n"


def read_description(path: Place) -> PackDescription:
    """Reads a description; raises `DataError` where it is damaged or of a later format."""
    try:
        found = json.loads(path.read_bytes())
        if not isinstance(found, dict) or found.get("format") != FORMAT:
            raise ValueError(f"its format is not {FORMAT}")
        names = PackDescription.__dataclass_fields__
        return _checked(PackDescription(**{name: found[name] for name in names}))
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise DataError(f"{path}: this description of shards cannot be read: {error}") from error


def description_of(folders: Iterable[Place]) -> PackDescription | None:
    """Returns what says how the shards of some folders are read; None for shards of another origin.

    Raises `DataError` for shards that were not all written, and for such as differ.
    """
    found: dict[Place, PackDescription | None] = {}
    for folder in sorted(set(folders), key=str):
        if is_file(folder / PROGRESS):
            raise DataError(f"{folder}: these shards are not all written; pack them again to go on")
        place = folder / DESCRIPTION
        found[folder] = read_description(place) if is_file(place) else None
    ways: dict[tuple[Any, ...], Place] = {}
    for folder, each in found.items():
        ways.setdefault(_way(each), folder)
    if len(ways) > 1:
        first, second, *_ = ways.values()
        raise DataError(f"the shards of {first} and of {second} are not to be read alike")
    return next(iter(found.values()), None)


def _way(each: PackDescription | None) -> tuple[Any, ...]:
    if each is None:
        return ()
    return each.dtype, each.scale, each.offset, each.classes, *each.features.items()


def _checked(found: PackDescription) -> PackDescription:
    if not isinstance(found.features, dict):
        raise ValueError("'features' must name widths")
    numbers = all(
        isinstance(name, str) and type(width) is int and width > 0
        for name, width in found.features.items()
    )
    if not numbers or not found.features:
        raise ValueError("'features' must name widths")
    if found.normalise not in get_args(Normalise):
        raise ValueError(f"'normalise' must be one of {', '.join(get_args(Normalise))}")
    if found.dtype not in _DTYPES:
        raise ValueError(f"'dtype' must be one of {', '.join(_DTYPES)}")
    if not all(type(each) in (int, float) for each in (found.scale, found.offset)):
        raise ValueError("'scale' and 'offset' must be numbers")
    if not 0 < found.scale <= _LARGEST or not -_LARGEST <= found.offset <= _LARGEST:
        raise ValueError("'scale' must be a positive number, and 'offset' one that float32 holds")
    if type(found.classes) is not int or not 0 < found.classes <= MOST_CLASSES:
        raise ValueError(f"'classes' must be a number from 1 to {MOST_CLASSES:,}")
    return found
