"""`ascribe discover`: what it writes, going on after a kill, its rule file in `compare`, and wrong input."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from ascribe import load
from ascribe.cli import main

from ..store.case import snapshot

TINY = [
    *("--network", "4x4", "--samples", "60", "--evaluations", "20", "--batch", "4", "--seeds", "2", "--epochs", "2"),
    *("--fresh-seeds", "2", "--tune", "1", "--transfer", "none"),
]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A small search from beginning to end: its folder, and what it printed."""
    folder = tmp_path_factory.mktemp("discover") / "whole"
    here = os.getcwd()
    try:
        assert main(["discover", "moons", *TINY, "--out", str(folder)]) == 0
    finally:
        os.chdir(here)
    return folder


def arrays(folder, kind="bayesian"):
    with np.load(folder / f"{kind}.npz") as file:
        return {name: file[name] for name in file.files}


def test_everything_is_written(finished):
    names = {path.name for path in finished.iterdir()}
    wanted = {"search.json", "bayesian.npz", "random.npz", "found.json", "discovery.json", "table.csv", "curves.npz"}
    assert {*wanted, "index.html", "figures"} == names
    assert {path.stem for path in (finished / "figures").iterdir()} == {
        *("b_functions", "loss_curves", "differences", "convergence", "surrogate")
    }
    found, record = (json.loads((finished / name).read_text()) for name in ("found.json", "discovery.json"))
    tried = arrays(finished)
    assert tried["points"].shape == (20, 4)
    best = tried["points"][np.argmin(tried["areas"].mean(axis=1))]
    np.testing.assert_allclose(found["omega"], 3 * (2 * best - 1), rtol=1e-5, atol=1e-6)
    rules = [(row["setting"], row["rule"]) for row in record["table"]]
    assert ("as searched", "backpropagation, tuned rate") in rules
    assert ("as searched", "c·σ', tuned c") in rules
    assert ("as searched", "backpropagation, learned rate") in rules
    assert ("network 8x8", "found g") in rules
    page = (finished / "index.html").read_text()
    assert "fresh seeds" in page
    assert page.count("<script") == 1 and page.count(" data-points>") == 5


def test_compare_takes_the_rule_file(finished, tmp_path):
    file = finished / "found.json"
    arguments = ["--network", "4x4", "--samples", "60", "--seeds", "2", "--epochs", "2", "--learning-rate", "0.01"]
    out = tmp_path / "compared"
    assert main(["compare", "moons", "--rules", f"backpropagation,{file}", *arguments, "--out", str(out)]) == 0
    settings = load(out).runs["found"].rule_settings
    assert settings["derivative"]["relu2"]["omega"] == pytest.approx(json.loads(file.read_text())["omega"], rel=1e-5)


@pytest.mark.slow
def test_a_killed_search_goes_on_to_the_same_result(finished, tmp_path):
    """Three times at a random moment: in the Bayesian search, in the random one, in the comparison; and once more to the
    end."""
    folder = tmp_path / "killed"
    command = [sys.executable, "-m", "ascribe", "discover", "moons", *TINY, "--out", str(folder), "--resume"]
    environment = {**os.environ, "JAX_ENABLE_X64": "1"}
    chance = random.Random()
    for least, most in ((1, 5), (5, 10), (10, 10)):  # rounds that are done by then, of 5 Bayesian and 5 random ones
        rounds, delay = chance.randint(least, most), chance.uniform(0, 0.5 if most < 10 else 4.0)
        print(f"killed {delay:.3f} s after {rounds} rounds")
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)
        deadline = time.monotonic() + 240
        while process.poll() is None and time.monotonic() < deadline and done(folder) < 4 * rounds:
            time.sleep(0.02)
        assert done(folder) >= 4 * rounds
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert not (folder / "discovery.json").exists()
    assert main([*command[3:]]) == 0
    for kind in ("bayesian", "random"):
        ours, theirs = arrays(folder, kind), arrays(finished, kind)
        for name in ours:
            np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-5, atol=1e-7, err_msg=f"{kind} {name}")
    ours, theirs = (json.loads((one / "discovery.json").read_text()) for one in (folder, finished))
    assert ours["found"]["omega"] == pytest.approx(theirs["found"]["omega"], rel=1e-5)
    assert [row["area"] for row in ours["table"]] == pytest.approx([row["area"] for row in theirs["table"]], rel=1e-4)


