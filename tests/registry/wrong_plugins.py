"""What can be wrong with a plugin, and what is said of it."""

from __future__ import annotations

GROUP = (
    "from dataclasses import dataclass\n\n@dataclass(frozen=True)\nclass Group:\n    knob: int = 1"
)

CLASSES = {
    "a signature that is none": (
        {"body": "__signature__ = 7"},
        "knobs that cannot be read: TypeError",
    ),
    "a signature that raises": ({"body": "__signature__ = Raising()"}, "cannot be looked at: Odd"),
    "a docstring that is a number": (
        {"body": "__doc__ = 7"},
        "a docstring that is 7; it must be text",
    ),
    "a docstring that is a property": (
        {"body": "__doc__ = property(lambda s: 1 / 0)"},
        "it must be text",
    ),
    "a docstring that raises": ({"body": "__doc__ = Raising()"}, "cannot be looked at: Odd"),
    "a module that is a number": ({"body": "__module__ = 7"}, "__module__ that is 7"),
    "a module that cannot be": (
        {"body": "__module__ = '-c\\0'"},
        "says that its module is '-c\\x00'",
    ),
    "abstract methods that are none": ({"after": "Strange.__abstractmethods__ = 7"}, "TypeError"),
    "abstract methods of its own": (
        {"after": "Strange.__abstractmethods__ = {'more'}"},
        "leaves abstract: more",
    ),
    "exclusive knobs that it does not have": (
        {"body": "exclusive_knobs = (('none', 'such'),)"},
        "exclusive_knobs that are",
    ),
    "sizes for checks that are none": ({"body": "check_knobs = 7"}, "check_knobs that is 7"),
    "sizes for checks that raise": (
        {"body": "check_knobs = BadMapping()"},
        "cannot be looked at: Odd",
    ),
    "knobs without end": (
        {"body": "def __init__(self, *given, **knobs): ..."},
        "takes **knobs: knobs that nobody can list",
    ),
    "a knob of an unknown type": (
        {"body": "def __init__(self, *given, knob: 'Nowhere' = 1): ..."},
        "knobs that cannot be read: NameError: name 'Nowhere' is not defined",
    ),
    "a default of another type": (
        {"body": "def __init__(self, *given, knob: int = 'one'): ..."},
        "a knob 'knob' that takes int, and its default is 'one'",
    ),
    "a default that is not a number": (
        {"body": "def __init__(self, *given, knob: float = float('nan')): ..."},
        "takes float, and its default is nan",
    ),
    "a default with thousands of digits": (
        {"body": "def __init__(self, *given, knob: int = 10**5000): ..."},
        "its default is an object of type int",
    ),
    "a default that no file can hold": (
        {"body": "def __init__(self, *given, knob=object()): ..."},
        "a knob 'knob' that takes Any",
    ),
    "a group of knobs without a default": (
        {"before": GROUP, "body": "def __init__(self, *given, group: Group): ..."},
        "a group of knobs 'group' without a default; it must be a Group",
    ),
    "a group of knobs with a knob's name": (
        {
            "before": GROUP,
            "body": "def __init__(self, *given, group: Group = Group(), knob: int = 1): ...",
        },
        "has two knobs of one name: knob",
    ),
    "a group of knobs that is not frozen": (
        {
            "before": GROUP.replace("(frozen=True)", ""),
            "body": "def __init__(self, *given, group: Group = Group()): ...",
        },
        "a group of knobs 'group' that is not a frozen dataclass: Group",
    ),
    "a group of knobs with one of another type": (
        {"before": GROUP, "body": "def __init__(self, *given, group: Group = Group('one')): ..."},
        "a knob 'knob' that takes int, and its default is 'one'",
    ),
    "a group of knobs within a group": (
        {
            "before": GROUP
            + "\n\n@dataclass(frozen=True)\nclass Outer:\n    group: Group = Group()",
            "body": "def __init__(self, *given, outer: Outer = Outer()): ...",
        },
        "a knob 'group' that takes Group, and its default is Group(knob=1)",
    ),
    "a group of knobs that raises when compared": (
        {
            "before": GROUP + "\n    def __eq__(self, other): raise Odd",
            "body": "def __init__(self, *given, group: Group = Group()): ...",
        },
        "cannot be looked at: Odd",
    ),
    "a class that raises for every name": (
        {
            "meta": "def __getattribute__(cls, name): return 1 / 0 if READY else super().__getattribute__(name)",
            "hook": "READY.append(1); return {'strange': Strange}",
        },
        "cannot be looked at: ZeroDivisionError",
    ),
    "a class that raises for its name": (
        {"meta": "__name__ = property(lambda cls: 1 / 0)"},
        "cannot be looked at: ZeroDivisionError",
    ),
    "a class that raises for what it lacks": (
        {"meta": "def __getattr__(cls, name): raise Odd"},
        "cannot be looked at: Odd",
    ),
    "a class that raises when compared": (
        {"meta": "__eq__ = lambda cls, other: 1 / 0\n    __hash__ = None"},
        "cannot be looked at",
    ),
    "a class that is a name": (
        {"hook": "return {'strange': 'Strange'}"},
        "is 'Strange'; it must be a class",
    ),
    "a class that cannot be shown": (
        {"hook": "return {'strange': Raising()}"},
        "is an object of type Raising; it must be a class",
    ),
    "a class that claims to derive": (
        {"meta": "def mro(cls): return [cls, object]"},
        "it must be a class derived from",
    ),
}

