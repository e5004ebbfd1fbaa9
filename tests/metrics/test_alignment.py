"""Angles and norms between trees."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from ascribe import networks
from ascribe.metrics import angle, feedback_alignment, gradient_alignment, norm
from ascribe.networks import BatchNorm, Linear, Network

from ..cases import shake, small_lenet, small_mlp, upper_weights


def turned(radians, size=50):
    """Two unit vectors with that angle between them."""
    a, b = np.linalg.qr(np.asarray(jr.normal(jr.key(0), (size, 2))))[0].T
    return jnp.asarray(a), jnp.asarray(np.cos(radians) * a + np.sin(radians) * b)


def test_the_angle_is_numpy_s_arc_cosine():
    a, b = small_mlp(), shake(small_mlp(), jr.key(5), 1.0)
    x, y = (np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(tree)]) for tree in (a, b))
    expected = np.degrees(np.arccos(x @ y / np.linalg.norm(x) / np.linalg.norm(y)))
    assert 10 < expected < 80
    np.testing.assert_allclose(angle(a, b), expected, rtol=1e-12)


def test_numpy_s_arrays_give_what_jax_s_give():
    """Of a stack, too, and with a layer at the floor of its arithmetic."""
    network = networks.mlp([2, *[3] * 10, 1], key=jr.key(0))
    ours, theirs = shake(network, jr.key(1), 1.0), shake(network, jr.key(2), 1.0)
    theirs = eqx.tree_at(lambda one: one["linear1"].weight, theirs, 1e-20 * theirs["linear1"].weight)
    theirs = eqx.tree_at(lambda one: one["linear1"].bias, theirs, 0.0 * theirs["linear1"].bias)
    expected = jax.jit(gradient_alignment)(ours, theirs, network)
    host = [jax.device_get(one).unstacked for one in (ours, theirs, network)]
    found = gradient_alignment(*host)
    assert found.keys() == expected.keys() and np.isnan(found["gradient_angle/linear1"])
    for name, value in found.items():
        assert not isinstance(value, jax.Array)
        np.testing.assert_allclose(value, expected[name], rtol=1e-12)


def test_numpy_s_arrays_without_a_direction_have_no_angle_and_no_warning():
    for nothing in (np.zeros(2), np.full(2, np.inf), np.full(2, np.nan)):
        assert np.isnan(angle(nothing, np.ones(2)))
    assert norm(np.zeros(3)) == 0 and np.isnan(norm(np.full(3, np.inf)))


@pytest.mark.parametrize("radians", [1e-9, 1e-4, 0.5, np.pi / 2, 2.0, np.pi - 1e-4])
def test_the_angle_is_right_from_tiny_to_nearly_opposite(radians):
    np.testing.assert_allclose(angle(*turned(radians)), np.degrees(radians), rtol=1e-6)


def test_an_angle_close_to_opposite_keeps_its_digits():
    a, b = turned(1e-9)
    np.testing.assert_allclose(180 - angle(a, -b), np.degrees(1e-9), rtol=1e-3)


def test_equal_and_opposite_directions():
    a = jr.normal(jr.key(0), (20,))
    assert float(angle(a, a)) == 0
    assert float(angle(a, 8 * a)) == 0
    assert float(angle(a, -a)) == 180
    np.testing.assert_allclose(angle(jnp.array([1.0, 0.0]), jnp.array([0.0, 3.0])), 90, rtol=1e-15)


def test_the_angle_to_zero_is_nan():
    a = jnp.ones(3)
    for pair in ((a, jnp.zeros(3)), (jnp.zeros(3), a), (jnp.zeros(3), jnp.zeros(3))):
        assert bool(jnp.isnan(angle(*pair)))


@pytest.mark.parametrize("size", [1e-30, 1e-20, 1.0, 1e20, 1e30])
def test_tiny_and_huge_float32_numbers_neither_vanish_nor_overflow(size):
    a, b = (x.astype(jnp.float32) * jnp.float32(size) for x in turned(1.0))
    np.testing.assert_allclose(angle(a, b), np.degrees(1), rtol=1e-5)
    np.testing.assert_allclose(norm(a), size, rtol=1e-6)
    np.testing.assert_allclose(angle(a / jnp.float32(size), b), np.degrees(1), rtol=1e-5)


def test_the_norm_counts_every_number_of_the_tree():
    assert float(norm({"a": jnp.array([3.0, 0.0]), "b": (jnp.array([[4.0]]), None)})) == 5
    assert float(norm(jnp.zeros(4))) == 0
    assert bool(jnp.isnan(norm(jnp.array([1.0, jnp.nan]))))


def test_gradients_are_compared_as_a_whole_and_layer_by_layer():
    """The second layer is doubled and the third reversed, so every expected number is known."""
    reference = small_mlp()
    layers = list(reference.layers)
    layers[2] = jax.tree.map(lambda leaf: 2 * leaf, layers[2])
    layers[4] = jax.tree.map(lambda leaf: -leaf, layers[4])
    changed = jax.tree.unflatten(jax.tree.structure(reference), jax.tree.leaves(layers))
    found = gradient_alignment(changed, reference)
    names = ("linear1", "linear2", "linear3")
    assert set(found) == {
        f"gradient_{what}{part}" for what in ("angle", "norm_ratio") for part in ("", *(f"/{name}" for name in names))
    }
    np.testing.assert_allclose([found[f"gradient_angle/{name}"] for name in names], [0, 0, 180], atol=1e-12)
    np.testing.assert_allclose([found[f"gradient_norm_ratio/{name}"] for name in names], [1, 2, 1], rtol=1e-14)
    squares = [sum(float(jnp.sum(leaf**2)) for leaf in jax.tree.leaves(reference[name])) for name in names]
    inner, ours, theirs = (
        squares[0] + 2 * squares[1] - squares[2],
        squares[0] + 4 * squares[1] + squares[2],
        sum(squares),
    )
    np.testing.assert_allclose(found["gradient_angle"], np.degrees(np.arccos(inner / np.sqrt(ours * theirs))), rtol=1e-12)
    np.testing.assert_allclose(found["gradient_norm_ratio"], np.sqrt(ours / theirs), rtol=1e-14)


def test_layers_without_weights_count_in_the_total_only():
    network = Network([Linear(3, 2, key=jr.key(0)), BatchNorm(2), Linear(2, 2, key=jr.key(1))])
    only_scale = jax.tree.map(lambda leaf: 3 * leaf if leaf.shape == (2,) else leaf, network)
    found = gradient_alignment(only_scale, network)
    assert float(found["gradient_angle"]) > 1
    np.testing.assert_allclose(found["gradient_angle/linear1"], 0, atol=1e-12)


def test_feedback_is_compared_with_the_weights_of_its_layer():
    network = small_lenet()
    weights = upper_weights(network)
    found = feedback_alignment(network, {**weights, "linear2": -weights["linear2"]})
    assert set(found) == {f"feedback_angle/{name}" for name in weights}
    assert float(found["feedback_angle/conv2"]) == 0
    assert float(found["feedback_angle/linear2"]) == 180
    assert feedback_alignment(network, {}) == {}


def test_the_blocks_of_a_stack_have_their_own_names():
    """Each layer's ratio and angle are those of its own weight and bias, in NumPy."""
    sizes = [3, *[4] * 10, 2]
    ours, theirs = (networks.mlp(sizes, key=jr.key(seed)) for seed in (0, 1))
    assert any(isinstance(part, networks.Stack) for part in theirs.parts)
    found = jax.jit(gradient_alignment)(ours, theirs)
    for number in range(1, len(sizes)):
        name = f"linear{number}"
        one, two = (np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(net[name])]) for net in (ours, theirs))
        cosine = one @ two / np.linalg.norm(one) / np.linalg.norm(two)
        assert found[f"gradient_norm_ratio/{name}"] == pytest.approx(np.linalg.norm(one) / np.linalg.norm(two))
        assert found[f"gradient_angle/{name}"] == pytest.approx(np.degrees(np.arccos(cosine)))
