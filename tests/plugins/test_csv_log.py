"""`csv-log` writes a line an epoch and network."""

from __future__ import annotations

import csv


def lines_of(folder):
    (path,) = (folder / "logs").glob("*.csv")
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_every_epoch_of_every_network_has_a_line(command, tiny, tmp_path):
    code, _, err = command(
        "run", *tiny, "--schedule", "serial", "--observe", "csv-log", "--results", tmp_path
    )
    assert code == 0, err
    lines = lines_of(tmp_path)
    assert [(line["phase"], line["epoch"], line["network"]) for line in lines] == [
        ("teacher", "1", "teacher"),
        ("teacher", "2", "teacher"),
        ("student", "1", "student"),
        ("student", "2", "student"),
    ]
    assert float(lines[-1]["loss.rep"]) > 0
    assert lines[0]["loss.rep"] == ""
    assert 0 < float(lines[-1]["validation.gap"]) <= 1


def test_a_run_that_is_made_again_replaces_its_lines(command, tiny, tmp_path):
    for _ in range(2):
        command(
            "run",
            *tiny,
            "--schedule",
            "scratch",
            "--observe",
            "csv-log",
            "--results",
            tmp_path,
            "--again",
        )
    assert len(lines_of(tmp_path)) == 2


def test_nothing_is_written_unless_it_is_asked_for(command, tiny, tmp_path):
    command("run", *tiny, "--schedule", "scratch", "--results", tmp_path)
    assert not (tmp_path / "logs").exists()


def test_the_epochs_of_a_stored_teacher_are_logged_too(command, tiny, tmp_path):
    for loss in ("rep,ce", "rep,ce,pred"):
        asked = [
            *tiny,
            "--schedule",
            "serial",
            "--loss",
            loss,
            "--observe",
            "csv-log",
            "--results",
            tmp_path,
        ]
        assert command("run", *asked)[0] == 0
    logs = [
        path.read_text(encoding="utf-8").splitlines() for path in (tmp_path / "logs").glob("*.csv")
    ]
    assert [[line.partition(",")[0] for line in log[1:]] for log in logs] == [
        ["teacher"] * 2 + ["student"] * 2
    ] * 2
