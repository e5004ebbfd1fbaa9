"""Small networks, batches and comparisons that several test files share."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from ascribe import losses, networks
from ascribe.networks import Activation, Linear, Network
from ascribe.rules import Batch

LOSSES = tuple(losses.LOSSES)
IMAGE = (12, 12, 1)
OUTPUTS = 3
BATCH = 5


def shake(tree, key, size=0.3):
    """The tree with noise on every number, so that biases and scales are not at their special initial values."""
    leaves, structure = jax.tree.flatten(tree)
    keys = jr.split(key, len(leaves))
    return structure.unflatten(
        [leaf + size * jr.normal(k, leaf.shape, leaf.dtype) for leaf, k in zip(leaves, keys, strict=True)]
    )


def small_mlp(activation="tanh", output_activation=None, outputs=OUTPUTS, bias=True, hidden=(5, 4)):
    sizes = [4, *hidden, outputs]
    network = networks.mlp(sizes, activation=activation, output_activation=output_activation, bias=bias, key=jr.key(1))
    return shake(network, jr.key(101))


def small_lenet(activation="tanh", outputs=OUTPUTS):
    network = networks.lenet(IMAGE, outputs, activation=activation, channels=(2, 3), hidden=(5, 4), key=jr.key(1))
    return shake(network, jr.key(101), 0.2)


def output_layer(network, function):
    """The network with an explicit output activation."""
    return Network([*network.layers, Activation(function)])


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


def upper_weights(network):
    """W of every layer but the lowest: the feedback with which a rule is backpropagation."""
    return {name: network.weights[name] for name in network.synaptic[1:]}


def assert_close(ours, theirs, rtol):
    """Equal trees; each array to `rtol` of its own largest entry."""
    assert jax.tree.structure(ours) == jax.tree.structure(theirs)
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=0, atol=rtol * float(jnp.max(jnp.abs(b))))


def assert_identical(ours, theirs):
    """Equal trees, bit by bit."""
    assert jax.tree.structure(ours) == jax.tree.structure(theirs)
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


def assert_active(tree):
    """No array of the tree is all zeros: what it is compared with means something."""
    assert all(bool(jnp.any(leaf != 0)) for leaf in jax.tree.leaves(tree))


def to_float32(tree):
    return jax.tree.map(
        lambda leaf: leaf.astype(jnp.float32) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf, tree
    )
