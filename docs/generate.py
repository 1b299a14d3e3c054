"""`python docs/generate.py`: makes contract.md, cli.md and schema/ from the code, and fills the marked parts of other pages.

A marked part lies between `<!-- made from the code: NAME -->` and `<!-- end -->`; `made` lists the
names.
"""

from __future__ import annotations

import csv
import inspect
import json
import re
import typing
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path

import typer
from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema
from typer.models import ArgumentInfo, OptionInfo

from distillbench.cli.app import app
from distillbench.interfaces import Requirements
from distillbench.registry.discovery import discover
from distillbench.registry.hookspecs import OBSERVER_HOOKS
from distillbench.registry.kinds import KINDS
from distillbench.results.schema import StoredFailure, StoredResult
from distillbench.results.store import FORMAT
from distillbench.scaffold import PROJECTS, example
from distillbench.testing.promises import Check
from distillbench.testing.runner import CHECKS

HERE = Path(__file__).resolve().parent
BOARD = HERE.parent / "benchmarks" / "results" / "zoo" / "board.csv"
PAGES = (
    HERE.parent / "README.md",
    HERE / "writing-a-plugin.md",
    HERE / "tutorial.md",
    HERE / "methods.md",
    HERE / "zoo.md",
    HERE / "performance.md",
    HERE / "video.md",
    HERE / "export.md",
    HERE / "scaling.md",
    HERE / "remote-data.md",
)
SPEED = HERE.parent / "benchmarks" / "speed"
PUBLISHED, DEPLOYMENT = SPEED / "published_encoders.csv", SPEED / "deployment.csv"
EXPORTS = HERE.parent / "benchmarks" / "results" / "exports.csv"
LSTM_AMX = SPEED / "lstm_amx.csv"
END_TO_END, FORMATS = SPEED / "end_to_end.csv", SPEED / "feature_formats.csv"
_FIGURES = {
    "table 1 on all videos": (
        "scaling.csv",
        {
            "devices": "devices",
            "rates": "rates",
            "days": "days",
            "device_hours": "device-hours",
            "computing": "computing alone, days",
            "reading": "reading alone, days",
            "longest_run_hours": "longest run, hours",
            "disk": "disk, GB/s",
            "limit": "what limits it",
        },
    ),
    "one run on several GPUs": (
        "one_run.csv",
        {
            "devices": "GPUs",
            "computing": "computing, ms",
            "outputs": "gathering outputs, ms",
            "gradients": "adding up gradients, ms",
        },
    ),
    "executors": (
        "executors.csv",
        {"stage": "", "ours": "takes", "unit": "unit", "load": "load of the machine"},
    ),
    "planning": (
        "planning.csv",
        {"stage": "", "ours": "takes", "unit": "unit", "peer": "allowed"},
    ),
}
REMOTE = SPEED / "remote_reading.csv"
_DIALECT = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
_SCHEMAS = "https://raw.githubusercontent.com/distillbench/distillbench/main/docs/schema"
_BAR = r"\|"
_SOURCE = re.compile(r"\b\d{4}\.\d{4,5}\b|docs/paper\.md")
_SOURCE_IN_BRACKETS = re.compile(r" \([^()]*(?:\d{4}\.\d{4,5}|docs/paper)[^()]*\)")
_PART = re.compile(r"(<!-- made from the code: (.+?) -->\n).*?(<!-- end -->)", re.DOTALL)


def documents() -> dict[Path, str]:
    """Makes every page that is wholly or in part made from the code: its path and its text."""
    pages = {HERE / "contract.md": contract(), HERE / "cli.md": command_line()}
    pages |= {HERE / "schema" / f"{name}.json": text for name, text in schemas().items()}
    for page in PAGES:
        if page.is_file():
            text = page.read_text(encoding="utf-8")
            pages[page] = _PART.sub(lambda part: part[1] + made(part[2]) + part[3], text)
    return pages


