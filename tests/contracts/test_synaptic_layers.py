"""A synaptic layer of one's own: one class, and every rule, tool, training and record takes it as it takes a dense one."""

import functools
from functools import partial

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import ascribe
from ascribe import losses, rules
from ascribe.errors import UserError
from ascribe.networks import AbstractLayer, AbstractSynapticLayer, Activation, Linear, Network, check_input, registry
from ascribe.rules import Batch, RelaxedIdentity, check_gradients, verify
from ascribe.rules.consolidation import refitted

from ..cases import EXACT, OWN_NETWORK, assert_close, credit_of, upper_weights
from ..store.case import plain
from ..training import tiny
from .test_rules import like, traced


class Local(AbstractSynapticLayer):
    """z_p = Σ_k W_pk x_{p+k} + b_p: every unit sees `window` neighbors, with weights of its own."""

    weight: jax.Array
    bias: jax.Array
    wants_vectors = True

    def __init__(self, fan_in, window, *, key=None):
        places = fan_in - window + 1
        self.weight = jr.normal(jr.key(0) if key is None else key, (places, window)) / jnp.sqrt(window)
        self.bias = jnp.zeros(places)

    def __call__(self, x, state=None, *, key=None, training=False):
        seen = jnp.stack([x[:, k : k + self.outputs] for k in range(self.fan_in)], axis=-1)
        return jnp.sum(seen * self.weight[None], axis=-1) + self.bias[None], state

    def config(self):
        return {"fan_in": self.outputs + self.fan_in - 1, "window": self.fan_in}

    @property
    def fan_in(self):
        return self.weight.shape[-1]

    @property
    def fan_out(self):
        return self.weight.shape[-1]

    @property
    def outputs(self):
        return self.weight.shape[-2]

    def check_shape(self, name, shape):
        if shape != (self.config()["fan_in"],):
            raise UserError(f"layer {name} takes {self.config()['fan_in']} numbers in a row; got {shape}.")


FORWARD = "the forward-pass rule is defined for dense layers"
INVERSES = "target propagation has inverses of dense layers"
DENSE_ONLY = {
    "forward-pass": FORWARD,
    "forward-pass-as-published": FORWARD,
    "forward-pass-one-versus-rest": FORWARD,
    "softhebb": "SoftHebb is defined for dense and convolutional layers",
    "hebbian": "Hebbian learning is defined for dense and convolutional layers",
    "target-propagation": INVERSES,
    "target-propagation-direct": INVERSES,
    "target-propagation-fixed": INVERSES,
}
"""The rules that do not take such a layer, with what they say."""
OWN = ("perceptron",)
"""The rules that train a network of their own."""


@functools.cache
def case():
    """A network with two of these layers between dense ones, and a batch."""
    tanh = Activation("tanh")
    network = Network([Linear(4, 5), tanh, Local(5, 3), tanh, Local(3, 2), tanh, Linear(2, 1)])
    labels = jnp.asarray([0, 1, 1, 0, 1, 0])
    return network, Batch(jr.normal(jr.key(1), (6, 4)), labels, losses.get("bernoulli-cross-entropy"))


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    monkeypatch.setattr(registry, "_registered", {})


@pytest.mark.parametrize("name", [name for name in rules.names() if name not in (*DENSE_ONLY, *OWN)])
def test_every_rule_gives_it_its_credit(name):
    rule, (given, batch) = rules.get(name), case()
    network = rule.adapt(given, tiny.data(features=4))
    assert (network is given) == (name not in OWN_NETWORK)
    trainables, state, credit, after, feedback, _ = traced(rule, network, batch, jr.key(0))
    assert like(credit.gradients) == like(trainables)
    assert like(after) == like((trainables, state))
    assert all(matrix.shape == network[layer].weight.shape for layer, matrix in feedback.items())
    assert rule.predicts or like(jax.eval_shape(rule.finish, trainables, state, batch)) == like(network)


@pytest.mark.parametrize("name", DENSE_ONLY)
def test_a_rule_of_dense_layers_says_so(name):
    data = tiny.data("classification" if name.endswith("rest") else "binary", features=4)
    with pytest.raises(UserError, match=DENSE_ONLY[name]):
        rules.get(name).adapt(case()[0], data)


