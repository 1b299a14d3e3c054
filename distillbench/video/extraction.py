"""How features were made of videos, as a file beside them tells."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, get_args

import torch

from distillbench.config.run_spec import Choice
from distillbench.errors import ConfigError, DataError
from distillbench.plain_values import check_plain
from distillbench.registry.discovery import Registry
from distillbench.storage import write_text
from distillbench.video.backbone import LoadedBackbone, backbone_of
from distillbench.video.features import FrameEncoder, Stored

FILE = "extraction.json"
_FORMAT = 1
_LEAST, _MOST = 1e-4, 1000.0


@dataclass(frozen=True)
class Extraction:
    """How features are made: by which backbone, of how many frames a second, stored as what."""

    backbone: Choice
    rate: Fraction
    stored: Stored = "float16"

    @classmethod
    def requested(
        cls, registry: Registry, name: str, knobs: Mapping[str, object], fps: float, stored: str
    ) -> Extraction:
        """Checks what a user asks for; raises `ConfigError`."""
        if not _LEAST <= fps <= _MOST:
            raise ConfigError([f"frames a second must be from {_LEAST} to {_MOST:g}; found {fps}"])
        if stored not in get_args(Stored):
            raise ConfigError([f"features are stored as float16 or float32; found '{stored}'"])
        kept: Any = stored
        return cls(backbone_of(registry, name, knobs), Fraction(str(fps)), kept)

    @classmethod
    def read(cls, folder: Path, registry: Registry) -> Extraction | None:
        """Reads how the features in a folder were made; None where nothing tells.

        Raises `DataError` where that cannot be read, `ConfigError` where the backbone is not there
        or not as it was.
        """
        path = folder / FILE
        try:
            text = path.read_text("utf-8")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{path}: cannot be read: {error}") from error
        try:
            told = json.loads(text)
            check_plain(told, "")
            return cls.of(told, registry)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise DataError(f"{path}: does not tell how features were made: {error}") from error

    @classmethod
    def of(cls, told: Mapping[str, Any], registry: Registry) -> Extraction:
        """Makes it again of what `describe` told.

        Raises `ValueError`, `KeyError` or `TypeError` where that is something else.
        """
        if told["format"] != _FORMAT:
            raise ValueError(f"it has format {told['format']}, and {_FORMAT} is known")
        backbone, fps, stored = told["backbone"], float(told["fps"]), str(told["stored"])
        return cls.requested(registry, backbone["name"], dict(backbone["knobs"]), fps, stored)

    def describe(self) -> dict[str, Any]:
        """Everything that identifies it, as JSON would hold it."""
        return {
            "format": _FORMAT,
            "backbone": self.backbone.describe(),
            "fps": float(self.rate),
            "stored": self.stored,
        }

    def write(self, folder: Path) -> None:
        """Writes the file beside features."""
        write_text(folder / FILE, json.dumps(self.describe(), indent=1) + "\n")

    def is_like(self, other: Extraction) -> bool:
        """Tells whether features are the same; the release of a backbone's plugin may differ."""
        ours, theirs = self.describe(), other.describe()
        for each in (ours, theirs):
            del each["backbone"]["version"]
        return ours == theirs

    def encoder(self, device: torch.device, threads: int = 1) -> FrameEncoder:
        """Loads the backbone."""
        backbone = LoadedBackbone(self.backbone, device)
        return FrameEncoder(backbone, self.rate, self.stored, threads)
