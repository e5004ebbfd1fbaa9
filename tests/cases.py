"""Small networks, batches and comparisons that several test files share."""

import functools
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from ascribe import losses, networks, rules, training
from ascribe.datasets import Dataset, Split
from ascribe.networks import Activation, BatchNorm, Dropout, Linear, Network
from ascribe.rules import AbstractRule, Batch
from ascribe.training.examples import flatten_for

LOSSES = tuple(losses.LOSSES)
IMAGE = (12, 12, 1)
OUTPUTS = 3
BATCH = 5


def shake(tree, key, size=0.3):
    """The tree with noise on every number, so that biases and scales are not at their special initial values."""
    leaves, structure = jax.tree.flatten(tree)
    return structure.unflatten(_noisy(leaves, key, size))


@jax.jit
def _noisy(leaves, key, size):
    keys = jr.split(key, len(leaves))
    return [leaf + size * jr.normal(k, leaf.shape, leaf.dtype) for leaf, k in zip(leaves, keys, strict=True)]


@functools.cache
def small_mlp(activation="tanh", output_activation=None, outputs=OUTPUTS, bias=True, hidden=(5, 4)):
    sizes = [4, *hidden, outputs]
    network = networks.mlp(sizes, activation=activation, output_activation=output_activation, bias=bias, key=jr.key(1))
    return shake(network, jr.key(101))


@functools.cache
def small_lenet(activation="tanh", outputs=OUTPUTS):
    network = networks.lenet(IMAGE, outputs, activation=activation, channels=(2, 3), hidden=(5, 4), key=jr.key(1))
    return shake(network, jr.key(101), 0.2)


def noisy_mlp(activation="tanh", outputs=OUTPUTS):
    """With the layers that need a state or a key."""
    layers = list(small_mlp(activation, outputs=outputs).layers)
    return Network([layers[0], BatchNorm(5), layers[1], Dropout(0.5), *layers[2:]])


def single_layer(outputs=OUTPUTS):
    return small_mlp(outputs=outputs, hidden=())


def output_layer(network, function):
    """The network with an explicit output activation."""
    return Network([*network.layers, Activation(function)])


@functools.cache
def examples(shape, loss, outputs=OUTPUTS, batch=BATCH, seed=2):
    """A batch with random inputs; labels for the cross entropies, numbers for the squared error."""
    input_key, target_key = jr.split(jr.key(seed))
    inputs = jr.normal(input_key, (batch, *shape))
    if loss == "squared-error":
        targets = jr.normal(target_key, (batch, outputs))
    else:
        targets = jr.randint(target_key, (batch,), 0, max(outputs, 2))
    return Batch(inputs, targets, losses.get(loss))


def input_shape(network):
    return (network.layers[0].weight.shape[1],) if isinstance(network.layers[0], Linear) else IMAGE


def case(kind, loss):
    """A network of the kind and a batch for it."""
    network = {"mlp": small_mlp, "lenet": small_lenet}[kind]()
    return network, examples(input_shape(network), loss)


# Every registered rule, on what it can do

KINDS = {"mlp": small_mlp, "lenet": small_lenet, "noisy": noisy_mlp, "single layer": single_layer}
REFUSED = {
    "forward-forward": ("noisy",),  # no normalization by batches and no dropout
    "forward-pass": ("lenet",),  # dense layers only
    "forward-pass-as-published": ("lenet",),
    "forward-pass-one-versus-rest": ("lenet",),
    "indirect-feedback-alignment": ("noisy",),  # normalization between a layer and its activation
    "relaxed-identity": ("noisy",),  # no normalization and no dropout
    "relaxed-identity-as-published": ("noisy",),
    "relaxed-identity-transient": ("noisy",),
    "predictive-coding": ("noisy",),  # the same
    "equilibrium-propagation": ("noisy",),  # the same
    "target-propagation": ("lenet",),  # dense layers only
    "target-propagation-direct": ("lenet",),
    "target-propagation-fixed": ("lenet",),
}
"""The kinds of networks that a rule refuses."""
TWO_CLASSES = ("forward-pass", "forward-pass-as-published", "perceptron")
"""The rules with one output, which refuse the categorical cross entropy."""
SEVERAL_CLASSES = ("forward-pass-one-versus-rest",)
"""The rules that refuse a single output."""
OWN_NETWORK = ("forward-forward", "forward-pass", "forward-pass-as-published", "forward-pass-one-versus-rest", "perceptron")
"""The rules that train a network of their own in place of the one that they meet."""
EXACT = 1e-12
LAST_LAYER = {
    "finite-differences": 1e-3,  # a quotient with a truncation error, in every layer
    "forward-pass": None,  # the label decides the sign of a step and the weight its size, in the last layer too
    "forward-pass-as-published": None,  # the same
    "forward-pass-one-versus-rest": None,  # the same
    "forward-gradient": None,  # a slope times a random direction, in every layer
    "gradient-noise": None,  # noise in every layer
    "node-perturbation": None,  # the last layer's units have noise, too
    "pepita": None,  # the right error, at what enters the layer in the second pass
    "perceptron": None,  # the gradient of another criterion than the loss
    "relaxed-identity": None,  # at the relaxed activations; exact at the forward ones (tests/limits)
    "relaxed-identity-as-published": None,  # the weights have no gradient before the auxiliaries have moved
    "relaxed-identity-transient": None,  # the same
    "weight-perturbation": None,  # a quotient of losses times a random direction, in every layer
    "predictive-coding": None,  # at settled activities; exact with fixed predictions (tests/limits)
    "equilibrium-propagation": None,  # at equilibria; exact where they are the forward pass (tests/limits)
}
"""The rules whose gradient of the last layer is not the loss's, to `EXACT`; None: another one altogether."""
ROUNDED = {
    "equilibrium-propagation": 1e-8,  # a difference of states that are β κ^{L-1} apart
}
"""How far apart a rule's answer may be that was compiled in two ways, where it is not 1e-10."""
AT_THE_END = {
    "direct-feedback-alignment": ("threshold",),  # of the ternary error (tests/limits/test_feedback_family.py)
    "gradient-noise": ("gamma",),  # from the second step on (tests/limits)
    "forward-pass-as-published": ("epsilon", "sign_threshold"),  # no output and no weight here is that close to 0
    "relaxed-identity": ("ridge",),
    "relaxed-identity-as-published": ("ridge", "inner_rate", "hidden_weight"),
    "relaxed-identity-transient": ("ridge",),
    "target-propagation-direct": ("target_step",),  # its inverses are linear
    "target-propagation-fixed": ("noise", "feedback_rate"),  # it trains no inverses
}
"""Hyperparameters that no first step shows, because they act later or not here (tests/references)."""


