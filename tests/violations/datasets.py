"""An correct data set, and for each promise one that breaks it alone."""

from __future__ import annotations

import torch
from violations.violating import violating

from distillbench.interfaces import Codec, DataSet, Labels, Splits, Videos

CLASSES = 4


class TinyVideos(Videos):
    """A few made-up videos of 2 to 6 frames."""

    def __init__(self, name: str, count: int = 6, classes: int = CLASSES) -> None:
        self.ids = [f"{name}{video}" for video in range(count)]
        self.lengths = 2 + torch.arange(count) % 5
        self.labels = Labels(torch.arange(count + 1), torch.arange(count) % CLASSES, classes)
        self.features, self.class_names, self.codec, self.fingerprint = (
            {"rgb": 3},
            None,
            Codec(),
            name,
        )
        self.frames = (torch.arange(count * 6 * 3) % 250 + 1).view(count, 6, 3).to(torch.uint8)
        self.real = self.lengths.clone()

    def read(self, videos, frames, out=None):
        read = self.frames[videos[:, None], frames.clamp(0, 5)]
        read[(frames < 0) | (frames >= self.real[videos, None])] = 0
        return read if out is None else out.copy_(read)


class Stuck(TinyVideos):
    """Gives the first frames, whichever are asked for."""

    def read(self, videos, frames, out=None):
        first = torch.arange(frames.shape[1]).expand_as(frames).minimum(self.real[videos, None] - 1)
        return super().read(videos, torch.where(frames < 0, frames, first), out)


def build(self) -> None:
    pass


def splits(self) -> Splits:
    return Splits(TinyVideos("a"), TinyVideos("b"), TinyVideos("c"))


PARTS = {"__init__": build, "splits": splits}
CORRECT = violating(DataSet, PARTS)


def tests_on_training_videos(self) -> Splits:
    return Splits(TinyVideos("a"), TinyVideos("b"), TinyVideos("a"))


def has_more_classes_in_the_test(self) -> Splits:
    return Splits(TinyVideos("a"), TinyVideos("b"), TinyVideos("c", classes=CLASSES + 1))


def says_one_frame_too_many(self) -> Splits:
    made = splits(self)
    made.train.lengths = made.train.lengths + 1
    return made


def gives_the_first_frames(self) -> Splits:
    return Splits(Stuck("a"), Stuck("b"), Stuck("c"))


def counts_classes_from_one(self) -> Splits:
    made = splits(self)
    for videos in (made.train, made.validation, made.test):
        videos.labels = Labels(videos.labels.offsets, videos.labels.classes + 1, CLASSES)
    return made


def draws_its_ids(self) -> Splits:
    salt = int(torch.randint(1_000_000, ()))
    return Splits(*(TinyVideos(f"{name}{salt}-") for name in "abc"))


VIOLATIONS = [
    ("splits_are_disjoint", violating(DataSet, PARTS, splits=tests_on_training_videos)),
    ("splits_fit_together", violating(DataSet, PARTS, splits=has_more_classes_in_the_test)),
    ("lengths_are_true", violating(DataSet, PARTS, splits=says_one_frame_too_many)),
    (
        "frames_asked_for_are_the_frames_given",
        violating(DataSet, PARTS, splits=gives_the_first_frames),
    ),
    ("classes_are_within_range", violating(DataSet, PARTS, splits=counts_classes_from_one)),
    ("two_opens_agree", violating(DataSet, PARTS, splits=draws_its_ids)),
    ("its_recipe_is_understood", violating(DataSet, PARTS, recipe={"trainning.epochs": 3})),
    ("its_recipe_is_understood", violating(DataSet, PARTS, recipe={"training.epochs": "many"})),
]