def test_the_feedback_has_its_law():
    """Standard deviation 1/√fan_in, here of 5,000 weights of fan-in 2; and of sign symmetry √(2/(fan_in + fan_out))."""
    network = Network([Local(4, 2), Local(5001, 2)])
    found = rules.FeedbackAlignment().init(network, case()[1], key=jr.key(0))["local2"]
    np.testing.assert_allclose(np.std(found), np.sqrt(1 / 2), rtol=0.03)
    same = rules.SignSymmetry().init(network, case()[1], key=jr.key(0))["local2"]
    np.testing.assert_allclose(same, np.sqrt(2 / 4))


def test_tools_check_it():
    network, batch = case()
    assert check_gradients("backpropagation", network, batch)
    assert verify("feedback-alignment", network, batch).differs == ("linear1", "local1", "local2")
    ours = credit_of(rules.FeedbackAlignment(), network, upper_weights(network), batch)
    assert_close(ours.gradients, credit_of(rules.Backpropagation(), network, None, batch).gradients, EXACT)


def test_a_network_says_what_it_takes_and_gives():
    network = Network([Local(5, 3), Activation("tanh"), Local(3, 2)])
    assert (network.outputs, network.first.wants_vectors, network.names) == (2, True, ("local1", "tanh1", "local2"))
    assert check_input(network, (5,)) == (2,)
    with pytest.raises(UserError, match=r"layer local1 takes 5 numbers in a row; got \(4,\)"):
        check_input(network, (4,))
    assert network.diagram().svg()


def test_equal_ones_in_a_row_are_not_stacked_unless_they_say_so():
    deep = jax.eval_shape(lambda: Network([Linear(2, 3), *(Local(3, 1) for _ in range(10)), Linear(3, 1)]))
    assert len(deep.parts) == 12
    kept = type("Kept", (Local,), {"repeats": True, "kind": "kept"})
    deep = jax.eval_shape(lambda: Network([Linear(2, 3), *(kept(3, 1) for _ in range(10)), Linear(3, 1)]))
    assert [getattr(part, "count", 1) for part in deep.parts] == [1, 10, 1]


def test_a_rule_that_refits_it_in_closed_form_wants_its_equations():
    with pytest.raises(UserError, match="a layer Local cannot be refitted in closed form: choose"):
        refitted(Local(5, 3), jnp.ones((4, 5)), jnp.ones((4, 3)), jnp.asarray(1e-4))
    rule = RelaxedIdentity(consolidate="end")
    trainables = jax.eval_shape(partial(rule.trainables, key=jr.key(0)), *case())
    with pytest.raises(UserError, match="cannot be refitted"):
        jax.eval_shape(rule.finish, trainables, None, case()[1])


def test_it_is_trained_and_a_record_brings_it_back(tmp_path, monkeypatch):
    plain(monkeypatch)
    data, network = tiny.data(features=4), case()[0]
    comparison = ascribe.compare(
        data, rules=["feedback-alignment"], network=network, seeds=2, tune=0, epochs=1, learning_rate=0.1
    )
    comparison.save(tmp_path / "record")
    ascribe.networks.register_layer(Local)
    found = ascribe.load(tmp_path / "record").runs["feedback-alignment"]
    inputs = data.test.inputs
    np.testing.assert_array_equal(found.predict(inputs), comparison.runs["feedback-alignment"].predict(inputs))
    assert isinstance(found.network["local1"], Local)


def test_weights_that_rules_may_replace_belong_to_a_synaptic_layer():
    class Loose(AbstractLayer):
        weight: jax.Array
        synaptic = True

        def __init__(self):
            self.weight = jnp.ones(2)

        def __call__(self, x, state=None, *, key=None, training=False):
            return x * self.weight[None], state

        def config(self):
            return {}

    with pytest.raises(UserError, match=r"derives from ascribe.networks.AbstractSynapticLayer; got Loose"):
        Network([Linear(2, 2), Loose()])
