"""The losses beside scikit-learn, beside NumPy and far out on the axis."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from jax.test_util import check_grads

from ascribe import losses
from ascribe.errors import UserError
from ascribe.networks import mlp
from ascribe.rules import Backpropagation, Batch

from ..cases import LOSSES
from ..later import Later

metrics = Later("sklearn.metrics")

LINK = {
    "squared-error": lambda z: z,
    "bernoulli-cross-entropy": jax.nn.sigmoid,
    "categorical-cross-entropy": jax.nn.softmax,
}


def drawn(outputs=3):
    return jr.normal(jr.key(0), (7, outputs)), jr.randint(jr.key(1), (7,), 0, max(2, outputs))


def passed_through(z, t, loss):
    """The credit of a network whose output is its input."""
    network = mlp([z.shape[1], z.shape[1]], initializer="zeros")
    network = jax.tree.map(lambda leaf: (jnp.eye(len(leaf)) if leaf.ndim == 2 else leaf).astype(z.dtype), network)
    return Backpropagation()(network, None, Batch(z, t, losses.get(loss)))


def test_categorical_cross_entropy_is_scikit_learn_s():
    z, labels = drawn()
    loss = losses.CATEGORICAL_CROSS_ENTROPY
    t, y = loss.encode(labels, 3, z.dtype), jax.nn.softmax(z)
    expected = metrics.log_loss(np.asarray(labels), np.asarray(y), labels=[0, 1, 2])
    np.testing.assert_allclose(jnp.mean(loss.value(y, t)), expected, rtol=1e-12)
    np.testing.assert_allclose(jnp.mean(loss.values(z, labels)), expected, rtol=1e-12)


def test_bernoulli_cross_entropy_is_scikit_learn_s():
    z, labels = drawn(outputs=1)
    loss = losses.BERNOULLI_CROSS_ENTROPY
    t, y = loss.encode(labels, 1, z.dtype), jax.nn.sigmoid(z)
    expected = metrics.log_loss(np.asarray(labels), np.asarray(y[:, 0]), labels=[0, 1])
    np.testing.assert_allclose(jnp.mean(loss.value(y, t)), expected, rtol=1e-12)
    np.testing.assert_allclose(jnp.mean(loss.values(z, labels)), expected, rtol=1e-12)


def test_bernoulli_cross_entropy_of_several_outputs_is_their_sum():
    z, labels = drawn()
    loss = losses.BERNOULLI_CROSS_ENTROPY
    t = np.eye(3)[np.asarray(labels)]
    y = 1 / (1 + np.exp(-np.asarray(z)))
    expected = sum(metrics.log_loss(t[:, k], y[:, k], labels=[0, 1]) for k in range(3))
    np.testing.assert_allclose(jnp.mean(loss.values(z, labels)), expected, rtol=1e-12)


def test_squared_error_is_half_the_squared_distance():
    """Two examples by hand: ½(3² + 4²) = 12.5 and ½(1² + 0²) = 0.5, with mean 6.5."""
    y, t = jnp.array([[3.0, 5.0], [1.0, 2.0]]), jnp.array([[0.0, 1.0], [0.0, 2.0]])
    np.testing.assert_array_equal(losses.SQUARED_ERROR.value(y, t), [12.5, 0.5])
    value, error = losses.SQUARED_ERROR.mean_and_error(y, t)
    assert float(value) == 6.5
    np.testing.assert_array_equal(error, [[1.5, 2.0], [0.5, 0.0]])


@pytest.mark.parametrize("loss", LOSSES)
def test_both_forms_of_the_value_agree_and_so_do_their_gradients(loss):
    z, labels = drawn()
    row = losses.get(loss)
    t, y = row.encode(labels, 3, z.dtype), LINK[loss](z)
    np.testing.assert_allclose(row.value(y, t), row.value_from_logits(z, t), rtol=1e-12)
    slope = jax.grad(lambda y: jnp.sum(row.value(y, t)))(y)
    np.testing.assert_allclose(row.cost_gradient(y, t), slope, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(jax.grad(lambda z: jnp.sum(row.value_from_logits(z, t)))(z), y - t, rtol=0, atol=1e-14)
    check_grads(lambda z: row.value_from_logits(jnp.asarray(z), t), (z,), order=1, modes=["rev"])


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize(
    ("loss", "z_and_t", "value", "error"),
    [
        ("bernoulli-cross-entropy", ([[1000.0]], [[1.0]]), 0, [[0.0]]),
        ("bernoulli-cross-entropy", ([[1000.0]], [[0.0]]), 1000, [[1.0]]),
        ("bernoulli-cross-entropy", ([[-1000.0]], [[1.0]]), 1000, [[-1.0]]),
        ("bernoulli-cross-entropy", ([[-1000.0]], [[0.0]]), 0, [[0.0]]),
        ("categorical-cross-entropy", ([[1000.0, -1000.0]], [[1.0, 0.0]]), 0, [[0.0, 0.0]]),
        ("categorical-cross-entropy", ([[1000.0, -1000.0]], [[0.0, 1.0]]), 2000, [[1.0, -1.0]]),
        ("squared-error", ([[1000.0]], [[-1000.0]]), 2e6, [[2000.0]]),
    ],
)
def test_far_out_the_value_is_finite_and_the_error_is_y_minus_t(loss, z_and_t, value, error, precision):
    z, t = (jnp.asarray(rows, precision) for rows in z_and_t)
    credit = passed_through(z, t, loss)
    np.testing.assert_allclose(credit.loss, value, rtol=1e-6)
    np.testing.assert_allclose(credit.gradients["linear1"].bias, error[0], rtol=1e-6)


def test_labels_become_one_hot_rows_or_one_column_and_numbers_stay():
    encode = losses.CATEGORICAL_CROSS_ENTROPY.encode
    labels = jnp.array([2, 0, 1])
    np.testing.assert_array_equal(encode(labels, 3, jnp.dtype("float32")), [[0, 0, 1], [1, 0, 0], [0, 1, 0]])
    assert encode(labels, 3, jnp.dtype("float32")).dtype == jnp.float32
    np.testing.assert_array_equal(encode(jnp.array([1, 0]), 1, jnp.dtype("float64")), [[1.0], [0.0]])
    np.testing.assert_array_equal(encode(jnp.array([0.5, 0.25]), 1, jnp.dtype("float64")), [[0.5], [0.25]])
    soft = jnp.array([[0.2, 0.8]])
    np.testing.assert_array_equal(encode(soft, 2, jnp.dtype("float64")), soft)
    with pytest.raises(UserError, match="2 columns but the network has 3 outputs"):
        encode(soft, 3, jnp.dtype("float64"))


@pytest.mark.parametrize("loss", [name for name in LOSSES if name != "squared-error"])
def test_labels_and_their_one_hot_rows_have_the_same_value_and_error(loss):
    z, labels = drawn()
    row = losses.get(loss)
    value, error = row.mean_and_error(z, labels)
    written_value, written_error = row.mean_and_error(z, jnp.eye(3)[labels])
    np.testing.assert_allclose(value, written_value, rtol=1e-12)
    np.testing.assert_allclose(error, written_error, rtol=0, atol=1e-15)
    np.testing.assert_allclose(error, (LINK[loss](z) - jnp.eye(3)[labels]) / 7, rtol=0, atol=1e-15)


def test_losses_are_found_by_name_and_unknown_ones_are_refused():
    for name in LOSSES:
        assert losses.get(name).name == name
        assert losses.get(losses.get(name)) is losses.get(name)
    with pytest.raises(UserError, match="unknown loss 'mse': choose one of squared-error, bernoulli"):
        losses.get("mse")


@pytest.mark.parametrize(
    ("task", "outputs", "expected"),
    [
        ("regression", 1, "squared-error"),
        ("regression", 3, "squared-error"),
        ("binary", 1, "bernoulli-cross-entropy"),
        ("classification", 1, "bernoulli-cross-entropy"),
        ("classification", 3, "categorical-cross-entropy"),
    ],
)
def test_a_task_has_its_loss(task, outputs, expected):
    assert losses.default_for(task, outputs).name == expected


FAR_OUT = {
    "offsets": (np.array([[3e4, 3e4 - 2, 3e4 - 5], [-7e7, -7e7, -7e7], [40.0, 0.0, -3.0]]), [1, 2, 0]),
    "impossible classes": (np.array([[-np.inf, 1.5, 0.5], [3.0, -np.inf, -np.inf]]), [1, 0]),
}


@pytest.mark.parametrize(("z", "labels"), FAR_OUT.values(), ids=list(FAR_OUT))
def test_labels_and_rows_have_the_same_categorical_loss_far_out(z, labels):
    """ln Σ exp(z - z_label) in NumPy's float64, from float32 logits."""
    loss, z = losses.CATEGORICAL_CROSS_ENTROPY, z.astype(np.float32)
    away = z.astype(np.float64) - z[range(len(z)), labels].astype(np.float64)[:, None]
    expected = np.log(np.exp(away).sum(axis=1))
    slopes = (np.exp(away) / np.exp(away).sum(axis=1, keepdims=True) - np.eye(3)[labels]) / len(z)
    rows = jnp.eye(3, dtype=jnp.float32)[np.array(labels)]
    mean_and_error = jax.jit(
        lambda z: [(loss.values(z, t), *loss.mean_and_error(z, t)) for t in (jnp.asarray(labels, jnp.int32), rows)]
    )
    for values, mean, error in mean_and_error(z):
        np.testing.assert_allclose(values, expected, rtol=3e-7, atol=1e-12)
        np.testing.assert_allclose(mean, expected.mean(), rtol=3e-7)
        np.testing.assert_allclose(error, slopes, rtol=0, atol=1e-7)


