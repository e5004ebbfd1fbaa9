"""What a step costs: XLA's own count, the counts of the benchmarks, and those that papers print."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ascribe.cards import cost
from ascribe.cards.case import case_of
from ascribe.cards.cost import costs, count
from ascribe.errors import UserError


def products(sizes):
    """Operations an example of backpropagation's matrix products: forward, to the weights, and back but for the first layer."""
    weights = [below * above for below, above in itertools.pairwise(sizes)]
    return 4 * sum(weights) + 2 * sum(weights[1:])


def random_data(features, classes, count):
    draw = np.random.default_rng(0)
    return np.abs(draw.normal(size=(count, features))).astype(np.float32), np.arange(count) % classes


def by_hand(case, rate=0.001):
    """The operations of a step of plain SGD on a chain of tanh layers, in JAX alone."""
    weights = [(layer.weight, layer.bias) for layer in case.network.layers if layer.synaptic]
    targets = jnp.asarray(case.batch.targets)

    def loss(weights, x):
        for place, (weight, bias) in enumerate(weights):
            x = x @ weight.T + bias[None]
            x = x if place + 1 == len(weights) else jnp.tanh(x)
        return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(x), targets[:, None], axis=1))

    def step(weights, x):
        value, slopes = jax.value_and_grad(loss)(weights, x)
        return value, jax.tree.map(lambda weight, slope: weight - rate * slope, weights, slopes)

    compiled = jax.jit(step).lower(weights, case.batch.inputs).compile()
    return compiled.cost_analysis()["flops"]


def test_backpropagation_costs_what_xla_counts_in_a_step_written_by_hand():
    case = case_of("backpropagation", "96x96", random_data(64, 10, 128), activation="tanh", batch_size=128)
    assert costs([case])[0].operations == pytest.approx(by_hand(case), rel=0.01)


@pytest.mark.parametrize(
    ("features", "classes", "hidden", "published"),
    [(784, 10, [256] * 5, 2.39), (3072, 10, [1024] * 3, 25.23)],
    ids=["MNIST, 6 layers of 256", "CIFAR-10, 4 layers of 1024"],
)
def test_operations_of_backpropagation_are_those_of_the_counter_current_paper(features, classes, hidden, published):
    """Kao & Hariharan (2024), arXiv:2409.19841, table 2: MFLOP a sample of BP; their batches have 256."""
    data = random_data(features, classes, 256)
    found = cost("backpropagation", "x".join(map(str, hidden)), data, activation="tanh", batch_size=256)
    assert products([features, *hidden, classes]) / 1e6 == pytest.approx(published, rel=0.002)
    assert found.operations_an_example / 1e6 == pytest.approx(published, rel=0.02)


@pytest.mark.slow
def test_direct_feedback_takes_0_70_of_backpropagations_operations():
    data = random_data(784, 10, 512)
    ours, theirs = (cost(rule, "x".join(["1024"] * 6), data, batch_size=512) for rule in ("dfa", "backpropagation"))
    assert ours.operations / theirs.operations == pytest.approx(0.70, abs=0.005)


def test_the_forward_pass_rule_takes_0_67_of_backpropagations_operations():
    """On its own bias-free network, as in benchmarks/forward_pass.py."""
    case = case_of("forward-pass:transforms=none", "x".join(["1024"] * 4), random_data(2, 2, 512), batch_size=512)
    ours, theirs = costs([case, case.backpropagation])
    assert ours.operations / theirs.operations == pytest.approx(0.67, abs=0.005)


def test_a_loop_is_counted_as_often_as_it_runs():
    x, w = jax.ShapeDtypeStruct((8, 64), np.float32), jax.ShapeDtypeStruct((64, 64), np.float32)

    def repeated(x, w):
        inner = lambda x, _: (x @ w, None)
        outer = lambda x, _: (jax.lax.scan(inner, x, None, length=3)[0], None)
        return jax.lax.scan(outer, x, None, length=5)[0]

    found = count(repeated, x, w)
    assert found.operations == pytest.approx(15 * 2 * 8 * 64 * 64, rel=1e-3)
    assert not found.unknown_loops
    assert count(lambda x, w: jax.lax.while_loop(lambda x: x[0, 0] > 0, lambda x: x @ w, x), x, w).unknown_loops


def test_operations_grow_with_depth_though_equal_layers_are_one_loop():
    data = random_data(32, 10, 64)
    for depth in (16, 32):
        found = cost("backpropagation", "x".join(["64"] * depth), data, batch_size=64)
        assert found.operations_an_example == pytest.approx(products([32, *[64] * depth, 10]), rel=0.05)


def test_memory_that_a_rule_keeps():
    """Relaxed identity keeps a number for every hidden unit and example, feedback alignment a matrix for every layer but the
    first."""
    size = jnp.zeros(()).dtype.itemsize
    kept, fixed = (cost(rule, "16x8", "moons") for rule in ("relaxed-identity", "feedback-alignment"))
    assert (kept.kept, kept.state) == ((16 + 8) * size, 0)
    assert (fixed.kept, fixed.state) == (0, (16 * 8 + 8) * size)
    assert kept.peak > fixed.peak > cost("backpropagation", "16x8", "moons").peak


def test_a_step_is_timed_where_that_is_asked_for():
    assert cost("perceptron", data="moons").seconds is None
    assert 0 < cost("perceptron", data="moons", timed=True).seconds < 1


def test_what_does_not_go_together_is_told():
    with pytest.raises(UserError, match="cannot do classification"):
        cost("perceptron", data="digits")
    with pytest.raises(UserError, match="`batch_size` is a positive integer"):
        cost("fa", batch_size=True)
