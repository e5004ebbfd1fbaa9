"""`ascribe inspect`: the card of a rule, of a user's own file too, and wrong inputs."""

import json

import pytest

from ascribe.cli import main

OWN = '''"""A rule of one's own."""
from ascribe.rules import AbstractRule, Terms, backward_sweep


class Half(AbstractRule):
    """Half of the error goes back. A second sentence."""

    def __call__(self, network, state, batch, *, key=None):
        half = {name: network[name].weight / 2 for name in network.synaptic[1:]}
        return backward_sweep(network, state, batch, Terms(feedback=half), key=key)
'''


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_users_own_file_gets_a_card(capsys, here):
    (here / "own.py").write_text(OWN, encoding="utf-8")
    few = ["--sections", "needs,limit", "--network", "4x4", "--out", "out"]
    assert main(["inspect", "./own.py:Half", *few]) == 0
    told = capsys.readouterr().out
    assert told.startswith("The card of own:Half\nHalf of the error goes back. A second sentence.\nLooked at on moons, ")
    assert "weight transport" in told and "limiting_case" in told
    assert {path.name for path in (here / "out").iterdir()} == {"card.html", "card.svg", "card.json"}
    found = json.loads((here / "out" / "card.json").read_text(encoding="utf-8"))
    assert found["needs"]["properties"]["weight transport"] == "yes"


def test_json_is_one_object_and_nothing_else(capsys):
    assert main(["inspect", "bp", "--sections", "limit", "--network", "3", "--data", "sine", "--samples", "60", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["rule"], found["data"], found["limit"]["equals"]) == ("backpropagation", "sine", "jax.grad of the loss")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nobody"], "unknown rule 'nobody'"),
        (["fa", "--sections", "price"], "of some of needs, chain, cost, quality, limit"),
        (["fa", "--samples", "60"], "add --data NAME"),
        (["fa", "--data", "nothing"], "unknown data set"),
        (["perceptron", "--data", "sine"], "cannot do regression"),
        (["fa", "--network", "4y4"], "unknown network"),
        (["fa", "--batch-size", "0"], "is a positive integer"),
        (["fa", "--sections", "limit", "--network", "3", "--out", "taken"], "--out is a folder"),
        (["./none.py:Rule"], "none.py"),
        (["fa", "--layers", "none.py"], "--layers is for the folder of a comparison"),
    ],
)
def test_wrong_inputs_are_told_in_a_sentence(capsys, here, arguments, sentence):
    (here / "taken").write_text("", encoding="utf-8")
    assert main(["inspect", *arguments]) == 2
    error = capsys.readouterr().err
    assert sentence in error and error.count("\n") == 1
