"""The doors to b-functions: what may be given, how it is written on a command line, rule files, and what is refused."""

import json
import re

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from ascribe import networks, rules
from ascribe.errors import UserError
from ascribe.rules import BFunction, GradientNoise, MatchedNoise, MetaNetwork, rule_files

from ..cases import case, examples, small_mlp


def gradients(rule, network, batch):
    return rule(network, rule.init(network, batch, key=jr.key(0)), batch).gradients


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("b-function", "softplus"),
        ("b-function:tanh", "tanh"),
        ("b-function:0.5", 0.5),
        ("b-function:relu1=tanh;relu2=0.5", {"relu1": "tanh", "relu2": 0.5}),
        ("b-function: linear1 = arctan ;", {"linear1": "arctan"}),
    ],
)
def test_what_is_put_where_can_be_written_after_a_colon(text, expected):
    network, batch = small_mlp("relu"), examples((4,), "squared-error")
    ours, theirs = gradients(rules.get(text), network, batch), gradients(BFunction(expected), network, batch)
    assert all(np.array_equal(a, b) for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True))
    assert rules.full_name(text) == text.replace(" ", "").rstrip(";")


def test_a_synaptic_layer_stands_for_the_activation_above_it_and_a_name_wins_over_hidden():
    network = small_mlp("relu")
    chosen = BFunction({"hidden": "tanh", "linear2": "arctan"}).terms(network, {}).derivative
    z = jnp.linspace(-1.0, 1.0, 5)
    np.testing.assert_allclose(chosen["relu1"](z), 1 - jnp.tanh(z) ** 2)
    np.testing.assert_allclose(chosen["relu2"](z), 1 / (1 + z**2))


def test_settings_of_a_rule_are_plain_json_values():
    rule = BFunction({"relu1": MetaNetwork([1.0, 0.0, 2.0, 0.5]), "relu2": "tanh"}, transport={"linear3": jnp.ones((2, 2))})
    found = json.loads(json.dumps(rules.settings(rule)))
    assert found["derivative"]["relu1"] == {
        "class": "MetaNetwork",
        "omega": [1.0, 0.0, 2.0, 0.5],
        "hidden": 1,
        "activation": "tanh",
    }
    assert found["derivative"]["relu2"] == "tanh"
    assert found["transport"] == {"linear3": [[1.0, 1.0], [1.0, 1.0]]}
    assert rules.name_of(BFunction("softplus")) == "b-function"
    assert rules.name_of(BFunction("tanh")) == "BFunction"
    assert rules.name_of(MatchedNoise()) == "gradient-noise-matched"


def test_a_rule_file_round_trip(tmp_path):
    g = MetaNetwork([0.5, -1.0, 0.0, 0.25, 2.0, 1.0, -0.5], hidden=2, activation="logistic")
    path = tmp_path / "found.json"
    path.write_text(json.dumps(rule_files.content("tanh1", g, about={"data": "digits"})))
    rule = rules.get(str(path))
    assert rules.full_name(str(path)) == "found"
    network, batch = case("mlp", "squared-error")
    ours, theirs = gradients(rule, network, batch), gradients(BFunction({"tanh1": g}), network, batch)
    np.testing.assert_array_equal(ours["linear1"].weight, theirs["linear1"].weight)
    assert float(rules.get(str(path), scale=3.0).scale) == 3.0