ATTRIBUTES = [
    ("selector", "keeps = 'most'", "a keeps that is 'most'; there are: k, at most k, all"),
    ("selector", "keeps = Raising()", "cannot be looked at: Odd"),
    ("backbone", "is_default = 1", "is_default that is 1; there are: True, False"),
    (
        "selector",
        "scan_stride = -1",
        "a scan_stride that is -1; it must be an integer of at least 0",
    ),
    ("selector", "scan_stride = True", "a scan_stride that is True"),
    ("selector", "select = 7", "a select that is 7; it must be a method"),
    ("data", "recipe = 7", "a recipe that is 7; it must be a mapping from setting to value"),
    ("data", "recipe = BadMapping()", "cannot be looked at: Odd"),
    ("data", "recipe = {1: 2}", "a recipe that sets 1; a setting's name is text"),
    ("data", "recipe = {'k': [1]}", "a recipe that sets 'k' to [1]"),
    ("report", "needs = None", "has needs that are None; they must be the name of a sweep file"),
    ("report", "needs = 'two words'", "has needs that are 'two words'"),
    ("report", "needs = Raising()", "cannot be looked at: Odd"),
    ("report", "check_rows = 7", "has check_rows that are 7; they must be a tuple of mappings"),
    ("report", "check_rows = ({'k': [1]},)", "has a row in check_rows that sets 'k' to [1]"),
    ("data", "label_kind = 'none'", "a label_kind that is 'none'"),
    ("schedule", "reports = ''", "reports that is ''; it must be the name of a network"),
    ("schedule", "reports = None", "reports that is None"),
    (
        "learned-selector",
        "reads = 'rgb'",
        "reads that are 'rgb'; they must be a tuple of features' names",
    ),
    ("learned-selector", "reads = (7,)", "reads that are (7,)"),
    ("learned-selector", "forward = 7", "a forward that is 7; it must be a method"),
    (
        "label-loss",
        "default_for = {'multi-label'}",
        "default_for that is {'multi-label'}; it must be a frozenset",
    ),
    (
        "label-loss",
        "default_for = frozenset({'no-label'})",
        "default_for that is frozenset({'no-label'})",
    ),
    *(
        (kind, body, said)
        for kind in ("label-loss", "matching-loss")
        for body, said in (
            (
                "requirements = None",
                "requirements that are None; they must be distillbench.interfaces.Requirements",
            ),
            ("del requirements", "requirements that are None"),
            (
                "requirements = Requirements(['labels'])",
                "requirements whose needs are ['labels']; they must be a",
            ),
            (
                "requirements = Requirements(frozenset({'love'}))",
                "requirements whose needs name 'love'; there are: la",
            ),
            (
                "requirements = Requirements(frozenset(), frozenset({7}))",
                "requirements whose valid_for name 7",
            ),
            (
                "requirements = Requirements(frozenset(), claims={'best'})",
                "requirements whose claims name 'best'",
            ),
        )
    ),
    ("executor", "shares_machine = 'no'", "a shares_machine that is 'no'; there are: True, False"),
    ("executor", "free = 3", "a free that is 3; it must be a property"),
    ("executor", "submit = None", "a submit that is None; it must be a method"),
    (
        "exporter",
        "suffix = 'onnx'",
        "a suffix that is 'onnx'; it must be a dot and what follows it, such as .pt2",
    ),
    ("exporter", "suffix = './../x'", "a suffix that is './../x'"),
    ("exporter", "del suffix", "a suffix that is None"),
    ("exporter", "runtime = 7", "a runtime that is 7; it must be a name"),
    ("exporter", "precision = 'in 8 bits'", "a precision that is 'in 8 bits'; it must be a name"),
    (
        "data",
        "publication = 'url'",
        "a publication that is 'url'; it must be a Publication or None",
    ),
    ("data", "metrics = 'gap'", "metrics that are 'gap'; they must be a tuple of names, each once"),
    ("data", "metrics = ('gap', 'gap')", "they must be a tuple of names, each once"),
    ("data", "metrics = BadMapping()", "they must be a tuple of names, each once"),
    ("metric", "del title", "a title that is None; it must be text in one line"),
    ("metric", "title = 'two\\nlines'", "a title that is 'two\\nlines'"),
    ("metric", "higher_is_better = 'yes'", "a higher_is_better that is 'yes'"),
    (
        "metric",
        "label_kinds = frozenset({'none'})",
        "they must be a frozenset of: multi-label, single-label",
    ),
    ("metric", "label_kinds = Raising()", "cannot be looked at: Odd"),
    ("metric", "default_place = {'multi-label': 'first'}", "it must be a dict to integers"),
    ("metric", "default_place = {'none': 1}", "a default_place for ['none']"),
    ("metric", "needs = 'more'", "a needs that is 'more'; there are: best, all"),
    ("metric", "each_epoch = 1", "a each_epoch that is 1; there are: True, False"),
    ("metric", "compute = 7", "a compute that is 7; it must be a method"),
]

