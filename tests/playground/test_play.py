"""`ascribe play` and `ascribe.play`: what goes into the page, and wrong inputs."""

import base64
import gzip
import json
import re
import subprocess
import sys

import numpy as np
import pytest

import ascribe
from ascribe import UserError, datasets
from ascribe.cli import main
from ascribe.playground.play import MADE, MOST, table

FEW = ["--networks", "2-4-1", "--activations", "tanh", "--optimizers", "sgd"]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def data_of(path):
    found = re.search(r'<script id="page-data"[^>]*data-form="(\w+)">([^<]*)<', path.read_text(encoding="utf-8"))
    return json.loads(found[2] if found[1] == "json" else gzip.decompress(base64.b64decode(found[2])))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["moonz"], "unknown data set 'moonz': did you mean 'moons', or choose one of moons, circles, "),
        (["diabetes"], "two inputs and two classes; diabetes has inputs of shape (10,) and the task regression: "),
        (["moons", "--networks", "3-4-1"], "from 2 inputs to 1 output, as '2-16-1'; got '3-4-1'."),
        (["moons", "--rules", "nobody"], "unknown rule 'nobody'"),
        (["moons", "--rules", "bp,bp"], "the rule backpropagation is named twice"),
        (["missing.csv"], "missing.csv"),
        (["moons", "--activations", "reluu", "--networks", "2-4-1"], "reluu"),
        (["moons", "--optimizers", "adamm", "--networks", "2-4-1", "--rules", "bp"], "adamm"),
    ],
)
def test_wrong_input_is_one_sentence_and_writes_nothing(capsys, here, arguments, sentence):
    assert main(["play", *arguments]) == 2
    told = capsys.readouterr().err
    assert told.startswith("ascribe: ") and sentence in told and told.count("\n") == 1
    assert list(here.iterdir()) == []


def test_a_page_that_is_there_is_replaced_only_on_demand(capsys, here):
    (here / "play.html").write_text("mine", encoding="utf-8")
    assert main(["play", "moons"]) == 2
    assert "'play.html' is there already: choose another --out, or add --overwrite" in capsys.readouterr().err
    with pytest.raises(UserError, match="overwrite it"):
        ascribe.play("moons")
    with pytest.raises(UserError, match="is a folder"):
        ascribe.play("moons", out=here)
    assert (here / "play.html").read_text(encoding="utf-8") == "mine"


def test_a_table_keeps_its_own_units_and_is_bounded():
    generator = np.random.default_rng(0)
    inputs, targets = generator.normal(50.0, 9.0, (2000, 2)), generator.integers(0, 2, 2000)
    data = datasets.load((inputs, targets), standardize=True)
    found = table(data)
    points = np.array(found["inputs"]).reshape(-1, 2)
    assert len(points) == len(found["targets"]) == int(MOST * 1.5) == 768
    assert found["note"] == "1232 rows were left out: 768 points are enough here."
    distances = np.abs(points[:, None] - inputs[None]).max(axis=-1).min(axis=1)
    assert distances.max() < 1e-4


def run(*arguments):
    """`ascribe play`, without the checks of types that tests have: they know no sizes that are symbols."""
    done = subprocess.run([sys.executable, "-m", "ascribe", "play", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_a_file_of_ones_own_goes_into_the_page(here):
    rows = [f"{x:.2f},{x * x:.2f},{'sick' if x > 0 else 'well'}" for x in np.linspace(-3, 3, 60)]
    (here / "own.csv").write_text("\n".join(["age,dose,class", *rows]), encoding="utf-8")
    assert run("own.csv", "--rules", "bp,fa", *FEW, "--out", "sub/page.html") == "page: sub/page.html\n"
    found = data_of(here / "sub" / "page.html")
    assert list(found["rules"]) == ["backpropagation", "feedback-alignment", "frozen"]
    assert (found["control"], found["shown"]) == ("frozen", ["backpropagation", "feedback-alignment"])
    assert found["data"]["table"]["columns"] == ["age", "dose"] and len(found["data"]["table"]["targets"]) == 60
    assert set(found["data"]["table"]["classes"]) == {"sick", "well"}
    run("circles", "--rules", "bp", *FEW, "--out", "sub/page.html", "--overwrite")
    found = data_of(here / "sub" / "page.html")
    assert found["data"] == {"name": "circles"} and "circles" in MADE
    assert found["architectures"] == ["2-4-1"]
