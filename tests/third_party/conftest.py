"""What the tests of somebody's distribution share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest


@pytest.fixture(scope="session")
def arrays(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of float16 arrays and their labels, as `npy-folder` reads them."""
    folder, drawn = tmp_path_factory.mktemp("arrays"), np.random.default_rng(0)
    lines = ["id,split,labels"]
    for split, count in (("train", 40), ("validation", 16), ("test", 16)):
        for number in range(count):
            labels = sorted(set(drawn.integers(0, 4, 2).tolist()))
            frames = drawn.standard_normal((int(drawn.integers(4, 10)), 8)) + 2 * np.eye(4, 8)[
                labels
            ].sum(0)
            np.save(folder / f"{split}{number}.npy", frames.astype(np.float16))
            lines.append(f"{split}{number},{split},{';'.join(map(str, labels))}")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder
