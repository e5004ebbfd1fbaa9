"""Networks of users in files: `--network ./my_network.py:make`."""

import json

import jax
import numpy as np
import pytest

import ascribe
from ascribe import networks
from ascribe.cli import main
from ascribe.errors import UserError
from ascribe.training import network_for, template_of
from ascribe.training.identity import fingerprint

from ..training import tiny

HELPER = "WIDTH = 4\n"
NETWORK = """
import equinox as eqx
import jax
from helper import WIDTH

from ascribe.networks import AbstractLayer, Activation, Linear, Network, mlp


class Doubled(AbstractLayer):
    def __call__(self, x, state=None, *, training=False, key=None):
        return 2 * x, None

    def config(self):
        return {}


def make(key):
    return Network([Linear(2, WIDTH), Doubled(), Activation("tanh"), Linear(WIDTH, 1)])


def fails(key):
    return {}["weights"]


class Model(eqx.Module):
    layers: list

    def __init__(self, key, units: int = 4):
        self.layers = [eqx.nn.Linear(2, units, key=key), eqx.nn.Linear(units, 1, key=key)]

    def __call__(self, x):
        return self.layers[1](jax.nn.relu(self.layers[0](x)))


class Scaled(Model):
    def __call__(self, x):
        return float(x[0]) * super().__call__(x)


def model(key, units=2):
    return Model(key, units)


def sized(key, width: int = 4):
    return mlp([2, width, 1], key=key)


template = mlp([2, 4, 1], activation="tanh")
number = 5
"""


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "helper.py").write_text(HELPER)
    (tmp_path / "net.py").write_text(NETWORK)
    (tmp_path / "broken.py").write_text("import math\nimport absent\n")
    return tmp_path / "net.py"


def test_a_factory_and_a_network_of_a_file(file):
    data = tiny.data()
    made = network_for("./net.py:make", data)
    assert made(jax.random.key(0)).names == ("linear1", "doubled1", "tanh1", "linear2")
    assert network_for("net.py:template", data).names == ("linear1", "tanh1", "linear2")


def test_what_a_file_says_is_in_the_key_its_neighbor_too(file):
    data = tiny.data()
    known = fingerprint(network_for("net.py:make", data))
    assert fingerprint(network_for("./net.py:make", data)) == known
    file.with_name("helper.py").write_text("WIDTH = 3\n")
    assert fingerprint(network_for("net.py:make", data)) != known


def test_a_comparison_on_the_command_line_and_its_record(file, capsys, few_figures):
    options = ["--rules", "bp,fa", "--seeds", "2", "--epochs", "2", "--tune", "0", "--samples", "60", "--out", "here"]
    assert main(["compare", "moons", "--network", "./net.py:make", *options]) == 0
    loaded = ascribe.load("here")
    runs = loaded.runs["feedback-alignment"]
    assert runs.network.names == ("linear1", "doubled1", "tanh1", "linear2")
    assert np.isfinite(runs.predict(loaded.data.test.inputs)).all()


def test_options_reach_models_and_factories(file):
    data = tiny.data()
    for text in ("net.py:Model:units=3", "net.py:model:units=3"):
        network = network_for(text, data)
        assert network.first.parameters["layers"][0]["weight"].shape == (3, 2)
        assert jax.tree.structure(network_for(text, data)) == jax.tree.structure(network)
    assert network_for("net.py:sized:width=3", data)(jax.random.key(0)).weights["linear1"].shape == (3, 2)


def test_a_model_of_another_library_is_compared_kept_and_made_again(file, capsys, few_figures, monkeypatch):
    options = ["--rules", "bp,fa", "--seeds", "2", "--epochs", "2", "--tune", "0", "--samples", "60", "--out", "here"]
    assert main(["compare", "moons", "--network", "./net.py:Model:units=3", *options]) == 0
    kept = json.loads((file.parent / "here" / "record.json").read_text())["rules"]["backpropagation"]["layers"]
    assert kept == {"Model": {"file": "net.py", "source": NETWORK}}
    runs = ascribe.load("here").runs["backpropagation"]  # the file was run here
    model = ascribe.Model.of(runs, seed=0)
    rows = runs.data.test.inputs[:5]
    again = ascribe.load_model(model.save("model.safetensors"))
    np.testing.assert_array_equal(again.outputs(rows), model.outputs(rows))

    monkeypatch.setattr(networks.block, "models", {})
    for module in (networks.registry, networks.foreign):
        monkeypatch.setattr(module, "models", networks.block.models)
    with pytest.warns(UserWarning, match="no class is known here for the layer Model: register it"):
        unbuilt = ascribe.load("here").runs["backpropagation"]
    np.testing.assert_array_equal(unbuilt.test_loss, runs.test_loss)
    assert main(["report", "here", "--layers", "net.py"]) == 0
    np.testing.assert_array_equal(ascribe.load("here").runs["backpropagation"].outputs(rows), runs.outputs(rows))


def test_a_run_is_known_by_the_file_of_its_model(file):
    def known():
        network = network_for("net.py:Model", tiny.data())
        return fingerprint(network.first.adapter.identity)

    before = known()
    assert known() == before
    file.write_text(NETWORK.replace("jax.nn.relu", "jax.nn.gelu"))
    assert known() != before


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("nowhere.py:make", "there is no file 'nowhere.py'"),
        (
            "broken.py:Net",
            "the file of a network 'broken.py' cannot be run: ModuleNotFoundError: No module named 'absent' (line 2)",
        ),
        ("net.py", "a network of a file is PATH.py:NAME"),
        ("net.py:absent", "the file 'net.py' defines no 'absent'"),
        ("net.py:number", "a network is a text as in '64x64', an ascribe Network or a factory key -> Network; got 5"),
        ("net.py:Doubled", "a network factory takes a key alone"),
        ("net.py:Scaledd", "the file 'net.py' defines no 'Scaledd': did you mean 'Scaled'?"),
        ("net.py:Model:unit=4", "the model Model has no option 'unit': did you mean units"),
        ("net.py:Model:units=many", "the option units of the network Model is an integer; got 'many'"),
        ("net.py:template:units=4", "options are for a class or a function; template of net.py:template:units=4 is"),
        ("net.py:Scaled", "the model Scaled decides by the values of its data (net.py, line"),
    ],
)
@pytest.mark.usefixtures("as_installed")
def test_a_file_without_such_a_network_is_refused(file, text, sentence, capsys):
    assert main(["compare", "moons", "--network", text, "--samples", "60", "--tune", "0"]) == 2
    assert sentence in capsys.readouterr().err


def test_an_activation_that_a_network_of_a_file_would_not_take_is_refused(file, capsys):
    assert main(["compare", "moons", "--network", "net.py:Model", "--activation", "tanh"]) == 2
    assert "'net.py:Model' has its own: leave it out" in capsys.readouterr().err


def test_a_factory_that_fails_is_told_by_its_line(file):
    line = NETWORK.split("\n").index('    return {}["weights"]') + 1
    with pytest.raises(UserError, match=rf"the network factory fails failed in .*net.py, line {line}: KeyError: 'weights'\."):
        template_of(network_for("net.py:fails", tiny.data()))
