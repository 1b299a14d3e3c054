"""Every block on every page is run, in the page's order, or says why not.

A scene lays out what a reader has who comes to a page (shards, clips, predictions), and says what
stands for the places to fill; addresses are those of a server of this test's own. `page_stage` says
how commands are made small, `page_blocks` how a block says that it is not run.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
import shutil
import sys
import tempfile
import threading
import urllib.request
import wave
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import hostile
import in_this_process
import numpy as np
import pandas as pd
import pytest
import torch
import typer
from encoded import Encoding, encode, painted
from page_blocks import BLOCKS, PAGES, ROOT, Block
from page_stage import CELLS, DIGITS, Command, Stage
from remote_server import Server, serving

from distillbench.data import Recipe, write_synthetic
from distillbench.interfaces import Clips, Codec
from distillbench.networks import Model
from distillbench.page.server import PageServer
from distillbench.scaffold import example
from distillbench_plugins.encoders.mean_pool import MeanPool
from distillbench_plugins.heads.moe import MixtureOfExperts

MADE = "docs/test_pages.py::test_pages_that_are_made_from_the_code_are_up_to_date"
NEW = "docs/test_tutorial.py::test_a_new_plugin_is_made_as_pages_say"
TUTORIAL = "docs/test_tutorial.py::test_the_tutorial_runs"
EXAMPLES = "docs/test_pages.py::test_every_example_of_writing_a_plugin_keeps_the_contract"
ELSEWHERE = (
    ("docs/api.md", "", MADE),
    ("docs/cli.md", "", MADE),
    ("docs/contract.md", "What a loss needs", MADE),
    ("docs/python-api.md", "", "test_api.py::test_the_examples_of_the_page_run"),
    ("docs/tutorial.md", "", TUTORIAL),
    ("docs/writing-a-plugin.md", "distillbench new", NEW),
    ("docs/writing-a-plugin.md", "@hookimpl", EXAMPLES),
    ("README.md", "distillbench new", NEW),
    ("README.md", "@hookimpl", "docs/test_pages.py::test_the_readmes_selector_keeps_the_contract"),
)
"""Blocks that another test is about: their page, words that they hold, and the test."""


def other_test(block: Block) -> str | None:
    """The other test that a block is left to."""
    found = (test for page, words, test in ELSEWHERE if page == block.page and words in block.text)
    return next(found, None)


LONG = ("README.md", "docs/comparing.md", "docs/many-devices.md")
"""Pages with so many commands, or such, that they take half a minute."""

Check = Callable[[], object]
Scene = Callable[[Stage], Check | None]
"""Lays out a page's folder, and returns what looks at it once all is done."""

OURS = [block for block in BLOCKS if block.is_run and other_test(block) is None]


# ---------------------------------------------------------------------------------------- scenes


def write_shards(
    folder: Path,
    names: Sequence[str] = ("shard",),
    shards: int = 2,
    digits: int = 5,
    **recipe: object,
) -> None:
    """Writes 60 videos of 30 to 40 frames in YouTube-8M's layout, for each name, in some shards."""
    for seed, name in enumerate(names):
        (folder / "made").mkdir(parents=True)
        made = {"widths": {"rgb": 24, "audio": 8}, "videos": 60, "shortest": 30, "longest": 40}
        made |= {"classes": 5, "seed": seed}
        write_synthetic(folder / "made", Recipe(**made | recipe), shards)
        for number, shard in enumerate(sorted((folder / "made").iterdir())):
            shard.rename(folder / f"{name}{number:0{digits}d}.tfrecord")
        (folder / "made").rmdir()


def publish_shards(folder: Path) -> None:
    """Writes shards, and their lists with sums, as YouTube-8M's buckets have them."""
    for seed, split in enumerate(("train", "validate")):
        place = folder / "us.data.yt8m.org" / "2" / "frame" / split
        write_shards(place, (split,), seed=seed)
        sums = {each.name: hashlib.md5(each.read_bytes()).hexdigest() for each in place.iterdir()}
        plan = folder / "data.yt8m.org" / "2" / "download_plans" / f"frame_{split}.json"
        plan.parent.mkdir(parents=True, exist_ok=True)
        plan.write_text(json.dumps({"files": sums}))