GOOD = {"format": rule_files.FORMAT, "layer": "relu1", "omega": [0.0, 0.0, 0.0, 1.0], "hidden": 1, "activation": "tanh"}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "there is no rule file"),
        ("{", "is no JSON"),
        ("[]", "is no rule file of the format"),
        (json.dumps({**GOOD, "format": "other"}), "is no rule file of the format"),
        (json.dumps({**GOOD, "omega": [0.0, 1.0]}), "has 4 parameters"),
        (json.dumps({**GOOD, "omega": ["a"] * 4}), "finite numbers omega"),
        (json.dumps({**GOOD, "omega": [True] * 4}), "finite numbers omega"),
        (json.dumps({**GOOD, "omega": [float("nan")] * 4}), "finite numbers omega"),
        (json.dumps({**GOOD, "omega": [10**400] * 4}), "finite numbers omega"),
        (json.dumps({**GOOD, "checksum": "0"}), "its checksum is another: put back a copy, or remove its 'checksum'"),
        (
            json.dumps({**rule_files.content("tanh1", MetaNetwork([1.0] * 4)), "layer": "tanh2"}),
            "its checksum is another",
        ),
        ("[" * 100_000, "is no JSON"),
        (json.dumps({**GOOD, "layer": 3}), "a layer's name"),
        (json.dumps({**GOOD, "hidden": -1}), "positive integer"),
        (json.dumps({**GOOD, "activation": "softmax"}), "couples them"),
        (json.dumps({**GOOD, "activation": "wavelet"}), "unknown activation"),
    ],
)
def test_damaged_rule_files_are_refused_with_a_sentence(tmp_path, content, sentence):
    path = tmp_path / "found.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UserError, match=sentence):
        rules.get(str(path))


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: BFunction("wavelet"), "unknown b-function 'wavelet'"),
        (lambda: BFunction(float("nan")), "finite number"),
        (lambda: BFunction({"relu1": [1, 2]}), "a name, a number or a function"),
        (lambda: BFunction(transport="learned"), "`transport` is 'random'"),
        (lambda: BFunction(error={"linear1": 3}), "is a function; got 3 for linear1"),
        (lambda: BFunction(cost_gradient="y - t"), "for cost_gradient"),
        (lambda: BFunction("tanh", scale=0.0), "a number in (0, inf)"),
        (lambda: MatchedNoise("tanh"), "`of` is the BFunction rule"),
        (lambda: GradientNoise(eta=-1.0), "`eta` is a number in [0, inf)"),
        (lambda: MetaNetwork([1.0, 2.0]), "has 4 parameters"),
        (lambda: MetaNetwork([1.0] * 4, activation="softmax"), "couples them"),
        (lambda: rules.get("b-function:wavelet"), "unknown b-function 'wavelet'"),
        (lambda: rules.get("b-function:relu1="), "b-function:relu1=tanh;relu2=0.5"),
        (lambda: rules.get("kolen-pollack:tanh"), "options of a rule are written as kolen-pollack:NAME=VALUE"),
    ],
)
def test_wrong_b_functions_are_refused_where_they_enter(make, sentence):
    with pytest.raises(UserError, match=re.escape(sentence)):
        make()


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        (lambda: BFunction({"relu7": "tanh"}), "this network has no layer 'relu7'"),
        (lambda: BFunction({"linear3": "tanh"}), "no activation follows layer linear3"),
        (lambda: BFunction(lambda z: z[:1]), "keeps the shape of z"),
        (lambda: BFunction(transport={"linear1": "random"}), "no error passes through layer linear1"),
        (lambda: BFunction(transport={"linear2": jnp.ones((2, 2))}), "feedback has the weight's own shape"),
        (lambda: BFunction(output_derivative="tanh"), "cannot be replaced, because it couples the units"),
        (lambda: BFunction(error={"relu1": jnp.sign}), "layer relu1 has no weights"),
    ],
)
def test_what_does_not_fit_a_network_is_refused_when_it_meets_it(rule, sentence):
    network, batch = small_mlp("relu"), examples((4,), "categorical-cross-entropy")
    with pytest.raises(UserError, match=re.escape(sentence)):
        gradients(rule(), network, batch)


def test_hidden_activations_are_all_but_the_output_s():
    network = networks.mlp([3, 4, 4, 2], activation="tanh", output_activation="logistic")
    assert rules.hidden_activations(network) == ("tanh1", "tanh2")
    assert rules.activation_of(network, "linear2") == "tanh2"
    with pytest.raises(UserError, match="is the output"):
        rules.activation_of(network, "linear3")
