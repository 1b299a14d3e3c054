"""`mlflow` logs a run to a real local store."""

from __future__ import annotations

import sys

import pytest


@pytest.mark.filterwarnings("ignore")
def test_a_run_is_in_the_sqlite_store(command, tiny, tmp_path, monkeypatch):
    mlflow = pytest.importorskip(
        "mlflow", reason="mlflow absent: pip install 'distillbench[mlflow]'"
    )
    store = f"sqlite:///{tmp_path / 'mlflow.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    code, _, err = command(
        "run", *tiny, "--schedule", "serial", "--observe", "mlflow", "--results", tmp_path
    )
    assert code == 0, err
    assert "failed and gets no more events" not in err
    client = mlflow.MlflowClient(store)
    (run,) = client.search_runs([client.get_experiment_by_name("distillbench").experiment_id])
    assert run.info.status == "FINISHED"
    assert run.data.params["schedule.name"] == "serial"
    assert 0 < run.data.metrics["test.gap"] <= 1
    assert [m.step for m in client.get_metric_history(run.info.run_id, "student.student.rep")] == [
        1,
        2,
    ]


def test_without_mlflow_the_run_goes_on_and_says_so(command, tiny, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    code, _, err = command(
        "run", *tiny, "--schedule", "scratch", "--observe", "mlflow", "--results", tmp_path
    )
    assert code == 0
    assert err.count("the observer 'mlflow' failed and gets no more events") == 1