def write_clips(stage: Stage) -> None:
    """Writes clips of two seconds, and trains a student on their features: `predict RUN`."""
    pytest.importorskip("av")
    rows = ["id,labels,split"]
    for number in range(6):
        name, split = f"clip{number}", ("train", "validation", "test")[number % 3]
        pictures = [painted(40 * (number % 2) + shown) for shown in range(51)]
        for folder in ("clips", "more"):
            (stage.folder / folder).mkdir(exist_ok=True)
            encode(stage.folder / folder / name, Encoding(), pictures)
        rows.append(f"{name},{'ab'[number % 2]},{split}")
    shutil.copy(stage.folder / "clips/clip0.mp4", stage.folder / "clip.mp4")
    (stage.folder / "labels.csv").write_text("\n".join(rows))
    stage.more["distillbench extract"] = ["--workers", "1"]
    stage.tell("distillbench extract clips --out of-clips")
    stage.tell(
        "distillbench run --data npy-single-label --data-dir of-clips --k 2 --schedule scratch"
        " --set data.labels=labels.csv --results of-clips/results"
    )
    (made,) = (stage.folder / "of-clips/results").glob("*.json")
    stage.stand_ins["predict RUN"] = f"predict {made}"


def buckets(stage: Stage, server: Server) -> None:
    """Has the libraries of buckets find the server, as somebody does who has one."""
    stage.patch.setenv("AWS_ENDPOINT_URL", server.url)
    stage.patch.setenv("AWS_SKIP_SIGNATURE", "true")
    stage.patch.setenv("AWS_REGION", "us-east-1")
    account = {"gcs_base_url": server.url, "disable_oauth": True, "client_email": ""}
    path = stage.folder / "account.json"
    path.write_text(json.dumps({**account, "private_key": "", "private_key_id": ""}))
    stage.patch.setenv("GOOGLE_SERVICE_ACCOUNT", str(path))


def readme(stage: Stage) -> None:
    """A reader who has seen the demo, with shards, clips, predictions and another page's arms.

    The demo is made small by a file of its name, which comes before the shipped one; its networks
    train until they get no better, so that its board has the notes of the page's and no others.
    """
    for library in ("obstore", "optuna", "onnxruntime"):
        pytest.importorskip(library)
    shipped = (ROOT / "plugins/distillbench_plugins/sweeps/demo.toml").read_text(encoding="utf-8")
    small = ["training.epochs=60", "training.patience=2", "training.batch_size=16"]
    lines = "".join(f"set.{each.replace('=', ' = ')}\n" for each in [*small, *CELLS, *DIGITS])
    (stage.folder / "demo").write_text(shipped.replace("\n[[grid]]", f"{lines}\n[[grid]]", 1))
    stage.tell("distillbench demo")
    stage.tell("distillbench leaderboard results/demo --width 80")
    server = stage.serve()
    buckets(stage, server)
    write_shards(stage.folder / "shards")
    write_shards(server.folder / "shards")
    publish_shards(server.folder)
    stage.more["data fetch"] = ["--from", server.url]
    stage.lay_out([each for each in BLOCKS if each.page == "docs/comparing.md"])
    scored = {"id": ["a", "a", "b"], "class": [0, 1, 1], "score": [0.9, 0.2, 0.8]}
    pd.DataFrame(scored).to_parquet(stage.folder / "predictions.parquet")
    pd.DataFrame({"id": ["a", "b"], "class": [0, 1]}).to_parquet(stage.folder / "labels.parquet")
    write_clips(stage)


def comparing(stage: Stage) -> None:
    """A reader with the libraries of tuning and of figures."""
    for library in ("optuna", "matplotlib"):
        pytest.importorskip(library)


def contract(stage: Stage) -> Check:
    """An author with a distribution of one selector, who gets a test for each of its promises."""
    installed = stage.folder / "installed"
    installed.mkdir()
    hostile.install(installed, {"mine": example("selector", "mine")}, "my-distribution", "1")
    stage.patch.syspath_prepend(str(installed))

    def has_tests() -> None:
        (mark,) = stage.names["test_contract"].pytestmark  # type: ignore[attr-defined]
        named = [case.id for case in mark.args[1]]
        assert sum(name.startswith("mine.") for name in named) > 5

    return has_tests


