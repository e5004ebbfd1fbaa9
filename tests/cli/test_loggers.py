"""`compare --tensorboard` and `--mlflow`: the numbers go there too, also those of work that was stopped."""

import signal

import numpy as np
import pytest

from ascribe import load
from ascribe.cli import main

from ..loggers.case import mlflow_database
from ..store.case import COMMAND_LINE, plain
from .case import signaled_at

pytestmark = pytest.mark.usefixtures("finished")
COMPARE = ["compare", *COMMAND_LINE, "--out", "out"]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    plain(monkeypatch)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.filterwarnings("ignore::DeprecationWarning:tensorboard")
def test_tensorboard_has_the_whole_curves_of_what_was_resumed(here, monkeypatch):
    pytest.importorskip("tensorboard", reason="TensorBoard is not installed (extra `tensorboard`)")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    signaled_at(monkeypatch, "training", signal.SIGINT)
    assert main([*COMPARE, "--tensorboard", "logs"]) == 130
    signaled_at(monkeypatch, "training")
    assert main(["compare", "moons", "--out", "out", "--resume"]) == 0  # the option is one of those it was begun with
    for rule, runs in load("out").runs.items():
        for row, seed in enumerate(runs.seeds):
            *_, latest = sorted(here.glob(f"logs/{rule}*/seed-{seed}"))
            found = EventAccumulator(str(latest))
            found.Reload()
            values = [event.value for event in found.Scalars("train_loss")]
            np.testing.assert_array_equal(values, runs.train_loss[row].astype(np.float32), err_msg=rule)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::ResourceWarning")
def test_mlflow_has_every_run(here, monkeypatch):
    pytest.importorskip("mlflow", reason="MLflow is not installed (extra `mlflow`)")
    from mlflow import MlflowClient

    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    address = mlflow_database(here / "mlflow.db")
    assert main([*COMPARE, "--mlflow", address]) == 0
    client = MlflowClient(tracking_uri=address)
    experiment = client.get_experiment_by_name("moons")
    assert experiment is not None
    found = client.search_runs([experiment.experiment_id])
    told = sorted((run.data.params["rule"], int(run.data.params["seed"]), run.info.status) for run in found)
    assert told == [(rule, seed, "FINISHED") for rule, runs in sorted(load("out").runs.items()) for seed in runs.seeds]


def test_what_is_refused_leaves_no_folder_for_tensorboard(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    arguments = ["--rules", "backprop", "--only", "nothing", "--out", "out", "--tensorboard", "board"]
    assert main(["compare", "moons", *arguments]) == 2
    assert "`only` names one layer" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_a_file_costs_nothing(here, capsys):
    pytest.importorskip("tensorboard", reason="TensorBoard is not installed (extra `tensorboard`)")
    (here / "logs").write_text("mine")
    assert main([*COMPARE, "--tensorboard", "logs"]) == 2
    assert "'logs' is no folder to log into" in capsys.readouterr().err
    assert [path.name for path in here.iterdir()] == ["logs"]
