"""`compare --folds`: what is told, and that it goes on after an interruption."""

import json
import os
import signal

import pytest

from ascribe import load
from ascribe.cli import main
from ascribe.cli.progress import Lines
from ascribe.store import Store

from ..search.test_compare_in_folds import same
from ..store.case import FOLDS, RULES, SAMPLES, command_line, in_folds, plain

COMPARE = ["compare", *command_line(folds=FOLDS)]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    plain(monkeypatch)
    monkeypatch.chdir(tmp_path)
    in_folds()  # the same programs
    return tmp_path


def test_folds_are_told_at_the_beginning_and_in_what_comes_out(here, capsys):
    assert main([*COMPARE, "--out", "out", "--json"]) == 0
    printed = capsys.readouterr()
    first, *others = printed.err.splitlines()
    assert first.endswith(
        f"folds: 3; each of the {SAMPLES} examples is tested in one, and every rule is tuned and trained in all"
    )
    assert any("feedback-alignment, fold 2: tuning" in line for line in others) or not others
    told = json.loads(printed.out)
    assert told["configuration"]["folds"] == FOLDS
    assert [len(row["folds"]) for row in told["table"]] == [FOLDS] * len(RULES)
    same(load(here / "out"), in_folds())
    assert main(["report", "out"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "± 95 % over 3 folds (corrected resampled t); differences to backpropagation." in text
    assert main(["runs", "show", "out"]) == 0
    assert "fold" in capsys.readouterr().out.splitlines()[2]
    assert main(["runs", "export", "out", "--out", "runs.csv"]) == 0
    head, *rows = (here / "runs.csv").read_text().splitlines()
    assert head.startswith("key,rule,phase,data,fold,network,")
    assert sorted({row.split(",")[4] for row in rows}) == ["1", "2", "3"]
    assert len(rows) == FOLDS * len(RULES) * (2 + 2) * 3


def test_a_dry_run_counts_what_all_folds_train(here, capsys):
    assert main([*COMPARE, "--dry-run"]) == 0
    lines = dict(line.split(": ", 1) for line in capsys.readouterr().out.splitlines())
    assert lines["folds"].startswith(f"3; each of the {SAMPLES} examples")
    assert lines["runs"] == "24 of 3 epochs in 3 folds: 12 to tune, 12 with fresh seeds"
    assert "20 test examples" in lines["data"]
    assert main([*COMPARE, "--dry-run", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert [fold["test"] for fold in plan["folds"]] == [20] * FOLDS == [plan["data"]["examples"]["test"]] * FOLDS
    assert list(here.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize(("fold", "phase"), [(1, "training"), (2, "tuning"), (3, "training")])
def test_it_goes_on_in_the_fold_in_which_it_was_stopped(here, capsys, monkeypatch, fold, phase):
    told, waiting = Lines.__call__, [signal.SIGINT]

    def call(self, progress):
        told(self, progress)
        if progress.rule == f"{RULES[1]}, fold {fold}" and progress.phase == phase and waiting:
            os.kill(os.getpid(), waiting.pop())

    monkeypatch.setattr(Lines, "__call__", call)
    assert main([*COMPARE, "--out", "out"]) == 130
    before = len(Store(here / "out").runs())
    assert not waiting and 0 < before < FOLDS * len(RULES) * 4
    capsys.readouterr()
    assert main(["compare", "moons", "--out", "out", "--resume"]) == 0
    heard = capsys.readouterr().err
    assert "fold 3: training" in heard and (fold == 1 or "fold 1: training" not in heard)
    same(load(here / "out"), in_folds())
    (one,) = Store(here / "out").experiments()
    assert (one["status"], one["runs"]) == ("finished", FOLDS * len(RULES) * 4)
    # More seeds later: what is there is not trained again.
    assert main(["compare", "moons", "--out", "out", "--resume", "--seeds", "3"]) == 0
    found = load(here / "out")
    assert found.runs[RULES[0]].seeds == (0, 1, 2) * FOLDS
    for later, earlier in zip(found.folds, in_folds().folds, strict=True):
        assert (later.runs[RULES[0]].test_accuracy[:2] == earlier.runs[RULES[0]].test_accuracy).all()
    assert main([*COMPARE, "--out", "out", "--overwrite"]) == 0
    same(load(here / "out"), in_folds())


@pytest.mark.slow
def test_workers_train_every_fold(here, capsys):
    pytest.importorskip("distributed")
    assert main([*COMPARE, "--out", "out", "--workers", "2"]) == 0
    found = load(here / "out")
    assert list(found.runs) == list(RULES) and found.runs[RULES[1]].folds == (1, 1, 2, 2, 3, 3)
    for rule in RULES:
        assert found.runs[rule].test_accuracy == pytest.approx(in_folds().runs[rule].test_accuracy, abs=1e-6)
