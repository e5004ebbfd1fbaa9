"""Event files, read back with TensorBoard's own reader."""

import dataclasses
import math
import socket
import sys

import numpy as np
import pytest

from ascribe import compare
from ascribe.errors import UserError
from ascribe.loggers import TensorBoardLogger
from ascribe.rules import KolenPollack
from ascribe.training import Epochs

from ..later import Later, needs
from ..training import tiny
from .case import EPOCHS, OPTIONS, trained

event_accumulator = Later("tensorboard.backend.event_processing.event_accumulator")
io_wrapper = Later("tensorboard.backend.event_processing.io_wrapper")
plugin_data_pb2 = Later("tensorboard.plugins.hparams.plugin_data_pb2")

pytestmark = [needs("tensorboard"), pytest.mark.filterwarnings("ignore::DeprecationWarning")]


def read(folder):
    found = event_accumulator.EventAccumulator(str(folder))
    found.Reload()
    return found


def scalars(folder):
    found = read(folder)
    return {
        tag: ([event.step for event in found.Scalars(tag)], [event.value for event in found.Scalars(tag)])
        for tag in found.Tags()["scalars"]
    }


def subfolders(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("seed-*"))


def test_every_curve_and_every_score_comes_back(tmp_path):
    runs = trained(TensorBoardLogger(tmp_path / "logs"))
    for number, seed in enumerate(runs.seeds):
        found = scalars(tmp_path / "logs" / "kolen-pollack" / f"seed-{seed}")
        assert set(found) == {*runs.curves, *runs.scores}
        for name, curve in runs.curves.items():
            assert found[name][0] == list(range(1, EPOCHS + 1)), name
            np.testing.assert_array_equal(found[name][1], curve[number].astype(np.float32), err_msg=name)
        for name, score in runs.scores.items():
            assert found[name] == ([EPOCHS], [np.float32(score[number])])


def test_tensorboard_finds_the_runs(tmp_path):
    trained(TensorBoardLogger(tmp_path / "logs"))
    found = sorted(map(str, io_wrapper.GetLogdirSubdirectories(str(tmp_path / "logs"))))
    assert found == [str(tmp_path / "logs" / "kolen-pollack" / name) for name in ("seed-0", "seed-3")]


def test_what_sets_a_run_apart_is_in_its_hyperparameters(tmp_path):
    trained(TensorBoardLogger(tmp_path))
    found = read(tmp_path / "kolen-pollack" / "seed-3")
    content = found.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    start = plugin_data_pb2.HParamsPluginData.FromString(content).session_start_info
    assert start.group_name == "kolen-pollack/seed-3"
    about = {name: value.string_value or value.number_value for name, value in start.hparams.items()}
    assert about == {"rule": "kolen-pollack", "seed": 3.0, "learning_rate": 0.1}


def test_a_second_training_gets_folders_of_its_own(tmp_path):
    logger = TensorBoardLogger(tmp_path)
    trained(logger)
    trained(logger, learning_rate=0.2)
    trained(TensorBoardLogger(tmp_path), seeds=(5, 6))  # of another process, as it were
    names = [f"kolen-pollack-{name}" for name in ("2/seed-0", "2/seed-3", "3/seed-5", "3/seed-6")]
    assert subfolders(tmp_path) == [*names, "kolen-pollack/seed-0", "kolen-pollack/seed-3"]
    assert {tuple(steps) for steps, _ in scalars(tmp_path / "kolen-pollack" / "seed-0").values()} == {
        tuple(range(1, EPOCHS + 1)),
        (EPOCHS,),
    }


def test_a_training_that_broke_off_keeps_its_folder(tmp_path):
    """The same logger is used again: what was begun is not written over."""
    logger = TensorBoardLogger(tmp_path)

    def news(start, stop):
        return Epochs("rule", "training", (0,), (0.1,), ({},), start, stop, 4, {})

    for one in (news(0, 1), news(1, 2), news(0, 1)):
        logger.epochs(one)
    assert subfolders(tmp_path) == ["rule-2/seed-0", "rule/seed-0"]


