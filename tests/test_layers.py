"""What is public is what is documented, and plugins use nothing else; `lint-imports` keeps the layers."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import distillbench

ROOT = Path(__file__).resolve().parents[1]
PUBLIC = [
    "distillbench",
    "distillbench.interfaces",
    "distillbench.data",
    "distillbench.deployment",
    "distillbench.errors",
    "distillbench.testing",
]
NAMES = {
    "distillbench": (
        "Failure Run TunedArm __version__ compare contrasts hookimpl leaderboard load network_from predict publish run "
        "sweep tune"
    ),
    "distillbench.interfaces": (
        "Average BEST Backbone Batches Between Cell Claim ClipGenerator Clips Codec Copy DataSet Demand Difference "
        "EarlyExit Encoder Encoding Ensemble EpochEnded Executor ExitPolicy Exporter Failed Figure Finished "
        "Follow FrameSelector Freeze Head INTERFACE_VERSION Init Keeps LabelKind LabelLoss Labels "
        "LearnedSelector Learner LossBatch LossContext Lost MatchingLoss Message Metric MetricNeeds NO_FRAME "
        "Need NetworkSpec Networks Objective OneOf Output Phase PhaseStarted PictureEncoder Predictions Preset Publication PublishedFile Ramp Report "
        "Requirements Row RunEnded RunEvent RunJob RunStarted RunStatus Runs Selection Shapes Space Splits "
        "States Study Table Teacher Term Tie TrainingSchedule Trial TrialState Tuner Videos ViewSpec"
    ),
    "distillbench.data": (
        "LARGEST_SEED MOST_CLASSES ArrayFormat ArrayVideos ArrowFormat DataReport Faults FeatureSource "
        "FileReport Found Ids Inspection JoinedVideos MappedVideos NpyFolder NpyVideos PackError "
        "PackProgress PackType Packed Recipe RowColumns ShardSource ShardVideos SplitReport Spread "
        "StoredArray StoredVideos Subset UnusableArrayError Video cache_folder draw_in_rounds encode "
        "files_below find_shards find_vocabulary indexing_progress inspect inspect_splits labels_beside "
        "labels_of load_ids nested_fraction npy_array npy_within pack read_vocabulary require_bounds "
        "require_finite require_frames sampled save_ids split_by_hash splits_of splits_of_files "
        "synthetic_videos warn_of_single_labels write_shard write_synthetic written_whole"
    ),
    "distillbench.deployment": "Deployed deployed inputs_of traced",
    "distillbench.errors": (
        "ConfigError DataError DistillbenchError Interrupted NotApplicableError PluginError RecordError ResultError "
        "TrainingError"
    ),
    "distillbench.testing": "contract_tests",
}
"""Every public name: one that is added or taken away is a decision."""


def imported(path: Path) -> Iterator[str]:
    """Every module of distillbench that a file imports, wherever in it; a name from a package may be one, too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path} imports relatively"
            yield str(node.module)
            found = (
                importlib.import_module(str(node.module))
                if str(node.module).startswith("distillbench")
                else None
            )
            yield from (
                f"{node.module}.{name.name}"
                for name in node.names
                if found is not None and inspect.ismodule(getattr(found, name.name, None))
            )


@pytest.mark.parametrize(
    "path", sorted((ROOT / "plugins").rglob("*.py")), ids=lambda path: path.stem
)
def test_a_plugin_imports_nothing_of_distillbench_but_what_is_public(path: Path) -> None:
    used = {
        name
        for name in imported(path)
        if name == "distillbench" or name.startswith("distillbench.")
    }
    assert used <= {*PUBLIC, "distillbench.metrics", "distillbench.reports"}


@pytest.mark.parametrize("module", PUBLIC)
def test_the_public_names_are_the_ones_that_were_decided_on_in_order(module: str) -> None:
    names = importlib.import_module(module).__all__
    assert sorted(names) == sorted(NAMES[module].split())
    constants = [name for name in names if name.isupper()]
    assert names == sorted(constants) + sorted(name for name in names if name not in constants)
    assert all(hasattr(importlib.import_module(module), name) for name in names)


def test_the_page_of_the_python_api_names_what_is_public() -> None:
    page = (
        (ROOT / "docs" / "python-api.md")
        .read_text(encoding="utf-8")
        .partition("## What is public")[2]
    )
    rows = {row[0]: row[1] for row in re.findall(r"^\| `([\w.]+)` \| (.*) \|$", page, re.M)}
    assert list(rows) == PUBLIC
    assert re.findall(r"`(\w+)`", rows["distillbench"]) == [
        n for n in distillbench.__all__ if n != "__version__"
    ]


def test_importing_distillbench_imports_no_torch() -> None:
    code = (
        "import sys, distillbench; assert not {'torch', 'numpy', 'pandas'} & set(sys.modules); "
        "assert 'sweep' in dir(distillbench); assert callable(distillbench.sweep); assert 'torch' in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'distillbench' has no attribute 'swep'"):
        distillbench.swep  # noqa: B018
