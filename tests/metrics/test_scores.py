"""Accuracy, regression scores and the area under a curve, beside NumPy and scikit-learn."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from ascribe.metrics import area_under_curve, class_probabilities, predicted_labels, r2, rmse

from ..later import Later

metrics = Later("sklearn.metrics")


def test_the_predicted_label_is_the_largest_output():
    outputs = jnp.array([[0.1, 0.9, 0.3], [2.0, -1.0, 1.0], [-3.0, -2.0, -1.0]])
    np.testing.assert_array_equal(predicted_labels(outputs), [1, 0, 2])


@pytest.mark.parametrize(("boundary", "expected"), [(0.0, [0, 1, 1]), (0.5, [0, 0, 1])])
def test_a_single_output_is_compared_with_the_boundary(boundary, expected):
    outputs = jnp.array([[-0.1], [0.4], [0.6]])
    np.testing.assert_array_equal(predicted_labels(outputs, boundary=boundary), expected)


def test_probabilities_from_logits():
    z = jr.normal(jr.key(0), (5, 3))
    e = np.exp(np.asarray(z))
    np.testing.assert_allclose(class_probabilities(z, link="softmax"), e / e.sum(axis=1, keepdims=True), rtol=1e-12)
    p = 1 / (1 + np.exp(-np.asarray(z)))
    np.testing.assert_allclose(class_probabilities(z, link="logistic"), p / p.sum(axis=1, keepdims=True), rtol=1e-12)
    single = class_probabilities(z[:, :1], link="logistic")
    np.testing.assert_allclose(single, np.stack([1 - p[:, 0], p[:, 0]], axis=1), rtol=1e-12)


def test_probabilities_from_activations():
    y = jnp.array([[0.2, 0.6], [1.5, -0.5], [0.3, 0.0]])
    np.testing.assert_allclose(class_probabilities(y, link=None), [[0.25, 0.75], [1, 0], [1, 0]], rtol=1e-12)
    np.testing.assert_allclose(class_probabilities(y[:, :1], link=None), [[0.8, 0.2], [0, 1], [0.7, 0.3]], rtol=1e-12)


@pytest.mark.parametrize(("outputs", "link"), [(1, None), (1, "logistic"), (3, None), (3, "logistic"), (3, "softmax")])
def test_probabilities_are_a_distribution_whatever_the_outputs(outputs, link):
    z = jnp.stack([jnp.full(outputs, value) for value in (-1000.0, -1.0, 0.0, 0.3, 1000.0)])
    p = class_probabilities(z, link=link)
    assert p.shape == (5, max(outputs, 2))
    assert bool(jnp.all((p >= 0) & (p <= 1)))
    np.testing.assert_allclose(jnp.sum(p, axis=1), 1, rtol=1e-12)


def test_the_area_under_a_curve_is_the_sum_over_epochs():
    curves = np.array([[3.0, 2.0, 1.0], [1.0, 1.0, 0.5]])
    np.testing.assert_array_equal(area_under_curve(curves), [6, 2.5])
    assert area_under_curve(curves[0]) == 6


def test_rmse_and_r2_are_scikit_learn_s():
    """Squared errors of standardized targets, brought back to the unit of the data."""
    rng = np.random.default_rng(0)
    scale, mean = np.array([2.0, 5.0]), np.array([1.0, -3.0])
    t = rng.normal(size=(40, 2)) * scale + mean
    y = t + rng.normal(size=t.shape) * [0.5, 2.0]
    squared = np.mean(((y - t) / scale) ** 2, axis=0)
    expected = np.sqrt(np.mean(metrics.root_mean_squared_error(t, y, multioutput="raw_values") ** 2))
    np.testing.assert_allclose(rmse(jnp.asarray(squared), jnp.asarray(scale)), expected, rtol=1e-12)
    variances = np.var(t / scale, axis=0)
    np.testing.assert_allclose(r2(jnp.asarray(squared), jnp.asarray(variances)), metrics.r2_score(t, y), rtol=1e-12)


@pytest.mark.parametrize("off", [0.0, 0.5])
def test_r2_of_targets_that_are_all_one_number_is_scikit_learn_s(off):
    t = np.column_stack([np.linspace(-1.0, 2.0, 6), np.full(6, 3.0)])
    y = t + np.array([0.25, off])
    squared, variances = np.mean((y - t) ** 2, axis=0), np.var(t, axis=0)
    with jax.debug_nans(True):
        found = r2(jnp.asarray(squared), jnp.asarray(variances))
    np.testing.assert_allclose(found, metrics.r2_score(t, y), rtol=1e-12)