def done(folder):
    """Evaluations in the record, of both kinds."""
    kinds = [kind for kind in ("bayesian", "random") if (folder / f"{kind}.npz").is_file()]
    return sum(len(arrays(folder, kind)["points"]) for kind in kinds)


def test_an_interruption_says_how_to_go_on(finished, tmp_path, monkeypatch, capsys):
    folder = tmp_path / "interrupted"
    folder.mkdir()
    (folder / "search.json").write_bytes((finished / "search.json").read_bytes())

    def interrupted(*given, **more):
        raise KeyboardInterrupt

    monkeypatch.setattr("ascribe.discovery.discover", interrupted)
    assert main(["discover", "moons", *TINY, "--out", str(folder), "--resume"]) == 130
    error = capsys.readouterr().err
    assert f"--out {folder} --resume goes on" in error
    assert "Traceback" not in error


def test_a_smaller_budget_counts_the_first_evaluations(finished, tmp_path):
    folder = tmp_path / "fewer"
    shutil.copytree(finished, folder)
    fewer = [text if text != "20" else "12" for text in TINY]
    assert main(["discover", "moons", *fewer, "--no-random-search", "--out", str(folder), "--resume"]) == 0
    found = json.loads((folder / "found.json").read_text())["about"]
    assert found["evaluations"] == 12
    assert found["area"] == pytest.approx(arrays(finished)["areas"].mean(axis=1)[:12].min(), rel=1e-6)


def test_going_on_with_other_options_is_refused_and_nothing_is_touched(finished, capsys):
    before = snapshot(finished)
    assert main(["discover", "moons", *TINY, "--seed", "5", "--out", str(finished), "--resume"]) == 2
    assert "was begun with another seed" in capsys.readouterr().err
    assert main(["discover", "moons", *TINY, "--out", str(finished)]) == 2
    assert "add --resume" in capsys.readouterr().err
    assert snapshot(finished) == before


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--resume"], "name it with --out"),
        (["--evaluations", "0"], "`evaluations` is an integer of at least 1"),
        (["--hidden", "0"], "hidden neurons of a meta-network"),
        (["--hidden-activation", "softmax"], "couples them"),
        (["--bound", "-1"], "`bound` is a positive number"),
        (["--layer", "relu9"], "no layer 'relu9'"),
        (["--layer", "linear3"], "no activation follows layer linear3"),
        (["--network", "linear"], "has no hidden activation"),
        (["--optimizer", "best"], "unknown optimizer 'best'"),
        (["--transfer", "nowhere"], "nowhere"),
        (["--transfer", "./absent.csv"], "absent.csv"),
        (["--fresh-seeds", "1"], "`fresh_seeds` is an integer of at least 2"),
        (["--seed", "-3"], "not negative"),
    ],
)
def test_wrong_input_is_one_sentence(arguments, sentence, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["discover", "moons", "--samples", "60", *arguments]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert "Traceback" not in error
    assert not any(tmp_path.iterdir())


def test_a_damaged_record_is_refused(finished, tmp_path, capsys):
    folder = tmp_path / "damaged"
    folder.mkdir()
    for name in ("search.json", "bayesian.npz"):
        (folder / name).write_bytes((finished / name).read_bytes())
    (folder / "bayesian.npz").write_bytes(b"PK nothing")
    assert main(["discover", "moons", *TINY, "--out", str(folder), "--resume"]) == 2
    assert "is damaged" in capsys.readouterr().err