def export(stage: Stage) -> None:
    """A reader with a trained network, and a toy of one in Python."""
    pytest.importorskip("onnxruntime")
    stage.tell("distillbench run --k 4 --schedule scratch")
    head, encoder = MixtureOfExperts(8, 5), MeanPool(16, size=8)
    network = Model(encoder, head, Codec(scale=0.03, offset=-4.0), features={"toy": 16}).eval()
    frames = torch.zeros(2, 3, 16, dtype=torch.uint8)
    example = Clips(frames, torch.tensor([3, 3]), torch.arange(3).repeat(2, 1), 3)
    stage.names = {"network": network, "example": example, "about": {"frames": 3}}


def methods(stage: Stage) -> None:
    """A reader with recordings, and with features that lie as the page shows."""
    stage.stand_ins["NAME"] = "gumbel"
    stage.more["--data synthetic"] = ["--set", "data.videos=40", "--set", "data.classes=5"]
    generator = np.random.default_rng(0)
    (stage.folder / "recordings").symlink_to(".")
    for digit, speaker, take in itertools.product(range(10), ("ann", "bob"), range(3)):
        with wave.open(f"{digit}_{speaker}_{take}.wav", "wb") as file:
            file.setparams((1, 2, 8000, 0, "NONE", ""))
            file.writeframes(generator.integers(-9000, 9000, 1200).astype("<i2").tobytes())

    def features(block: Block) -> None:
        """Writes the files that a listing names: beside each, a line of the table of labels."""
        folder, *lines = block.text.splitlines()
        names, rows = zip(*(line.split() for line in lines), strict=True)
        assert names[0] == "labels.csv"
        more = [f"more{number},{('beach', 'speech')[number % 2]}" for number in range(40)]
        rows = [*rows, *more]
        for row in rows[1:]:
            path = stage.folder / folder / f"{row.partition(',')[0]}.npy"
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, generator.random((12, 8), np.float32))
        assert {str(each) for each in names[1:]} <= {
            path.relative_to(stage.folder / folder).as_posix()
            for path in (stage.folder / folder).rglob("*.npy")
        }
        (stage.folder / folder / names[0]).write_text("\n".join(rows))

    stage.expects = features


def results_page(stage: Stage) -> Check:
    """A reader with a result, and a browser that looks once at what is served."""
    opened: list[str] = []
    stage.tell("distillbench run --k 4 --schedule scratch")
    stage.patch.setattr(typer, "launch", opened.append)
    serve = PageServer.serve_forever

    def look(server: PageServer) -> None:
        thread = threading.Thread(target=serve, args=(server, 0.01))
        thread.start()
        with urllib.request.urlopen(server.url) as answer:
            assert b"distillbench results" in answer.read()
        server.shutdown()
        thread.join()
        raise KeyboardInterrupt

    stage.patch.setattr(PageServer, "serve_forever", look)
    stage.more["distillbench serve"] = ["--port", "0"]

    def was_opened() -> None:
        assert opened == [(stage.folder / "pages/index.html").as_uri()]
        assert "until Ctrl-C" in stage.printed

    return was_opened


def remote_data(stage: Stage) -> None:
    """A reader with buckets and servers, which all are one."""
    pytest.importorskip("obstore")
    server, guarded = stage.serve(), stage.serve()
    buckets(stage, server)
    guarded.wants = "sig=secret"
    write_shards(guarded.folder / "folder")
    split = ("train", "validate")
    write_shards(server.folder, split)
    write_shards(server.folder / "folder")
    write_shards(server.folder / "sounds", widths={"audio_embedding": 8}, shortest=10, longest=10)
    write_shards(stage.folder / "raw")
    stage.tell("distillbench data pack raw packed --data yt8m")
    write_shards(server.folder / "packed", ("train-",), shards=100, videos=200)
    write_shards(server.folder / "packed", ("test-",), shards=10, digits=1, seed=1)
    shutil.copy(stage.folder / "packed/packed.json", server.folder / "packed")
    publish_shards(server.folder)
    stage.more |= {
        "data fetch": ["--from", server.url, "--shards", "1/1"],
        "data.test='validate": ["--set", "data.validation_share=0.2"],
    }
    stage.stand_ins |= {
        "https://host/folder?sig=...": f"{guarded.url}/folder?sig=secret",
        "https://host/folder --k 30": f"{guarded.url}/folder --k 30",
        "audioset --data-dir https://host/folder": f"audioset --data-dir {server.url}/sounds",
        "https://host/t": f"{server.url}/packed/t",
        "https://host": server.url,
    }