FEW = {"weight-mirror": {"warm_up": 2}}
"""Options with which a rule's first step costs less."""


class Applied(NamedTuple):
    """A rule with a network that it adapted and a batch in its encoding; `own`: whether the network is the rule's own."""

    rule: AbstractRule
    network: Network
    batch: Batch
    own: bool


@functools.cache
def applied(name, kind, loss, task=None):
    """The rule where a network of this kind meets data with this loss, as `train` lets it take part: on the task, or on the
    first for this loss that the rule does. A `UserError` where the rule or the settings refuse."""
    rule = rules.get(name, **FEW.get(name, {}))
    tasks = ("regression", "classification", "binary") if loss == "squared-error" else ("classification", "binary")
    task = task or next(one for one in tasks if one in rule.tasks)
    outputs = 1 if task == "binary" else OUTPUTS
    network = KINDS[kind](outputs=outputs)
    setup = training.Setup(optimizer="sgd", learning_rate=0.1, batch_size=BATCH, epochs=1, loss=loss, diagnostics=False)
    recipe = training.honor(rule, name, network, _tiny(task, input_shape(network), outputs), setup)
    training.complete(recipe)
    source, changed = recipe.source, recipe.source is not network
    part = flatten_for(source, recipe.data).train
    targets = jnp.asarray(part.targets, float if task == "regression" else np.int32)
    batch = Batch(jnp.asarray(part.inputs, float), targets, losses.get(loss))
    return Applied(rule, shake(source, jr.key(101), 0.2) if changed else source, batch, changed)


@functools.cache
def _tiny(task, shape, outputs):
    drawn = examples(shape, "squared-error" if task == "regression" else "bernoulli-cross-entropy", outputs)
    split = Split(np.asarray(drawn.inputs), np.asarray(drawn.targets))
    names = () if task == "regression" else tuple("abc"[: max(outputs, 2)])
    return Dataset("tiny", task, split, split, split, class_names=names)


def cells(*kinds):
    """(rule, kind of network, loss) for the tests of every rule, all of them names: each rule on each of the kinds that it
    takes, with one loss, another from rule to rule and from kind to kind; backpropagation with every loss. How the loss enters
    is a question of its own (tests/contracts/test_rules.py)."""
    found = []
    for i, name in enumerate(rules.names()):
        able = [loss for loss in LOSSES if not (name in TWO_CLASSES and loss == "categorical-cross-entropy")]
        for j, kind in enumerate(kind for kind in kinds if kind not in REFUSED.get(name, ())):
            chosen = LOSSES if name == "backpropagation" else [able[(i + j) % len(able)]]
            found += [(name, kind, loss) for loss in chosen]
    return found


def last_layer_tolerance(name):
    """How exact a rule's gradient of the last layer is, relative to its largest entry; None: that is no question."""
    return LAST_LAYER.get(name, EXACT)


def upper_weights(network):
    """W of every layer but the lowest: the feedback with which a rule is backpropagation."""
    return {name: network.weights[name] for name in network.synaptic[1:]}


def assert_close(ours, theirs, rtol):
    """Equal trees; each array to `rtol` of its own largest entry."""
    assert jax.tree.structure(ours) == jax.tree.structure(theirs)
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=0, atol=rtol * np.max(np.abs(b)))


def assert_identical(ours, theirs):
    """Equal trees, bit by bit."""
    assert jax.tree.structure(ours) == jax.tree.structure(theirs)
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


def assert_active(tree):
    """No array of the tree is all zeros: what it is compared with means something."""
    assert all(np.any(leaf) for leaf in jax.tree.leaves(tree))


@eqx.filter_jit
def credit_of(rule, trainables, state, batch, key=None):
    """The rule's answer, by one program."""
    return rule(trainables, state, batch, key=key)


def to_float32(tree):
    narrow = lambda leaf: jnp.asarray(np.asarray(leaf, np.float32)) if is_float(leaf) else leaf
    return jax.tree.map(narrow, tree)


def is_float(leaf):
    return jnp.issubdtype(leaf.dtype, jnp.floating)
