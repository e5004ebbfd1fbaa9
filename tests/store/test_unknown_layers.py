"""Records and models with layers of users: everything but the networks is there where the class is not, and no code of a record
is ever run."""

import dataclasses
import json

import jax
import numpy as np
import pytest

import ascribe
from ascribe import networks
from ascribe.cli import main
from ascribe.errors import UserError
from ascribe.networks import Activation, Linear, Network, registry
from ascribe.rules.source_files import run

from ..training import tiny

LAYERS = """
import jax
import jax.numpy as jnp

from ascribe.networks import AbstractLayer

(FOLDER / "ran").write_text("yes")


class Doubled(AbstractLayer):
    kind = "doubled"
    weights: list
    biases: list

    def __init__(self, size, *, key=None):
        self.weights = [jnp.eye(size), 2 * jnp.eye(size)]
        self.biases = [jnp.zeros((1, size)), jnp.ones((1, size))]

    def config(self):
        return {"size": self.biases[0].shape[1]}

    def __call__(self, x, state=None, *, key=None, training=False):
        return jnp.tanh(x @ self.weights[0] + self.biases[0]) @ self.weights[1] + self.biases[1], state
"""
OPTIONS = {"seeds": 2, "tune": 0, "epochs": 1, "learning_rate": 0.1, "diagnostics": False}


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    monkeypatch.setattr(registry, "_registered", {})


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A comparison of two rules, one of them with a layer of a file, its record, and a model."""
    folder = tmp_path_factory.mktemp("made")
    file = folder / "parts.py"
    file.write_text(LAYERS.replace("FOLDER", f"__import__('pathlib').Path({str(folder)!r})"))
    kind = run(file).Doubled
    own = Network([Linear(2, 3), kind(3), Activation("tanh"), Linear(3, 1)])

    class Adapting(ascribe.rules.Backpropagation):
        def adapt(self, network, data):
            return own

    rules = {"plain": "backpropagation", "own": Adapting()}
    comparison = ascribe.compare(tiny.data(), rules=rules, network=tiny.mlp(), **OPTIONS)
    with pytest.MonkeyPatch.context() as patch:
        from .case import plain

        plain(patch)
        comparison.save(folder / "record")
    ascribe.Model.of(comparison.runs["own"], seed=1).save(folder / "model.safetensors")
    (folder / "ran").unlink()
    return comparison, folder, kind


def loaded(folder):
    with pytest.warns(UserWarning, match=r"without the networks of own, .* no class is known here for the layer Doubled"):
        return ascribe.load(folder)


def test_a_record_whose_layer_is_not_known_loses_its_networks_alone(made):
    comparison, folder, _ = made
    found = loaded(folder / "record")
    assert not (folder / "ran").exists()  # no code that a record keeps is run
    for name, runs in comparison.runs.items():
        np.testing.assert_array_equal(found.runs[name].test_loss, runs.test_loss)
        np.testing.assert_array_equal(found.runs[name].train_loss, runs.train_loss)
    assert found.table() == comparison.table()
    inputs = comparison.data.test.inputs
    np.testing.assert_array_equal(found.runs["plain"].predict(inputs), comparison.runs["plain"].predict(inputs))
    assert (found.runs["plain"].built, found.runs["own"].built) == (True, False)
    for use in (lambda: found.runs["own"].predict(inputs), lambda: ascribe.Model.of(found.runs["own"], seed=0)):
        with pytest.raises(UserError, match="the networks of own could not be built from their record: no class is known"):
            use()
    assert str(found.runs["own"].network) == str(comparison.runs["own"].network)


def test_rules_that_lost_their_networks_are_told_together(made, tmp_path, plain_page):
    comparison, _, _ = made
    twin = dataclasses.replace(comparison.runs["own"], rule="twin")
    dataclasses.replace(comparison, runs={**comparison.runs, "twin": twin}).save(tmp_path / "twins")
    with pytest.warns(UserWarning, match=r"^without the networks of own, twin, which stay") as told:
        ascribe.load(tmp_path / "twins")
    assert len(told) == 1


def test_the_record_keeps_the_source_of_the_layer(made):
    _, folder, _ = made
    kept = json.loads((folder / "record" / "record.json").read_text())["rules"]
    assert kept["own"]["layers"] == {"Doubled": {"file": "parts.py", "source": (folder / "parts.py").read_text()}}
    assert kept["plain"]["layers"] == {}


def test_where_the_class_is_registered_everything_comes_back(made):
    comparison, folder, kind = made
    networks.register_layer(kind)
    found = ascribe.load(folder / "record").runs["own"]
    ours, theirs = (jax.tree.leaves((runs.networks, runs.states)) for runs in (comparison.runs["own"], found))
    assert len(ours) == 8  # two arrays of the same number in two lists are two
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one, other)
    model = ascribe.load_model(folder / "model.safetensors")
    rows = comparison.data.test.inputs
    np.testing.assert_array_equal(model.outputs(rows), comparison.runs["own"].outputs(rows)[1])


def test_a_model_whose_layer_is_not_known_says_so(made):
    _, folder, _ = made
    with pytest.raises(UserError, match=r"cannot be loaded: no class is known here for the layer Doubled: register it") as told:
        ascribe.load_model(folder / "model.safetensors")
    assert "damaged" not in str(told.value)


def test_what_is_saved_and_merged_again_is_what_it_was(made, tmp_path, plain_page):
    comparison, folder, kind = made
    merged = ascribe.merge(loaded(folder / "record"), loaded(folder / "record"))
    merged.save(tmp_path / "again")
    networks.register_layer(kind)
    found = ascribe.load(tmp_path / "again").runs["own"]
    inputs = comparison.data.test.inputs
    np.testing.assert_array_equal(found.predict(inputs), comparison.runs["own"].predict(inputs))


def test_a_class_that_makes_another_network_is_told_and_is_no_damage(made):
    _, folder, kind = made

    class Doubled(kind):
        def __init__(self, size, *, key=None):
            super().__init__(size + 1)

    networks.register_layer(Doubled)
    with pytest.warns(UserWarning, match=r"of own, .* Doubled, built from what `config` gave, make another network"):
        found = ascribe.load(folder / "record")
    assert not found.runs["own"].built and found.runs["plain"].built


def test_inspect_takes_the_file_of_the_layer(made, capfd):
    _, folder, _ = made
    with pytest.warns(UserWarning, match="without the networks of own, .* or `inspect` by --layers"):
        assert main(["inspect", str(folder / "record")]) == 0
    assert main(["inspect", str(folder / "record"), "--layers", str(folder / "parts.py")]) == 0
    assert capfd.readouterr().err == ""


def test_report_takes_the_file_of_the_layer(made, tmp_path, capfd, plain_page):
    _, folder, _ = made
    page = str(tmp_path / "page.html")
    assert main(["report", str(folder / "record"), "--out", page]) == 0
    told = capfd.readouterr()
    assert told.err.startswith("ascribe: without the networks of own") and told.err.count("\n") == 1
    assert "own" in told.out
    assert main(["report", str(folder / "record"), "--out", page, "--layers", str(folder / "parts.py")]) == 0
    assert capfd.readouterr().err == ""
    assert main(["report", str(folder / "record"), "--out", page, "--layers", "none.py"]) == 2
    assert "there is no file of layers 'none.py'" in capfd.readouterr().err
