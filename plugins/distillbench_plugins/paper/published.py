"""The paper's own digits (arXiv 1902.10640), to print beside ours."""

from __future__ import annotations

FRAMES = (6, 10, 15, 20, 30)

SKYLINE = (0.811, 0.414)

_BASELINES = {
    "uniform": ".715/.266 .759/.324 .777/.350 .785/.363 .795/.378",
    "random": ".679/.246 .681/.254 .717/.268 .763/.329 .774/.339",
    "first": ".478/.133 .539/.163 .595/.199 .632/.223 .676/.258",
    "middle": ".577/.178 .600/.198 .620/.214 .638/.229 .665/.250",
    "last": ".255/.062 .267/.067 .282/.077 .294/.083 .317/.094",
    "first-middle-last": ".640/.215 .671/.242 .680/.249 .698/.268 .721/.287",
}

_METHODS = {
    ("parallel", "rep"): ".724/.280 .762/.331 .785/.365 .794/.380 .803/.392",
    ("parallel", "rep,ce"): ".726/.285 .766/.334 .785/.362 .795/.381 .804/.396",
    ("parallel", "rep,ce,pred"): ".729/.292 .770/.337 .789/.371 .796/.388 .806/.404",
    ("serial", "rep"): ".727/.288 .768/.339 .786/.365 .795/.381 .802/.394",
    ("serial", "rep,ce"): ".728/.291 .769/.341 .786/.368 .794/.383 .803/.399",
    ("serial", "rep,ce,pred"): ".731/.297 .771/.349 .789/.375 .798/.390 .806/.405",
}

_INTERMEDIATE = {
    ("parallel", "rep"): ".803/.393 .803/.392",
    ("parallel", "rep,ce"): ".803/.396 .804/.396",
    ("parallel", "rep,ce,pred"): ".804/.400 .806/.404",
    ("serial", "rep"): ".804/.395 .802/.394",
    ("serial", "rep,ce"): ".803/.397 .803/.399",
    ("serial", "rep,ce,pred"): ".806/.405 .806/.405",
}


def _pairs(line: str) -> list[tuple[float, float]]:
    pairs = [pair.split("/") for pair in line.split()]
    return [(float(gap), float(precision)) for gap, precision in pairs]


TABLE_1: dict[tuple[str, str, int], tuple[float, float]] = {
    ("scratch", selector, k): pair
    for selector, line in _BASELINES.items()
    for k, pair in zip(FRAMES, _pairs(line), strict=True)
} | {
    (schedule, objective, k): pair
    for (schedule, objective), line in _METHODS.items()
    for k, pair in zip(FRAMES, _pairs(line), strict=True)
}
"""GAP and mAP by schedule, selector (scratch) or objective, and k."""

TABLE_2: dict[tuple[str, str, str], tuple[float, float]] = {
    (schedule, objective, where): pair
    for (schedule, objective), line in _INTERMEDIATE.items()
    for where, pair in zip(("intermediate", "final"), _pairs(line), strict=True)
}
"""GAP and mAP at k = 30 by schedule, objective and which representations are matched."""

TABLE_3: dict[tuple[str, float], tuple[float, float]] = {
    ("serial", 0.10): (0.774, 0.345),
    ("serial", 0.25): (0.788, 0.369),
    ("serial", 0.50): (0.796, 0.373),
    ("scratch", 0.10): (0.718, 0.220),
    ("scratch", 0.25): (0.756, 0.301),
    ("scratch", 0.50): (0.776, 0.349),
}
"""GAP and mAP at k = 30 by schedule and fraction of the training data."""

TABLE_4: dict[str, tuple[float, float]] = {
    "all": (13.00, 5.042),
    "10": (7.61, 0.151),
    "20": (8.20, 0.252),
    "30": (9.11, 0.504),
}
"""Hours on a Tesla K80 for the whole split, and billions of what the paper calls FLOPs, by k."""
