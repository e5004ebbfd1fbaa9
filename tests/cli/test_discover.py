"""`ascribe discover`: what it writes, going on after a kill, its rule file in `compare`, and wrong input."""

import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time

import jax
import numpy as np
import pytest

from ascribe import load, report
from ascribe.cli import main
from ascribe.store import DATABASE, Store

from ..store.case import command_line, plain, snapshot
from .case import signaled_at

# Four rounds by each kind of search; what the fourth tries, the Gaussian process says.
TINY = [
    *("--network", "4", "--samples", "60", "--evaluations", "16", "--batch", "4", "--seeds", "2", "--epochs", "3"),
    *("--fresh-seeds", "2", "--tune", "2", "--transfer", "none"),
]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A small search from beginning to end: its folder."""
    folder = tmp_path_factory.mktemp("discover") / "whole"
    here = os.getcwd()
    try:
        assert main(["discover", "moons", *TINY, "--out", str(folder)]) == 0
    finally:
        os.chdir(here)
    return folder


@pytest.fixture
def no_figures(monkeypatch):
    monkeypatch.setattr(report.discovery, "figures", lambda discovery: {})


def searched(folder, kind="bayesian"):
    """The ω of every candidate, `(candidates, 4)`, and the training losses of its two seeds, `(candidates, 2, epochs)`."""
    store = Store(folder, create=False)
    rows = [row for row in store.runs(store.experiments()[0]["id"]) if row["rule"] == f"{kind} search"]
    assert {row["phase"] for row in rows} == {"searching"}
    assert [row["seed"] for row in rows] == [100000, 100001] * (len(rows) // 2)
    omegas = [row["hyperparameters"]["derivative.relu1.omega"] for row in rows]
    losses = np.stack([store.curves(row["key"])["train_loss"] for row in rows])
    return np.asarray(omegas[::2]), losses.reshape(len(rows) // 2, 2, -1)


@pytest.mark.slow
def test_everything_is_written(finished):
    names = {path.name for path in finished.iterdir()}
    wanted = {"found.json", "discovery.json", "table.csv", "curves.npz", "index.html", "figures"}
    assert wanted == {name for name in names if not name.startswith(DATABASE)}
    assert {path.stem for path in (finished / "figures").iterdir()} == {
        *("b_functions", "loss_curves", "differences", "convergence", "surrogate")
    }
    found, record = (json.loads((finished / name).read_text()) for name in ("found.json", "discovery.json"))
    omegas, losses = searched(finished)
    assert omegas.shape == (16, 4)
    best = omegas[np.argmin(losses.sum(axis=2).mean(axis=1))]
    np.testing.assert_allclose(found["omega"], best, rtol=1e-5, atol=1e-6)
    rules = [(row["setting"], row["rule"]) for row in record["table"]]
    assert ("as searched", "backpropagation, tuned rate") in rules
    assert ("as searched", "c·σ', tuned c") in rules
    assert ("as searched", "found g, B") in rules and ("as searched", "found g, 0 where σ' = 0") in rules
    assert ("as searched", "backpropagation, rate tuned for area") in rules
    assert ("as searched", "backpropagation, learned rate") in rules
    assert ("network 8", "found g") in rules
    page = (finished / "index.html").read_text()
    assert "fresh seeds" in page
    assert page.count("<script") == 1 and page.count(" data-points>") == 5


@pytest.mark.slow
def test_compare_takes_the_rule_file(finished, tmp_path, monkeypatch):
    plain(monkeypatch)
    file, out = finished / "found.json", tmp_path / "compared"
    assert main(["compare", *command_line(rules=f"backpropagation,{file}", tune=0, out=out)]) == 0
    settings = load(out).runs["found"].rule_settings
    assert settings["derivative"]["relu1"]["omega"] == pytest.approx(json.loads(file.read_text())["omega"], rel=1e-5)


@pytest.mark.slow
def test_all_its_runs_are_one_experiment(finished):
    store = Store(finished, create=False)
    (experiment,) = store.experiments()
    assert (experiment["name"], experiment["status"]) == ("b-function on moons", "finished")
    assert experiment["configuration"] == json.loads((finished / "discovery.json").read_text())["configuration"]
    rows = store.runs(experiment["id"])
    assert len(rows) == len(store.runs()) == experiment["runs"]
    labels = {row["rule"] for row in rows}
    table = json.loads((finished / "discovery.json").read_text())["table"]
    compared = {f"{row['setting']}: {row['rule']}" for row in table}
    for_area = {"backpropagation, rate tuned for area", "found g, rate tuned for area"}
    assert labels - compared == {"bayesian search", "random search", "c·σ', tuned c", *for_area}
    # Rates that two ways of tuning agree on are one run, under one name.
    assert {label for label in compared - labels if "tuned" not in label} == set()
    rows = [row for row in rows if row["rule"] == "network 8: found g"]
    areas = [store.curves(row["key"])["train_loss"].sum() for row in rows]
    assert np.mean(areas) == pytest.approx(
        next(row["area"] for row in table if (row["setting"], row["rule"]) == ("network 8", "found g")), rel=1e-6
    )


@pytest.mark.slow
def test_a_killed_search_goes_on_to_the_same_result(finished, tmp_path, no_figures):
    """Twice at a random moment: in one of the searches, and in the comparison; and once more to the end."""
    folder = tmp_path / "killed"
    command = [sys.executable, "-m", "ascribe", "discover", "moons", "--out", str(folder)]
    cache = {"JAX_COMPILATION_CACHE_DIR": jax.config.jax_compilation_cache_dir}
    cache["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    environment = {**os.environ, **cache, "JAX_ENABLE_X64": "1"}
    chance = random.Random()
    more = TINY
    for least, most in ((1, 7), (8, 8)):  # rounds that are done by then, of 4 Bayesian and 4 random ones
        rounds, delay = chance.randint(least, most), chance.uniform(0, 0.5 if most < 8 else 3.0)
        print(f"killed {delay:.3f} s after {rounds} rounds")
        process = subprocess.Popen([*command, *more], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)
        deadline = time.monotonic() + 240
        while process.poll() is None and time.monotonic() < deadline and done(folder) < 8 * rounds:
            time.sleep(0.02)
        assert done(folder) >= 8 * rounds
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert not (folder / "discovery.json").exists()
        more = ["--resume"]
    assert main([*command[3:], "--resume"]) == 0
    for kind in ("bayesian", "random"):
        for ours, theirs in zip(searched(folder, kind), searched(finished, kind), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-7, err_msg=kind)
    ours, theirs = (json.loads((one / "discovery.json").read_text()) for one in (folder, finished))
    assert ours["found"]["omega"] == pytest.approx(theirs["found"]["omega"], rel=1e-5)
    assert [row["area"] for row in ours["table"]] == pytest.approx([row["area"] for row in theirs["table"]], rel=1e-4)
    count = lambda folder: len(Store(folder, create=False).runs())
    assert count(folder) == count(finished)


def done(folder):
    """Runs of the search that are kept."""
    if not (folder / DATABASE).is_file():
        return 0
    connection = sqlite3.connect(folder / DATABASE)
    try:
        return connection.execute("SELECT count(*) FROM runs WHERE phase = 'searching'").fetchone()[0]
    except sqlite3.OperationalError:  # it has no tables yet
        return 0
    finally:
        connection.close()


@pytest.mark.slow
@pytest.mark.parametrize("phase", ["searching", "training"])
def test_a_signal_ends_the_work_and_resume_goes_on(phase, tmp_path, monkeypatch, capsys, no_figures):
    folder = tmp_path / "out"
    arguments = ["discover", "moons", *TINY, "--no-random-search", "--out", str(folder)]
    signaled_at(monkeypatch, phase, signal.SIGINT)
    assert main(arguments) == 130
    assert f"what was done is kept: go on with the same data and --out {folder} --resume" in capsys.readouterr().err
    assert not (folder / "discovery.json").exists()
    assert main(arguments) == 2
    assert "unfinished work: add --resume" in capsys.readouterr().err
    assert main(["discover", "moons", "--out", str(folder), "--resume", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["configuration"]["evaluations"] == 16
    (experiment,) = Store(folder).experiments()
    assert experiment["status"] == "finished"


@pytest.mark.slow
def test_what_is_finished_is_not_computed_again(finished, tmp_path, monkeypatch, no_figures):
    """Fewer evaluations are the first of those that are there, and their best is compared with what is kept."""
    folder = tmp_path / "fewer"
    shutil.copytree(finished, folder)
    before = {row["key"] for row in Store(folder).runs()}

    def again(*_):
        raise AssertionError("a round of the search is computed again")

    monkeypatch.setattr("ascribe.search.discover.suggest", again)
    more = ["--evaluations", "12", "--no-random-search", "--out", str(folder), "--resume"]
    assert main(["discover", "moons", *more]) == 0
    found = json.loads((folder / "found.json").read_text())["about"]
    assert found["evaluations"] == 12
    assert found["area"] == pytest.approx(searched(finished)[1].sum(axis=2).mean(axis=1)[:12].min(), rel=1e-6)
    new = [row for row in Store(folder).runs() if row["key"] not in before]
    # What is searched anew are the rates of the g that is the best of these.
    assert {row["rule"] for row in new if row["phase"] == "searching"} == {"found g, rate tuned for area"}


@pytest.mark.slow
def test_a_folder_that_is_taken_is_left_alone(finished, tmp_path, capsys):
    before = snapshot(finished)
    for more, said in (
        ([], "add --resume to add to it, --overwrite to replace it"),
        (["--resume", "--overwrite"], "give one of them"),
    ):
        assert main(["discover", "moons", *TINY, "--out", str(finished), *more]) == 2
        assert said in capsys.readouterr().err
    assert main(["discover", "xor", "--out", str(finished), "--resume"]) == 2
    assert "was begun on moons, not on xor" in capsys.readouterr().err
    assert main(["compare", "moons", "--out", str(finished), "--resume"]) == 2
    assert "holds nothing that `ascribe compare` began" in capsys.readouterr().err
    assert main(["compare", "moons", "--out", str(finished), "--overwrite"]) == 2
    assert "holds the record of another command" in capsys.readouterr().err
    assert snapshot(finished) == before


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--resume"], "name it with --out"),
        (["--evaluations", "0"], "`evaluations` is a positive integer"),
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


@pytest.mark.slow
def test_a_damaged_round_is_refused(finished, tmp_path, capsys):
    shutil.copytree(finished, tmp_path / "damaged")
    connection = sqlite3.connect(tmp_path / "damaged" / DATABASE)
    connection.execute("UPDATE payloads SET data = zeroblob(length(data)) WHERE kind = 'state'")
    connection.commit()
    connection.close()
    assert main(["discover", "moons", "--out", str(tmp_path / "damaged"), "--resume"]) == 2
    assert "is damaged" in capsys.readouterr().err