NAMES = [
    "",
    " ",
    "two words",
    "a\nb",
    "a=b",
    "a,b",
    "a:b",
    "a/b",
    "..",
    "a.b",
    "-a",
    "a;b",
    "\x1b[31m",
    "[red]",
    7,
    None,
]

HOOKS = {
    "return BadMapping()": "its hook 'heads' failed: Odd",
    "return Raising()": "its hook 'heads' returned an object of type Raising; it returns a mapping",
    "yield {}": "its hook 'heads' returned <generator object",
    "raise GeneratorExit": "its hook 'heads' failed: GeneratorExit",
    "raise SystemExit(0)": "its hook 'heads' failed: SystemExit: 0",
    "raise Odd": "its hook 'heads' failed: Odd",
    "raise ValueError('a' * 10_000)": "its hook 'heads' failed: ValueError: aaaa",
    "raise ValueError('first\\nsecond\\x1b')": "its hook 'heads' failed: ValueError: first second?",
}

IMPORTS = {
    "raise GeneratorExit": "GeneratorExit",
    "raise SystemExit(3)": "SystemExit: 3",
    "raise Odd": "Odd",
    "import sys; sys.modules[__name__] = 7": "is 7; a plugin is a module",
    "def __dir__(): return 1 / 0": "ZeroDivisionError",
    "this is no Python": "SyntaxError",
    "def recurse(): recurse()\nrecurse()": "RecursionError",
}

USED = [
    ("preset", "def settings(self, k): raise SystemExit(0)", "failed: SystemExit: 0"),
    ("preset", "def settings(self, k): return 7", ": its return value is 7; it must be a mapping"),
    (
        "preset",
        "def settings(self, k): return {'k': object}",
        ": its return value sets 'k' to <class 'object'>",
    ),
    ("preset", "def settings(self, k): return BadMapping()", "failed: Odd"),
    ("preset", "def __init__(self): raise Odd", "failed: Odd"),
    ("schedule", "def phases(self, epochs): raise GeneratorExit", "failed: GeneratorExit"),
    ("schedule", "def phases(self, epochs): return [7]", "7 is not a phase"),
    (
        "schedule",
        "def phases(self, epochs): return 7",
        "its phases are 7; they must be a list of Phase",
    ),
    ("schedule", "def phases(self, epochs): return []", "it has no phases"),
    (
        "schedule",
        "def phases(self, epochs): return [Phase('a', -1, {})]",
        "phase 'a': it has -1 epochs",
    ),
    (
        "schedule",
        "def phases(self, epochs): return [Phase('a', 1, {'me': {}})]",
        "phase 'a': its learners are {'me': {}}",
    ),
    (
        "schedule",
        "def phases(self, epochs): return [Phase('a', 1, {'student': 7})]",
        "they must be a mapping from name to",
    ),
    (
        "schedule",
        "def phases(self, epochs): return [Phase('a', 1, {'me': Learner((Term('ce'),))})]",
        "the network 'me'",
    ),
    (
        "schedule",
        "def phases(self, epochs): return [Phase('a', 1, {'student': Learner((Term('ce'),), Init(head='big'))})]",
        "its head begins as 'big'",
    ),
    ("schedule", "def networks(self): return 7", "its networks are 7"),
    ("schedule", "def networks(self): raise Odd", "failed: Odd"),
    (
        "schedule",
        "reports = 'nobody'",
        "it reports 'nobody', and has the networks: teacher, student",
    ),
    ("schedule", "def __init__(self, objective): 1 / 0", "failed: ZeroDivisionError"),
]
