"""The table of the paper's claims, from `report claims`."""

from __future__ import annotations

from made_from_code.tables import RESULTS, rows_of, table


def claims() -> str:
    """Makes a row for each pair of methods, with what it differs by at every k."""
    found: dict[tuple[str, ...], dict[str, dict[str, str]]] = {}
    lines = rows_of(RESULTS / "claims" / "claims.csv")
    most = max(int(line["train videos"]) for line in lines)
    for line in lines:
        videos = int(line["train videos"])
        of = "" if videos == most else f", {videos:,} videos"
        pair = (line["claim"], f"{line['a']} against {line['b']}{of}")
        cells = found.setdefault(pair, {}).setdefault(line["k"], {"improving": line["improving"]})
        cells[line["metric"]] = line["mean"]
    ks = sorted({int(line["k"]) for line in lines})
    heads = ("the paper says", "difference in GAP@20, 95 %", *(f"k = {k}" for k in ks))
    rows = [(*pair, *(_cell(cells.get(str(k))) for k in ks)) for pair, cells in found.items()]
    return table(heads, rows)


def _cell(found: dict[str, str] | None) -> str:
    if found is None:
        return "-"
    value, low, high = (float(found[name]) for name in ("a - b", "from", "to"))
    return f"{value:+.3f} ({low:+.3f} to {high:+.3f}){'*' if found['improving'] != '0' else ''}"
