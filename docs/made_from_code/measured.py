"""Tables of what benchmarks measured."""

from __future__ import annotations

from collections.abc import Mapping

from made_from_code.tables import RESULTS, SPEED, plain, rows_of, table

CHOSEN_COLUMNS: Mapping[str, tuple[str, Mapping[str, str]]] = {
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
"""Tables that are some columns of one file: the file, and the head of each column."""


def chosen_columns(name: str) -> str:
    """Makes a table of `CHOSEN_COLUMNS`."""
    file, heads = CHOSEN_COLUMNS[name]
    rows = rows_of(SPEED / file)
    return table(tuple(heads.values()), ([plain(row[column]) for column in heads] for row in rows))


def end_to_end() -> str:
    """Makes the table of what a video costs from its file to its classes."""
    heads = (
        *("clip", "key frames", "k", "frames decoded", "decoding", "backbone", "student", "all"),
        "over all frames",
    )
    rows = []
    for row in rows_of(SPEED / "end_to_end.csv"):
        parts = (
            f"{float(row[f'{part} ms']):,.0f} ms ({row[f'{part} %']} %)"
            for part in ("decoding", "backbone", "student")
        )
        seen = (row["clip"], row["key frames"], row["k"], row["frames decoded"])
        total = f"{float(row['all ms']):,.0f} ms"
        faster = "" if row["k"] == "all" else f"{row['times as fast as all frames']} x"
        rows.append((*seen, *parts, total, faster))
    return table(heads, rows)


def exported_students() -> str:
    """Makes the table of what export keeps of trained students."""
    found: dict[str, dict[str, dict[str, str]]] = {}
    for row in rows_of(RESULTS / "exports.csv"):
        found.setdefault(row["encoder"], {})[row["exporter"]] = row
    heads = ("student", "GAP@20 in torch", "`onnx`", "`onnx-int8`", "size of the files")
    rows = []
    for student, made in found.items():
        gap = float(made[""]["gap"])
        exported = [made[exporter] for exporter in ("onnx", "onnx-int8")]
        gaps = [float(row["gap"]) for row in exported]
        kept = (f"{own:.4f} ({own - gap:+.4f})" for own in gaps)
        sizes = ", ".join(f"{float(row['file_bytes']) / 1e3:,.0f} kB" for row in exported)
        rows.append((f"`{student}`", f"{gap:.4f}", *kept, sizes))
    return table(heads, rows)


def exported_networks() -> str:
    """Makes the table of how fast exported networks are, in milliseconds and as ratios."""
    found: dict[tuple[str, str], dict[str, str]] = {}
    for row in rows_of(SPEED / "deployment.csv"):
        case, batch, name = row["stage"].removeprefix("deployed, ").rsplit(", ", 2)
        cells = found.setdefault((case, batch.removeprefix("batch ")), {})
        cells["torch fp32"] = row["peer"]
        cells[name] = f"{row['ours']} ({float(row['ratio']):.2g} x)"
    timed = ("torch fp32", "onnxruntime fp32", "unrolled", "onnxruntime int8")
    rows = ((*case, *(cells.get(head, "-") for head in timed)) for case, cells in found.items())
    return table(("network", "videos at once", *timed), rows)


def published_encoders() -> str:
    """Makes the table of what encoders cost at their published sizes."""
    heads = (
        *("encoder", "sees", "parameters", "MACs a video", "one video"),
        *("a video of 256 at once", "steps", "loss, first and last epoch"),
    )
    rows = []
    for row in rows_of(SPEED / "published_encoders.csv"):
        sees = f"{row['frames']} frames, as {row['network']}"
        numbers = (f"{int(row['parameters']) / 1e6:.0f} M", f"{int(row['macs']) / 1e9:.2f} G")
        times = (f"{row['ms_for_one_video']} ms", f"{row['ms_a_video_in_256']} ms")
        losses = f"{row['first_loss']}, {row['last_loss']}"
        rows.append((f"`{row['encoder']}`", sees, *numbers, *times, row["steps"], losses))
    return table(heads, rows)


def lstm_without_bf16() -> str:
    """Makes the table of our LSTM against torch's on a processor without bf16."""
    rows = []
    for row in rows_of(SPEED / "lstm_avx512.csv"):
        limit = f"{float(row['limit']):,.0f} ms" if row["limit"] not in ("", "nan") else "-"
        times = (f"{float(row[name]):,.0f} ms" for name in ("ours", "peer"))
        rows.append((row["stage"].removeprefix("LSTM "), *times, f"{row['ratio']} x", limit))
    return table(("LSTM", "ours", "`nn.LSTM`", "ratio", "bare products"), rows)


def feature_formats() -> str:
    """Makes the table of how fast features are read in each format."""
    by_format: dict[str, list[dict[str, str]]] = {}
    for row in rows_of(SPEED / "feature_formats.csv"):
        by_format.setdefault(row["stage"].rsplit(", ", 2)[0], []).append(row)
    heads = (
        *("format", "k = 6", "k = 15", "k = 30", "all 300", "counted at k = 6"),
        "its own library, k = 6 and all",
    )
    rows = []
    for name, found in by_format.items():
        speeds = [f"{float(row['ours']):,.0f}" for row in found]
        size = found[0]["stage"].rsplit(", ", 1)[1].removesuffix(" a video")
        first, last = found[0], found[-1]
        peer = "-"
        if first["peer"]:
            both = f"{float(first['peer']):,.0f}, {float(last['peer']):,.0f}"
            peer = f"{both} ({first['peer_name']})"
        rows.append((name, *speeds, size, peer))
    return table(heads, rows)


def remote_reading() -> str:
    """Makes the table of what reading by URL costs."""
    heads = ("what is read", "from where", "videos/s", "requests a video", "kB a video")
    rows = []
    for row in rows_of(SPEED / "remote_reading.csv"):
        requested = (row["requests"], f"{int(row['bytes']) / 1000:,.0f}")
        cells = requested if int(row["bytes"]) else ("-", "-")
        speed = f"{int(row['videos_per_s']):,}"
        rows.append((row["frames"], row["way"], speed, *cells))
    return table(heads, rows)