def result_files(stage: Stage) -> None:
    """A reader in a clone, with a result, whose published set is on a server."""
    pytest.importorskip("aiohttp")
    server = stage.serve()
    (stage.folder / "docs").symlink_to(ROOT / "docs")
    stage.tell("distillbench run --k 4 --schedule scratch")
    (server.folder / "published").symlink_to(stage.folder / "published")
    stage.stand_ins["https://example.org"] = server.url


def video(stage: Stage) -> None:
    """A reader with clips."""
    write_clips(stage)


SCENES: dict[str, Scene] = {
    "README.md": readme,
    "docs/comparing.md": comparing,
    "docs/contract.md": contract,
    "docs/export.md": export,
    "docs/methods.md": methods,
    "docs/page.md": results_page,
    "docs/remote-data.md": remote_data,
    "docs/result-files.md": result_files,
    "docs/video.md": video,
}


# ----------------------------------------------------------------------------------------- tests


@pytest.fixture
def stage(command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Stage]:
    """An empty folder, where the usual executor makes runs in this process."""
    installed, folder = tmp_path / "installed", tmp_path / "folder"
    installed.mkdir()
    folder.mkdir()
    plugin = Path(in_this_process.__file__).read_text(encoding="utf-8")
    hostile.install(installed, {"runs_in_this_process": plugin}, "in-this-process", "1")
    monkeypatch.syspath_prepend(str(installed))
    for module in ("requests", "tuning"):
        monkeypatch.setattr(
            f"distillbench.api.{module}.usual_executor", lambda _: in_this_process.NAME
        )
    monkeypatch.chdir(folder)
    monkeypatch.setenv("DISTILLBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("COLUMNS", "80")
    with ExitStack() as stack:

        def serve() -> Server:
            return stack.enter_context(serving(Path(tempfile.mkdtemp(dir=tmp_path))))

        yield Stage(command, monkeypatch, folder, serve)
    # A module of this page's must not be found by a test that comes after it.
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(
            page, marks=[pytest.mark.slow, pytest.mark.timeout(900)] if page in LONG else []
        )
        for page in dict.fromkeys(block.page for block in OURS)
    ],
)
def test_the_blocks_of_a_page_work(page: str, stage: Stage) -> None:
    blocks = [block for block in OURS if block.page == page]
    stage.lay_out(blocks)
    check = SCENES[page](stage) if page in SCENES else None
    for block in blocks:
        stage.do(block)
    if check is not None:
        check()


def test_a_block_that_is_left_to_another_test_is_left_to_one_that_is_there() -> None:
    for page, words, test in ELSEWHERE:
        path, _, name = test.partition("::")
        assert f"def {name}(" in (ROOT / "tests" / path).read_text(encoding="utf-8"), test
        assert [b for b in BLOCKS if b.page == page and words in b.text], f"{page} has no {words!r}"


def test_a_reason_not_to_run_is_about_something_and_says_something() -> None:
    for block in BLOCKS:
        for each in block.not_run:
            assert len(each.reason.split()) > 3, block
            assert each.words in block.text, f"{block} has no line with {each.words!r}"
            assert other_test(block) is None, f"{block} is run by another test"
    written = sum(
        len(re.findall("^ *<!-- not run", page.read_text(encoding="utf-8"), re.MULTILINE))
        for page in PAGES
    )
    assert written == sum(len(block.not_run) for block in BLOCKS), "one is not in front of a block"


def test_every_file_of_settings_that_a_page_shows_is_read_by_a_command_of_the_page() -> None:
    for block in OURS:
        if block.language == "toml":
            same = [each for each in OURS if each.page == block.page and each.is_shell]
            read = [line for each in same for line in each.commands if block.file_name in line]
            assert block.file_name, f"{block} has no name"
            assert read, f"no command reads {block.file_name} of {block}"