def made(name: str) -> str:
    """Makes the marked part of that name.

    There are `commands`, `hooks`, `methods KIND`, `board SECTION`, `published encoders`, `exported
    networks`, `exported students`, `end to end`, `feature formats`, `lstm with AMX`, `remote
    reading`, those of `_FIGURES` and `example
    KIND`.
    """
    if name == "commands":
        return "".join(
            f"- `{path}`: {_first_line(command.__doc__)}\n" for path, command in _commands()
        )
    if name == "hooks":
        return _hooks()
    if name.startswith("methods "):
        return _methods(name.removeprefix("methods "))
    if name == "published encoders":
        return _published_encoders()
    if name == "end to end":
        return _end_to_end()
    if name == "exported students":
        return _exported_students()
    if name == "exported networks":
        return _exported_networks()
    if name == "feature formats":
        return _feature_formats()
    if name == "lstm with AMX":
        return _lstm_with_amx()
    if name in _FIGURES:
        return _figures(name)
    if name == "remote reading":
        return _remote_reading()
    if name.startswith("board "):
        return _board_table(name.removeprefix("board "))
    kind = name.removeprefix("example ")
    if kind not in PROJECTS:
        raise ValueError(f"no part of a page is called '{name}'")
    return f"```python\n{example(kind, f'my-{kind}')}```\n"


class _Untitled(GenerateJsonSchema):
    """JSON Schema without titles that only repeat a field's name."""

    def field_title_should_be_set(self, schema: object) -> bool:
        """Tells whether a field gets a title: none does."""
        return False


def schemas() -> dict[str, str]:
    """Makes the JSON Schemas of result files and failure files, by name."""
    result = TypeAdapter(StoredResult).json_schema(schema_generator=_Untitled)
    result["properties"] = {"format": {"const": FORMAT}, **result["properties"]}
    result["required"] = ["format", *result["required"]]
    failure = TypeAdapter(StoredFailure).json_schema(schema_generator=_Untitled)
    return {
        name: json.dumps({**_DIALECT, "$id": f"{_SCHEMAS}/{name}.json", **schema}, indent=1) + "\n"
        for name, schema in (("result", result), ("failure", failure))
    }


def _methods(kind: str) -> str:
    """Makes a table of the shipped components of a kind.

    What each is and its source come from its docstring, when to use it and the arm of the board that
    is about it from methods.csv, and its row from that board.
    """
    with (HERE / "methods.csv").open(newline="", encoding="utf-8") as file:
        notes = {row["name"]: row for row in csv.DictReader(file) if row["kind"] == kind}
    on_board = _board()
    heads = ["name", "what it is", "source", "when to use it"]
    heads += ["its row"] if any(row["arm"] for row in notes.values()) else []
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for component in sorted(discover(), key=lambda found: found.name):
        if component.kind == kind and component.distribution == "distillbench":
            named = dict.fromkeys(_SOURCE.findall(inspect.getdoc(component.cls) or ""))
            sources = [f"arXiv {name}" if name[0].isdigit() else name for name in named]
            sources = sources or _printed_source(component.cls)
            cells = (
                f"`{component.name}`",
                _SOURCE_IN_BRACKETS.sub("", component.summary),
                ", ".join(sources) or "-",
                notes[component.name]["when"],
                on_board.get(notes[component.name]["arm"], "-"),
            )[: len(heads)]
            lines.append(f"| {' | '.join(cell.replace('|', _BAR) for cell in cells)} |")
    return "\n".join(lines) + "\n"


def _board_rows() -> list[dict[str, str]]:
    with BOARD.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _board() -> dict[str, str]:
    """Writes what the board says of each arm: its quality, and its gain over the student alone."""
    return {
        row["arm"]: ", ".join(filter(None, (_quality(row), _gain(row)))) for row in _board_rows()
    }


def _quality(row: dict[str, str]) -> str:
    """Writes the quality of an arm; a star where some run of it was still improving, † for one seed."""
    marks = ("*" if row["improving"] != "0" else "") + ("†" if row["seeds"] == "1" else "")
    return f"{float(row['gap']):.3f}{marks}"