def test_tuning_is_logged_where_it_is_asked_for(tmp_path):
    given = {**OPTIONS, "learning_rate": None, "network": tiny.mlp(), "seeds": 1, "tune": 2, "tune_seeds": 2}
    for tuning in (False, True):
        logger = TensorBoardLogger(tmp_path / str(tuning), tuning=tuning)
        found = compare(tiny.data(), rules={"one": KolenPollack()}, listener=logger, **given)
    assert subfolders(tmp_path / "False") == ["one/seed-0"]
    rates = [f"{rate:.8g}" for rate in found.tuning["one"].learning_rates]
    folders = {str(path.parent.relative_to(tmp_path / "True")) for path in (tmp_path / "True").rglob("*.ascribe")}
    seeds = found.tuning["one"].seeds
    tuned = {f"tuning/one/learning_rate={rate},seed-{seed}" for rate in rates for seed in seeds}
    assert folders == {"one/seed-0", *tuned}
    last = [
        scalars(tmp_path / "True" / f"tuning/one/learning_rate={rates[0]},seed-{seed}")["validation_accuracy"][1][-1]
        for seed in seeds
    ]
    np.testing.assert_array_equal(last, found.tuning["one"].scores[0].astype(np.float32))


def test_names_that_are_no_file_names(tmp_path):
    names = {"..": "%2E%2E", "./a.py:Rule": ".%2Fa.py%3ARule", "b-function:relu2=tanh": "b-function%3Arelu2=tanh"}
    names["weak feedback"] = "weak feedback"
    for name, wanted in names.items():
        TensorBoardLogger(tmp_path / "logs").epochs(Epochs(name, "training", (1,), (0.1,), ({},), 0, 1, 1, {}))
        assert (tmp_path / "logs" / wanted / "seed-1").is_dir()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["logs"]


def test_a_run_that_diverged_is_nan_and_has_its_epoch(tmp_path):
    runs = trained(lambda progress: None)
    scores = {name: np.array([np.nan, value[1]]) for name, value in runs.scores.items()}
    logger = TensorBoardLogger(tmp_path)
    logger.epochs(Epochs(runs.rule, "training", runs.seeds, (0.1, 0.1), ({}, {}), 0, EPOCHS, EPOCHS, {}))
    logger.finished(dataclasses.replace(runs, scores=scores, diverged_at=np.array([1, -1])))
    found = [scalars(tmp_path / runs.rule / f"seed-{seed}") for seed in runs.seeds]
    assert found[0]["diverged_at"] == ([EPOCHS], [2.0]) and "diverged_at" not in found[1]
    assert math.isnan(found[0]["test_accuracy"][1][0])


def test_a_long_curve_is_thinned(tmp_path):
    trained(TensorBoardLogger(tmp_path, points=2))
    found = scalars(tmp_path / "kolen-pollack" / "seed-0")
    assert found["train_loss"][0] == [1, 3]


def test_a_folder_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(UserError, match=r"is no folder to log into \(File exists\): choose another"):
        TensorBoardLogger(tmp_path / "taken")


def test_a_full_disk_costs_the_log_and_not_the_numbers(tmp_path, monkeypatch):
    logger = TensorBoardLogger(tmp_path)

    def full(events):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(logger, "_append", full)
    with pytest.warns(UserWarning, match=r"no more is logged in .* \(No space left on device\); training goes on") as said:
        runs = trained(logger)
    assert len(said) == 1
    assert np.isfinite(runs.test_accuracy).all()


def test_tensorflow_is_not_loaded(tmp_path):
    TensorBoardLogger(tmp_path)
    assert "tensorflow" not in sys.modules


def test_no_port_is_opened(tmp_path, monkeypatch):
    def refuse(*given):
        raise AssertionError("a socket is bound")

    monkeypatch.setattr(socket.socket, "bind", refuse)
    monkeypatch.setattr(socket.socket, "listen", refuse)
    trained(TensorBoardLogger(tmp_path))
