"""Networks of users in files: `--network ./my_network.py:make`."""

import jax
import numpy as np
import pytest

import ascribe
from ascribe.cli import main
from ascribe.errors import UserError
from ascribe.training import network_for, template_of
from ascribe.training.identity import fingerprint

from ..training import tiny

HELPER = "WIDTH = 4\n"
NETWORK = """
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


template = mlp([2, 4, 1], activation="tanh")
number = 5
"""


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "helper.py").write_text(HELPER)
    (tmp_path / "net.py").write_text(NETWORK)
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


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("nowhere.py:make", "there is no file 'nowhere.py'"),
        ("net.py", "a network of a file is PATH.py:NAME"),
        ("net.py:absent", "the file 'net.py' defines no 'absent'"),
        ("net.py:number", "a network is a text as in '64x64', an ascribe Network or a factory key -> Network; got 5"),
        ("net.py:Doubled", "a network factory takes a key alone"),
    ],
)
@pytest.mark.usefixtures("as_installed")
def test_a_file_without_such_a_network_is_refused(file, text, sentence, capsys):
    assert main(["compare", "moons", "--network", text, "--samples", "60", "--tune", "0"]) == 2
    assert sentence in capsys.readouterr().err


def test_a_factory_that_fails_is_told_by_its_line(file):
    line = NETWORK.split("\n").index('    return {}["weights"]') + 1
    with pytest.raises(
        UserError, match=rf"the network factory fails failed in .*net.py, line {line}: KeyError: 'weights'\."
    ):
        template_of(network_for("net.py:fails", tiny.data()))
