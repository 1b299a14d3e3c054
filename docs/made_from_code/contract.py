"""The page of promises: every check, by kind."""

from __future__ import annotations

import inspect

from distillbench.interfaces import Requirements
from distillbench.registry.kinds import KINDS
from distillbench.testing.promises import Check
from distillbench.testing.runner import CHECKS

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
