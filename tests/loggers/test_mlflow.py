"""What MLflow's own client finds in a data base, and what a failing one costs."""

import dataclasses
import math
import socket
import threading

import numpy as np
import pytest

from ascribe import compare, loggers
from ascribe.errors import UserError
from ascribe.loggers.mlflow import MLflowLogger, _allowed
from ascribe.rules import KolenPollack
from ascribe.training import Epochs, Listeners

from ..later import Later, needs
from ..training import tiny
from .case import EPOCHS, OPTIONS, mlflow_database, trained

mlflow = Later("mlflow")

pytestmark = [
    needs("mlflow", "sqlalchemy"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::ResourceWarning"),
]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """One data base for all tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
        yield mlflow_database(tmp_path_factory.mktemp("mlflow") / "mlflow.db")


@pytest.fixture
def client(store):
    return mlflow.MlflowClient(tracking_uri=store)


def found_runs(client, experiment):
    number = client.get_experiment_by_name(experiment).experiment_id
    return {run.data.params["seed"]: run for run in client.search_runs([number])}


def history(client, run, name):
    points = sorted(client.get_metric_history(run.info.run_id, name), key=lambda point: point.step)
    return [point.step for point in points], [point.value for point in points]


def test_an_experiment_that_mlflow_refuses_is_a_sentence(store, tmp_path):
    with pytest.raises(UserError, match=r"MLflow cannot log the experiment 'moons': .*nosuch"):
        MLflowLogger("moons", tracking_uri="nosuch://place")
    client = mlflow.MlflowClient(tracking_uri=store)
    client.delete_experiment(client.create_experiment("deleted"))
    with pytest.raises(UserError, match="MLflow cannot log the experiment 'deleted'"):
        MLflowLogger("deleted", tracking_uri=store)


@pytest.mark.parametrize("name", ["week%207.db", "b?.db", "c#d e.sqlite"])
def test_a_data_base_lies_where_its_path_says(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    mlflow_database(tmp_path / name)
    before = (tmp_path / name).read_bytes()
    places = [name, str(tmp_path / name)] + ([] if "?" in name else [f"sqlite:///{tmp_path / name}"])
    for number, place in enumerate(places):
        MLflowLogger(f"e{number}", tracking_uri=place).close()
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_bytes() != before
    with pytest.raises(UserError, match="without options"):
        MLflowLogger("moons", tracking_uri="sqlite:///a?b=1")


def test_every_curve_and_every_score_comes_back(store, client):
    with MLflowLogger("all", tracking_uri=store) as logger:
        runs = trained(logger)
    found = found_runs(client, "all")
    assert set(found) == {"0", "3"}
    for number, seed in enumerate(runs.seeds):
        run = found[str(seed)]
        assert run.info.status == "FINISHED"
        assert run.info.run_name == f"kolen-pollack, seed {seed}"
        whole = {name: curve for name, curve in runs.curves.items() if "/" not in name}
        assert set(run.data.metrics) == {*whole, *runs.scores}
        for name, curve in whole.items():
            assert history(client, run, name) == (list(range(1, EPOCHS + 1)), curve[number].tolist())
        for name, score in runs.scores.items():
            assert history(client, run, name) == ([EPOCHS], [float(score[number])])
        about = {"rule": "kolen-pollack", "seed": str(seed), "learning_rate": "0.1", "epochs": str(EPOCHS)}
        about |= {"network": str(runs.network), "data": "tiny", "loss": runs.loss, "optimizer": "sgd"}
        assert run.data.params == about
        assert run.data.tags["ascribe.status"] == "finished"
        assert run.data.tags["ascribe.phase"] == "training"


def test_layers_are_logged_where_they_are_asked_for(store, client):
    with MLflowLogger("layers", tracking_uri=store, layers=True, points=2) as logger:
        runs = trained(logger)
    run = found_runs(client, "layers")["0"]
    steps, values = history(client, run, "gradient_angle.linear1")
    assert steps == [1, 3]
    np.testing.assert_array_equal(values, runs.curves["gradient_angle/linear1"][0, ::2])


@pytest.mark.parametrize("pause", [0.0, 1e9], ids=["every chunk alone", "everything at the end"])
def test_a_batch_has_no_more_metrics_than_mlflow_takes(store, client, monkeypatch, pause):
    monkeypatch.setattr(loggers.mlflow, "BATCH", 4)
    monkeypatch.setattr(loggers.mlflow, "PAUSE", pause)
    with MLflowLogger(f"batches {pause}", tracking_uri=store) as logger:
        real, sizes = logger._client.log_batch, []

        def log_batch(run, metrics, **about):
            sizes.append(len(metrics))
            return real(run, metrics=metrics, **about)

        monkeypatch.setattr(logger._client, "log_batch", log_batch)
        runs = trained(logger)
    assert max(sizes) == 4
    run = found_runs(client, f"batches {pause}")["0"]
    assert history(client, run, "train_loss")[1] == runs.curves["train_loss"][0].tolist()
    assert run.data.metrics["test_loss"] == runs.test_loss[0]
    assert run.data.params["loss"] == runs.loss and run.data.params["rule"] == "kolen-pollack"


def test_an_experiment_is_continued_and_tuning_is_logged_where_it_is_asked_for(store, client):
    given = {**OPTIONS, "learning_rate": None, "network": tiny.mlp(), "seeds": 1, "tune": 2, "tune_seeds": 1}
    for tuning in (False, True):
        with MLflowLogger("tuning", tracking_uri=store, tuning=tuning) as logger:
            found = compare(tiny.data(), rules={"one": KolenPollack()}, listener=Listeners(logger), **given)
    number = client.get_experiment_by_name("tuning").experiment_id
    runs = client.search_runs([number])
    assert {run.info.status for run in runs} == {"FINISHED"}
    tuned = [run for run in runs if run.data.tags["ascribe.phase"] == "tuning"]
    assert len(runs) == 4 and len(tuned) == 2
    wanted = dict(zip(map(str, found.tuning["one"].learning_rates), found.tuning["one"].scores[:, 0], strict=True))
    assert {run.data.params["learning_rate"]: run.data.metrics["validation_accuracy"] for run in tuned} == wanted


def test_what_an_error_cut_short_is_marked(store, client):
    def stop(progress):
        if progress.phase == "training" and progress.done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), MLflowLogger("cut", tracking_uri=store) as logger:
        trained(Listeners(logger, Late(stop)))
    assert {run.info.status for run in found_runs(client, "cut").values()} == {"FAILED"}
    assert logger._worker._shutdown and not [t for t in threading.enumerate() if t.name.startswith("ascribe-mlflow")]
    with pytest.raises(UserError, match="this MLflowLogger is closed"):
        trained(logger)


class Late:
    """Hears of progress only after everybody has heard the numbers."""

    def __init__(self, said):
        self.said, self.progress = said, None

    def __call__(self, progress):
        self.progress = progress

    def epochs(self, epochs):
        self.said(self.progress)


def test_a_run_that_diverged_is_finished_and_says_so(store, client):
    runs = trained(lambda progress: None)
    scores = {name: np.array([np.nan, value[1]]) for name, value in runs.scores.items()}
    with MLflowLogger("diverged", tracking_uri=store) as logger:
        logger.epochs(Epochs(runs.rule, "training", runs.seeds, (0.1, 0.1), ({}, {}), 0, EPOCHS, EPOCHS, {}))
        logger.finished(dataclasses.replace(runs, scores=scores, diverged_at=np.array([1, -1])))
    found = found_runs(client, "diverged")
    assert [found[seed].data.tags["ascribe.status"] for seed in ("0", "3")] == ["diverged", "finished"]
    assert {run.info.status for run in found.values()} == {"FINISHED"}
    assert math.isnan(found["0"].data.metrics["test_accuracy"])


def test_a_store_that_fails_costs_the_log_and_not_the_numbers(store, monkeypatch):
    def fail(*given, **named):
        raise OSError("the disk is full.\nDetails follow")

    sentence = r"no more is logged in MLflow \(the disk is full\); training goes on"
    monkeypatch.setattr(loggers.mlflow, "PAUSE", 0.0)
    with pytest.warns(UserWarning, match=sentence) as said, MLflowLogger("failing", tracking_uri=store) as logger:
        monkeypatch.setattr(logger._client, "log_batch", fail)
        runs = trained(logger)
    assert len([one for one in said if "training goes on" in str(one.message)]) == 1
    assert np.isfinite(runs.test_accuracy).all()


def test_names_have_the_letters_that_mlflow_allows():
    assert _allowed("gradient_angle/linear2 to linear9") == "gradient_angle.linear2 to linear9"
    assert _allowed("derivative.relu2.ω(0)") == "derivative.relu2.__0_"


def test_no_port_is_opened(store, monkeypatch):
    def refuse(*given):
        raise AssertionError("a socket is bound")

    monkeypatch.setattr(socket.socket, "bind", refuse)
    monkeypatch.setattr(socket.socket, "listen", refuse)
    with MLflowLogger("quiet", tracking_uri=store) as logger:
        trained(logger)