def _gain(row: dict[str, str], name: str = "over_alone", ends: str = "") -> str:
    low, high = row[f"{ends}low"], row[f"{ends}high"]
    return f"{row[name]} ({low} to {high})" if low else row[name]


def _board_table(section: str) -> str:
    """Makes the table of a section of the board, the best first."""
    lines = [
        "| arm | GAP@20 | over the student alone, trained alike | over the best control | seeds | MACs |",
        "|---|---|---|---|---|---|",
    ]
    for row in _board_rows():
        if row["section"] == section:
            best = _gain(row, "over_best", "over_best_")
            macs = f"{int(row['macs']) / 1e6:.2f} M"
            cells = (row["arm"], _quality(row), _gain(row), best, row["seeds"], macs)
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _end_to_end() -> str:
    """Makes the table of what a video costs from its file to its classes."""
    with END_TO_END.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    lines = [
        "| clip | key frames | k | frames decoded | decoding | backbone | student | all | over all frames |",
        "|---" * 9 + "|",
    ]
    for row in rows:
        parts = (
            f"{float(row[f'{part} ms']):,.0f} ms ({row[f'{part} %']} %)"
            for part in ("decoding", "backbone", "student")
        )
        total = f"{float(row['all ms']):,.0f} ms"
        faster = "" if row["k"] == "all" else f"{row['times as fast as all frames']} x"
        cells = (
            row["clip"],
            row["key frames"],
            row["k"],
            row["frames decoded"],
            *parts,
            total,
            faster,
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _exported_students() -> str:
    """Makes the table of what export keeps of trained students."""
    with EXPORTS.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    found: dict[str, dict[str, dict[str, str]]] = {}
    for row in rows:
        found.setdefault(row["encoder"], {})[row["exporter"]] = row
    heads = ("GAP@20 in torch", "`onnx`", "`onnx-int8`", "size of the files")
    lines = [f"| student | {' | '.join(heads)} |", "|---" * 5 + "|"]
    for student, made in found.items():
        gap = float(made[""]["gap"])
        cells = [f"{gap:.4f}"]
        sizes = []
        for exporter in ("onnx", "onnx-int8"):
            own = float(made[exporter]["gap"])
            cells.append(f"{own:.4f} ({own - gap:+.4f})")
            sizes.append(f"{float(made[exporter]['file_bytes']) / 1e3:,.0f} kB")
        lines.append(f"| `{student}` | {' | '.join([*cells, ', '.join(sizes)])} |")
    return "\n".join(lines) + "\n"


def _exported_networks() -> str:
    """Makes the table of how fast exported networks are, in milliseconds and as ratios."""
    with DEPLOYMENT.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    found: dict[tuple[str, str], dict[str, str]] = {}
    for row in rows:
        case, batch, name = row["stage"].removeprefix("deployed, ").rsplit(", ", 2)
        cells = found.setdefault((case, batch.removeprefix("batch ")), {})
        cells["torch fp32"] = row["peer"]
        cells[name] = f"{row['ours']} ({float(row['ratio']):.2g} x)"
    heads = ["torch fp32", "onnxruntime fp32", "unrolled", "onnxruntime int8"]
    lines = [f"| network | videos at once | {' | '.join(heads)} |", "|---" * 6 + "|"]
    for (case, batch), cells in found.items():
        shown = " | ".join(cells.get(head, "-") for head in heads)
        lines.append(f"| {case} | {batch} | {shown} |")
    return "\n".join(lines) + "\n"


def _published_encoders() -> str:
    """Makes the table of what encoders cost at their published sizes."""
    lines = [
        "| encoder | sees | parameters | MACs a video | one video | a video of 256 at once |"
        " steps | loss, first and last epoch |",
        "|---|---|---|---|---|---|---|---|",
    ]
    with PUBLISHED.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            sees = f"{row['frames']} frames, as {row['network']}"
            numbers = (f"{int(row['parameters']) / 1e6:.0f} M", f"{int(row['macs']) / 1e9:.2f} G")
            times = (f"{row['ms_for_one_video']} ms", f"{row['ms_a_video_in_256']} ms")
            losses = f"{row['first_loss']}, {row['last_loss']}"
            cells = (f"`{row['encoder']}`", sees, *numbers, *times, row["steps"], losses)
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _figures(name: str) -> str:
    """Makes a table of some columns of a benchmark's figures."""
    file, heads = _FIGURES[name]
    lines = [f"| {' | '.join(heads.values())} |", "|---" * len(heads) + "|"]
    with (SPEED / file).open(newline="", encoding="utf-8") as figures:
        for row in csv.DictReader(figures):
            cells = (_plain(row[column]) for column in heads)
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _plain(cell: str) -> str:
    """Writes a number without a power of ten."""
    try:
        number = float(cell)
    except ValueError:
        return cell
    return f"{number:,.0f}" if abs(number) >= 100 else f"{number:.3g}"


def _lstm_with_amx() -> str:
    """Makes the table of our LSTM against torch's on a processor with bf16 and AMX."""
    with LSTM_AMX.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    lines = ["| LSTM | ours | `nn.LSTM` | ratio | bare products |", "|---" * 5 + "|"]
    for row in rows:
        limit = f"{float(row['limit']):,.0f} ms" if row["limit"] not in ("", "nan") else "-"
        times = (f"{float(row[name]):,.0f} ms" for name in ("ours", "peer"))
        cells = (row["stage"].removeprefix("LSTM "), *times, f"{row['ratio']} x", limit)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _feature_formats() -> str:
    """Makes the table of how fast features are read in each format."""
    rows: dict[str, list[dict[str, str]]] = {}
    with FORMATS.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            rows.setdefault(row["stage"].rsplit(", ", 2)[0], []).append(row)
    lines = [
        "| format | k = 6 | k = 15 | k = 30 | all 300 | counted at k = 6 | its own library, k = 6 and all |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, found in rows.items():
        speeds = [f"{float(row['ours']):,.0f}" for row in found]
        size = found[0]["stage"].rsplit(", ", 1)[1].removesuffix(" a video")
        first, last = found[0], found[-1]
        peer = "-"
        if first["peer"]:
            both = f"{float(first['peer']):,.0f}, {float(last['peer']):,.0f}"
            peer = f"{both} ({first['peer_name']})"
        lines.append(f"| {' | '.join((name, *speeds, size, peer))} |")
    return "\n".join(lines) + "\n"


def _remote_reading() -> str:
    """Makes the table of what reading by URL costs."""
    lines = ["| what is read | from where | videos/s | requests a video | kB a video |"]
    lines.append("|---|---|---|---|---|")
    with REMOTE.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            requested = [row["requests"], f"{int(row['bytes']) / 1000:,.0f}"]
            cells = requested if int(row["bytes"]) else ["-", "-"]
            speed = f"{int(row['videos_per_s']):,}"
            lines.append(f"| {' | '.join([row['frames'], row['way'], speed, *cells])} |")
    return "\n".join(lines) + "\n"


def _printed_source(cls: type) -> list[str]:
    """Finds the source in the first line of a module whose paper is not on arXiv."""
    first, *_ = (inspect.getdoc(inspect.getmodule(cls)) or "").splitlines()
    found = re.search(r"\(([^()]*\d{4})\)", first)
    return [found[1]] if found else []


def contract() -> str:
    """Makes the page of promises."""
    common = [
        check for check in CHECKS["preset"] if all(check in checks for checks in CHECKS.values())
    ]
    parts = [_CONTRACT, "## Every kind\n\n", *map(_promise, common)]
    for kind in {kind.checks: kind for kind in KINDS.values()}.values():
        own = [check for check in CHECKS[kind.name] if check not in common]
        parts += [f"\n## {kind.title}\n\n", *map(_promise, own)]
    return "".join(parts) + _REQUIREMENTS + f"```text\n{inspect.getdoc(Requirements)}\n```\n"


def _promise(check: Check) -> str:
    details = f" {' '.join(check.details.split())}" if check.details else ""
    return f"- `{check.name}`: {check.promise}{details}\n"


def _hooks() -> str:
    lines = ["| kind | hook | a class derived from |", "|---|---|---|"]
    lines += [
        f"| {kind.name} | `{kind.hook}` | `{kind.base.__name__}` |" for kind in KINDS.values()
    ]
    lines += [f"| observer | {', '.join(f'`{hook}`' for hook in OBSERVER_HOOKS)} | functions |"]
    return "\n".join([*lines, "| sweep files | `sweep_files` | paths of TOML files |"]) + "\n"


def command_line() -> str:
    """Makes the page of commands."""
    return _COMMAND_LINE + "\n".join(_section(path, command) for path, command in _commands())


def _commands(
    typer_app: typer.Typer = app, path: str = "distillbench"
) -> Iterator[tuple[str, Callable[..., object]]]:
    for command in typer_app.registered_commands:
        if command.callback is not None:
            yield (
                f"{path} {command.name or command.callback.__name__.replace('_', '-')}",
                command.callback,
            )
    for group in typer_app.registered_groups:
        if group.typer_instance is not None:
            yield from _commands(group.typer_instance, f"{path} {group.name}")


def _section(path: str, command: Callable[..., object]) -> str:
    parameters = inspect.signature(command, eval_str=True).parameters.values()
    arguments = [p for p in parameters if isinstance(_info(p), ArgumentInfo)]
    rows = [_row(parameter) for parameter in parameters]
    table = ["| | | default |", "|---|---|---|", *rows] if rows else []
    usage = " ".join(
        [path, *map(_word, arguments), *(["[OPTIONS]"] if len(arguments) < len(rows) else [])]
    )
    return "\n".join(
        [
            f"## {path}\n",
            f"```text\n{usage}\n```\n",
            f"{inspect.cleandoc(command.__doc__ or '')}\n",
            *table,
            "",
        ]
    )


def _info(parameter: inspect.Parameter) -> ArgumentInfo | OptionInfo:
    found = [
        part
        for part in typing.get_args(parameter.annotation)[1:]
        if isinstance(part, ArgumentInfo | OptionInfo)
    ]
    return found[0] if found else parameter.default


def _word(parameter: inspect.Parameter) -> str:
    name = str(_info(parameter).metavar or parameter.name).upper()
    name += "..." if "list" in _type(parameter) else ""
    return name if parameter.default is inspect.Parameter.empty else f"[{name}]"


def _row(parameter: inspect.Parameter) -> str:
    info = _info(parameter)
    if isinstance(info, ArgumentInfo):
        flags = _word(parameter)
    else:
        names = [
            str(name)
            for name in (info.default, *(info.param_decls or ()))
            if str(name).startswith("-")
        ]
        names = names or [f"--{parameter.name.replace('_', '-')}"]
        flags = ", ".join(names) + ("" if _type(parameter) == "bool" else f" {_takes(parameter)}")
    known = (
        parameter.default if parameter.default not in (None, False, inspect.Parameter.empty) else ""
    )
    shown = f"`{getattr(known, 'value', known)}`" if known != "" else ""
    text = (info.help or "").replace("|", "\\|")
    return f"| `{flags}` | {text} | {shown} |".replace("`` ", "")


def _type(parameter: inspect.Parameter) -> str:
    kind = typing.get_args(parameter.annotation)[0]
    return kind.__name__ if isinstance(kind, type) else str(kind)


def _takes(parameter: inspect.Parameter) -> str:
    kind = typing.get_args(parameter.annotation)[0]
    if isinstance(kind, type) and issubclass(kind, Enum):
        return "/".join(str(member.value) for member in kind)
    metavar = _info(parameter).metavar
    if metavar:
        return metavar
    words = {"int": "WHOLE NUMBER", "float": "NUMBER", "Path": "PATH"}
    return next((word for name, word in words.items() if name in _type(parameter)), "TEXT")


def _first_line(text: str | None) -> str:
    return inspect.cleandoc(text or "").partition("\n")[0]


_CONTRACT = """# The contract

*Made from the code by `make docs`: each line is the docstring of a check in `distillbench/testing/`.*

What a component of each kind promises. `distillbench check NAME` tests every promise of one component, `--from
DISTRIBUTION` of all that a distribution offers; in an author's own suite

```python
from distillbench.testing import contract_tests

test_contract = contract_tests("my-distribution", expected_failures={"check_name": "the reason"})
```

makes a test of each. An expected failure that passes, fails. Checks use toys: four clips of up to 60 frames, 16 numbers a
frame, 5 classes. A data set with a knob `dir` is shown small shards in YouTube-8M's layout. One that reads another format raises
`DataError` there, and is *not checked* until it is shown a folder of its own: `distillbench check NAME --data-dir FOLDER`, or
`contract_tests(..., data_dir="FOLDER")`. Three class attributes help the checks:

- `check_knobs: ClassVar[Mapping[str, object]]`: knobs with which the component is small enough to be trained for 60 steps in
  a moment, such as `{"cell_size": 8}`. Building from defaults is tested with the defaults.
- `check_needs: ClassVar[str]`: what a component needs that no toy has, such as a file the user names; all that needs it built
  is then *not checked*, with these words.
- `keeps: ClassVar[str]` of a frame selector: `"k"` (the default), `"at most k"` or `"all"`, for one that does not keep exactly
  k frames of every video that has so many.

A component with knobs of which one at most may be set says so, and the higher layer's choice wins (a flag's over a file's, a
preset's over a recipe's); two in one layer are refused before anything is built:

- `exclusive_knobs: ClassVar[Sequence[Sequence[str]]]`: groups of such knobs, such as `(("block_length", "block_count"),)`.

## What is not loaded at all

Before any promise is tested, everything that is offered is looked at once, when plugins are discovered. What could not be chosen,
listed or stored is not usable: `distillbench plugins` lists it with its distribution and the reason, and everything else goes on.

- A module that cannot be imported, or a hook that raises or returns no mapping from name to class.
- A name that is not made of letters, digits, `_` and `-`.
- A class that does not derive from its interface or leaves something abstract; a docstring that is no text.
- A knob whose type cannot be resolved or whose default is not of that type, and knobs that nobody can list (`**knobs`).
- A dataclass of knobs that is not frozen or has no instance for its default, and two knobs of one name.
- `check_knobs` or a data set's `recipe` that is no mapping from name to number, text, truth value or `None`; a `label_kind`,
  `keeps`, `scan_stride`, `reads`, `reports`, `default_for` or `requirements` that mean nothing; a report's `needs` that is no
  name, or `check_rows` that are no mappings; a data set's `metrics` that are no names.
- A metric without a `title`, with `label_kinds`, `default_place`, `needs`, `each_epoch` or `higher_is_better` that mean nothing, or with
  the name of a column of the leaderboard, or one that ends in `_sd`, `_low` or `_high`, as the spread and the bounds of a metric do.

What a plugin prints while it is imported, asked or built, and what an observer or a metric prints, goes to standard error.

"""

_REQUIREMENTS = """
## Requirements

Every loss has `requirements`. A pairing that they rule out is refused before anything is trained, with the reason; in a sweep
it is a row that says *not applicable*, and why. A loss on labels it is not meant for is allowed: a warning that the row carries.

"""

_COMMAND_LINE = """# The command line

*Made from the code by `make docs`.* Every command has `--help`. An error that the user can mend exits with 2 and says what was
asked, what was found and what to do; `--traceback`, anywhere, shows where it comes from.

"""


if __name__ == "__main__":
    for path, text in documents().items():
        path.write_text(text, encoding="utf-8")
        print(path.relative_to(HERE.parent))
