"""The quality of credit, against closed forms."""

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from ascribe import networks
from ascribe.cards import quality
from ascribe.cards.quality import _estimates
from ascribe.errors import UserError
from ascribe.networks import Stack
from ascribe.rules import AbstractRule, Backpropagation, Credit, as_batch, verify

from ..training import tiny

SIZE = 3
DATA = tiny.data("regression", features=SIZE - 1)
NETWORK = networks.mlp([SIZE - 1, 1], key=jr.key(4))
BATCH = 8


class WeightPerturbation(AbstractRule):
    """(E(θ + σ v) - E(θ)) v / σ with normal v; with `shift`, that much times the gradient more."""

    width: float = eqx.field(default=0.5)
    shift: float = eqx.field(default=0.0)

    def __call__(self, network, state, batch, *, key):
        exact = Backpropagation()(network, None, batch, key=key)
        theta, unravel = ravel_pytree(network)
        v = jr.normal(key, theta.shape)

        def loss(theta):
            return 0.5 * jnp.mean((unravel(theta)(batch.inputs) - batch.targets) ** 2)

        difference = (loss(theta + self.width * v) - loss(theta)) / self.width
        credit = unravel(difference * v + self.shift * ravel_pytree(exact.gradients)[0])
        return Credit(exact.loss, credit, state, exact.network_state)


def gradients():
    """The gradient of every training example of half the squared error, and the curvature of each, in NumPy."""
    x, t = DATA.train.inputs.astype(float), np.asarray(DATA.train.targets, float)[:, 0]
    rows = np.column_stack([x, np.ones(len(x))])
    weights = np.append(np.asarray(NETWORK["linear1"].weight)[0], np.asarray(NETWORK["linear1"].bias))
    return (rows @ weights - t)[:, None] * rows, rows[:, :, None] * rows[:, None, :]


def of_perturbation(gradient, curvature, width):
    """tr Cov of (g·v + σ/2 vᵀHv) v for normal v: (p + 1)‖g‖², and σ²/4 times E (vᵀHv)²‖v‖²."""
    trace, square = np.trace(curvature), np.trace(curvature @ curvature)
    return (SIZE + 1) * gradient @ gradient + width**2 / 4 * ((SIZE + 4) * trace**2 + (2 * SIZE + 8) * square)


def inside(value, interval):
    return interval[0] <= value <= interval[1]


def test_weight_perturbation_on_a_quadratic_has_its_closed_form():
    """On all examples, where one draw's randomness is all that varies."""
    each, curvatures = gradients()
    g, curvature = each.mean(axis=0), curvatures.mean(axis=0)
    found = quality(WeightPerturbation(), NETWORK, DATA, draws=64, batches=64, batch_size=tiny.TRAIN).layers["linear1"]
    variance = of_perturbation(g, curvature, 0.5)
    assert inside(g @ g / variance, found.snr_interval)
    assert found.snr == pytest.approx(g @ g / variance, rel=0.2) and found.snr_interval[1] < 1.5 * g @ g / variance
    assert found.rule_variance == pytest.approx(variance, rel=0.2) and found.batch_variance == 0
    assert found.reference_norm == pytest.approx(np.linalg.norm(g))
    assert found.bias_interval[0] == 0 and found.bias_interval[1] < 0.2


def test_the_variance_over_batches_is_told_from_that_of_the_rule():
    """Batches of m of N examples, without replacement in each: tr Cov g_b = S²/m (1 - m/N)."""
    each, _ = gradients()
    g = each.mean(axis=0)
    of_batches = np.sum((each - g) ** 2) / (len(each) - 1) / BATCH * (1 - BATCH / len(each))
    found = quality(WeightPerturbation(1e-3), NETWORK, DATA, draws=16, batches=400, batch_size=BATCH).layers["total"]
    of_rule = (SIZE + 1) * (g @ g + of_batches)
    assert found.batch_variance == pytest.approx(of_batches, rel=0.35)
    assert found.rule_variance == pytest.approx(of_rule, rel=0.15)
    assert inside(g @ g / (of_batches + of_rule), found.snr_interval)
    assert found.norm == pytest.approx(np.linalg.norm(g), rel=0.1) and found.bias_interval[0] == 0


