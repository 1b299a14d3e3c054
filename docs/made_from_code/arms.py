"""Tables of the study: what arms gained, and what the contrasts that were named beforehand say."""

from __future__ import annotations

from made_from_code.tables import RESULTS, rows_of, table


def arms(name: str) -> str:
    """Makes the table of a data set's arms, the best first, from what `report tuned-arms` wrote.

    name: of the CSV file below results, without its ending.
    """
    found: dict[str, dict[str, dict[str, str]]] = {}
    for line in rows_of(RESULTS / f"{name}.csv"):
        found.setdefault(line["arm"], {})[line["metric"]] = line
    quality = next(iter(next(iter(found.values()))))
    heads = (
        *("arm", quality, "gain over the student alone", "seeds"),
        *("epochs of the student", "training, T MACs"),
    )
    rows = []
    for arm, cells in found.items():
        measured = cells[quality]
        star = "*" if measured["improving"] != "0" else ""
        gain = "-"
        if "gain" in cells:
            value, low, high = (float(cells[end]["mean"]) for end in ("gain", "low", "high"))
            gain = f"{value:+.3f} ({low:+.3f} to {high:+.3f})"
        epochs, work = float(cells["epochs"]["mean"]), cells.get("training MACs")
        rows.append(
            (
                arm,
                f"{float(measured['mean']):.3f}{star}",
                gain,
                measured["seeds"],
                f"{epochs:.0f}" if epochs else "-",
                _work(float(work["mean"])) if work else "-",
            )
        )
    return table(heads, rows)


def _work(macs: float) -> str:
    return f"{macs:,.0f}" if macs >= 10 else f"{macs:.1f}"


_FITTED = {
    "AudioSet": "audioset/fit.csv",
    "reels": "reels/fit.csv",
    "spoken digits": "spoken-digits/fit.csv",
    "a tenth of the strings": "spoken-digits/fit_tenth.csv",
}


def fit() -> str:
    """Makes a row for each network, with how well it fits its training videos, from `fit.py`."""
    heads = ("data", "network", "GAP@20, training videos", "test videos", "given to a right label")
    rows = [
        (
            data,
            line["arm"],
            *(f"{float(line[name]):.3f}" for name in ("gap_train", "gap_test")),
            f"{float(line['label_probability']):.3f}",
        )
        for data, path in _FITTED.items()
        for line in rows_of(RESULTS / path)
    ]
    return table(heads, rows)


def contrasts() -> str:
    """Makes the table of the contrasts, in their order, from `compare --holm`."""
    heads = ("contrast", "difference in GAP@20, 95 %", "seeds", "p", "p (Holm)", "shown")
    rows = []
    for row in rows_of(RESULTS / "contrasts.csv"):
        if not row["value"]:
            rows.append((row["contrast"], "not run", *["-"] * 3, "-"))
            continue
        value, low, high = (float(row[end]) for end in ("value", "low", "high"))
        rows.append(
            (
                row["contrast"],
                f"{value:+.3f} ({low:+.3f} to {high:+.3f})",
                row["paired_seeds"].removesuffix(".0"),
                f"{float(row['p']):.3g}",
                f"{float(row['p_holm']):.3g}",
                "yes" if row["real"] == "True" else "no",
            )
        )
    return table(heads, rows)