def test_the_bernoulli_loss_of_what_is_certain_keeps_its_digits():
    """ln(1 + exp(∓z)) in NumPy's float64; from the logits and, where those do not round to 0 and 1, from the activations."""
    loss = losses.BERNOULLI_CROSS_ENTROPY
    z, t = np.float32([18.0, -18.0, 60.0, np.inf, -np.inf, 0.0, 5e7]), np.float32([1, 0, 1, 1, 0, 0.25, 0.75])
    wide = z[:3].astype(np.float64) * [-1, 1, -1]
    expected = [*np.log1p(np.exp(wide)), 0.0, 0.0, np.log(2.0), 0.25 * 5e7]
    slopes = np.array([*(np.exp(wide) / (1 + np.exp(wide)) * [-1, 1, -1]), 0.0, 0.0, 0.25, 0.25]) / len(z)
    both = jax.jit(lambda z, t: (loss.value_from_logits(z, t), loss.mean_and_error(z, t)[1]))
    values, error = both(z[:, None], t[:, None])
    np.testing.assert_allclose(values, expected, rtol=1e-6)
    np.testing.assert_allclose(error[:, 0], slopes, rtol=1e-6)


def test_cost_gradients_of_certain_activations_are_limits():
    """(y - t) / (y (1 - y)) and -t / y on the way to y = t = 0 and y = t = 1."""
    y, t = jnp.asarray([[1.0, 0.0, 0.5]]), jnp.asarray([[1.0, 0.0, 0.25]])
    with jax.debug_nans(True):
        np.testing.assert_allclose(losses.BERNOULLI_CROSS_ENTROPY.cost_gradient(y, t), [[-1.0, 1.0, 1.0]])
        np.testing.assert_allclose(losses.CATEGORICAL_CROSS_ENTROPY.cost_gradient(y, t), [[-1.0, 0.0, -0.5]])