def test_estimates_are_means_over_pairs_of_different_units():
    """‖E x‖² as the mean of x_i·x_j over i ≠ j, the variance as that of ½‖x_i - x_j‖²; with each unit left out in turn."""
    x = np.random.default_rng(0).normal(size=(5, 3))
    mean = x.mean(axis=0)
    apart = x - mean
    lengths, variances = _estimates(mean @ mean, apart @ mean, np.sum(apart**2, axis=1))
    for number, rows in enumerate([x, *(np.delete(x, i, axis=0) for i in range(len(x)))]):
        products, n = rows @ rows.T, len(rows)
        np.testing.assert_allclose(lengths[number], (products.sum() - np.trace(products)) / n / (n - 1), rtol=1e-12)
        distances = np.sum((rows[:, None] - rows[None]) ** 2, axis=-1)
        np.testing.assert_allclose(variances[number], distances.sum() / 2 / n / (n - 1), rtol=1e-12)


def test_a_planted_bias_is_found():
    found = quality(WeightPerturbation(1e-3, 0.25), NETWORK, DATA, draws=16, batches=400, batch_size=BATCH).layers["total"]
    assert inside(0.25, found.bias_interval) and found.bias_interval[0] > 0.1


def test_backpropagation_has_no_bias_and_on_all_examples_no_variance():
    network = tiny.mlp()
    some = quality("backpropagation", network, tiny.data(), draws=2, batches=5, batch_size=BATCH)
    assert list(some.layers) == ["total", "linear1", "linear2"]
    for layer in some.layers.values():
        assert layer.bias == 0 and layer.rule_variance == 0 and layer.batch_variance > 0 and np.isfinite(layer.snr)
    every = quality("backpropagation", network, tiny.data(), draws=3, batches=2, batch_size=tiny.TRAIN)
    for layer in every.layers.values():
        assert layer.bias == 0 and layer.rule_variance == 0 and layer.batch_variance == 0 and layer.snr == np.inf
    assert every.to_json()["layers"]["total"]["snr"] == "inf" and "SNR inf" in str(every)


def test_each_layer_of_a_stack_has_its_own_numbers():
    """Of all examples, against one gradient of each rule: sign symmetry draws nothing."""
    network, data = networks.mlp([2, *[4] * 11, 1], activation="tanh", key=jr.key(3)), tiny.data()
    assert any(isinstance(part, Stack) for part in network.parts)
    found = quality("sign-symmetry", network, data, draws=2, batches=2, batch_size=tiny.TRAIN)
    batch = as_batch(network, (data.train.inputs, data.train.targets))
    exact = eqx.filter_jit(Backpropagation())(network, None, batch, key=jr.key(0)).gradients
    checked = verify("sign-symmetry", network, batch)
    assert list(found.layers) == ["total", *network.synaptic] == list(checked.angles)
    assert len({round(one.reference_norm, 12) for one in found.layers.values()}) == len(found.layers)
    for name, one in found.layers.items():
        gradient = exact if name == "total" else exact[name]
        assert one.reference_norm == pytest.approx(np.linalg.norm(ravel_pytree(gradient)[0]), rel=1e-12)
        assert one.norm / one.reference_norm == pytest.approx(one.norm_ratio, rel=1e-9)
        assert one.angle == pytest.approx(checked.angles[name], rel=1e-9, abs=1e-9)
        assert one.norm_ratio == pytest.approx(checked.norm_ratios[name], rel=1e-9)
    assert found.layers["linear2"].angle > 1


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"draws": 1}, "`draws` is an integer of at least 2; got 1"),
        ({"batches": True}, "`batches` is an integer of at least 2; got True"),
        ({"seed": -1}, "every seed is an integer from 0"),
    ],
)
def test_wrong_requests_are_told_in_a_sentence(changes, sentence):
    with pytest.raises(UserError, match=sentence):
        quality("backpropagation", NETWORK, DATA, **changes)
