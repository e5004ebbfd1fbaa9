"""The perceptron algorithm against the lecture's loop, scikit-learn and Novikoff's bound; the rule against the algorithm."""

import itertools

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest

import ascribe
from ascribe import losses, networks
from ascribe.errors import UserError
from ascribe.networks import Linear, Network
from ascribe.rules import Backpropagation, Batch, Perceptron, mistake_bound, perceptron_algorithm
from ascribe.training.batches import epoch_indices
from ascribe.training.seeds import streams

from ..cases import to_float32
from ..later import Later

linear_model = Later("sklearn.linear_model")
svm = Later("sklearn.svm")

XOR = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]), np.array([0, 1, 1, 0])
SEEDS = range(12)


def points(seed, *, gap=0.05, noise=0.0, count=60, features=3):
    """Points on the two sides of a plane that misses the origin, none within `gap` of it; `noise` blurs the labels."""
    rng = np.random.default_rng(seed)
    direction = rng.normal(size=features)
    direction /= np.linalg.norm(direction)
    x = rng.normal(size=(count, features))
    side = x @ direction + 0.4
    x, side = x[abs(side) > gap], side[abs(side) > gap]
    return x, (side + noise * rng.normal(size=len(x)) > 0).astype(int)


def plain(x, labels, passes, scale=1.0):
    """The lecture's loop: every weight vector, and on which example it was made. `scale` 1 is the algorithm's update."""
    x = np.column_stack([x, np.ones(len(x))])
    y = 2 * np.asarray(labels) - 1
    w, seen, mistakes, made = np.zeros(x.shape[1]), [np.zeros(x.shape[1])], [], 0
    for _ in range(passes):
        made += 1
        before = len(mistakes)
        for n in range(len(x)):
            if y[n] * (w @ x[n]) <= 0:
                w = w + scale * y[n] * x[n]
                seen.append(w)
                mistakes.append(n)
        if len(mistakes) == before:
            return seen, mistakes, made, True
    return seen, mistakes, made, False


def errors(x, labels, w):
    """How many examples the weights, bias last, have on the wrong side or on the line."""
    return int(np.sum((2 * labels - 1) * (x @ w[:-1] + w[-1]) <= 0))


def joined(result):
    return np.append(result.weights, result.bias)


# The algorithm


@pytest.mark.parametrize("noise", [0.0, 0.5])
@pytest.mark.parametrize("seed", SEEDS)
def test_it_is_the_lecture_s_loop(seed, noise):
    x, labels = points(seed, noise=noise)
    seen, mistakes, made, separated = plain(x, labels, 30)
    result = perceptron_algorithm(x, labels, passes=30)
    np.testing.assert_array_equal(joined(result), seen[-1])
    assert result.mistakes.tolist() == mistakes
    assert (result.passes, result.separated) == (made, separated)


def test_a_case_by_hand():
    """(1), +1, then (-2), -1: w = 0 errs on the first, (w, b) = (1, 1) errs on neither."""
    result = perceptron_algorithm([[1.0], [-2.0]], [1, -1])
    assert (result.weights.tolist(), result.bias) == ([1.0], 1.0)
    assert (result.mistakes.tolist(), result.passes, result.separated) == ([0], 2, True)
    assert result.radius == pytest.approx(np.sqrt(5))
    assert result.margin == pytest.approx(1 / np.sqrt(2))  # of the second; the first has 2/√2
    assert result.bound == pytest.approx(10)


@pytest.mark.parametrize("noise", [0.0, 0.5])
@pytest.mark.parametrize("seed", SEEDS)
def test_it_is_scikit_learn_s_perceptron(seed, noise):
    x, labels = points(seed, noise=noise)
    theirs = linear_model.Perceptron(shuffle=False, penalty=None, tol=None, eta0=1, max_iter=20).fit(x, labels)
    ours = perceptron_algorithm(x, labels, passes=20)
    np.testing.assert_allclose(ours.weights, theirs.coef_[0], rtol=1e-12)
    np.testing.assert_allclose(ours.bias, theirs.intercept_[0], rtol=1e-12)
    if ours.separated:
        np.testing.assert_array_equal(ours.predict(x), theirs.predict(x))


@pytest.mark.parametrize("seed", [None, 0])
def test_labels_may_be_written_in_either_way(seed):
    x, labels = points(0, noise=0.5)
    first = perceptron_algorithm(x, labels, passes=5, seed=seed)
    for other in (2 * labels - 1, labels.astype(bool), labels.astype(float), (2 * labels - 1).tolist()):
        np.testing.assert_array_equal(joined(perceptron_algorithm(x, other, passes=5, seed=seed)), joined(first))


def test_a_seed_shuffles_every_pass_anew_and_reproducibly():
    x, labels = points(1, noise=0.5)
    results = [perceptron_algorithm(x, labels, passes=4, seed=seed) for seed in (3, 3, 4)]
    np.testing.assert_array_equal(results[0].mistakes, results[1].mistakes)
    assert results[0].mistakes.tolist() != results[2].mistakes.tolist()
    rng, w = np.random.default_rng(3), np.zeros(4)
    rows = (2 * labels - 1)[:, None] * np.column_stack([x, np.ones(len(x))])
    expected = []
    for _ in range(4):
        for n in rng.permutation(len(x)):
            if rows[n] @ w <= 0:
                w = w + rows[n]
                expected.append(n)
    assert results[0].mistakes.tolist() == expected


# The bound


@pytest.mark.parametrize("order", [None, 0, 1])
@pytest.mark.parametrize("seed", SEEDS)
def test_novikoff_s_bound_holds_in_any_order(seed, order):
    x, labels = points(seed)
    result = perceptron_algorithm(x, labels, seed=order)
    assert result.separated
    tightest = mistake_bound(x, labels)
    assert 0 < len(result.mistakes) <= tightest <= result.bound
    assert mistake_bound(x, labels, 7 * joined(result)) == pytest.approx(result.bound)


def test_the_bound_is_reached_on_the_corners_of_a_simplex():
    """Examples that are orthogonal with their constant, of length R: each is a mistake once; here γ = R/√N."""
    count = 3
    axes = np.array([[1.0, 1.0, -1.0], [1.0, -1.0, 1.0], [-1.0, 1.0, 1.0], [-1.0, -1.0, -1.0]])[: count + 1]
    result = perceptron_algorithm(axes, [1, 1, 1, 0])
    assert mistake_bound(axes, [1, 1, 1, 0]) == pytest.approx(4)
    assert sorted(result.mistakes.tolist()) == [0, 1, 2, 3]


def test_another_update_breaks_the_bound():
    """The bound is no accident of these data: what flees its mistakes exceeds it."""
    for seed in SEEDS:
        x, labels = points(seed)
        bound = mistake_bound(x, labels)
        limit = 3 * int(bound // len(x)) + 3
        assert len(plain(x, labels, limit)[1]) <= bound < len(plain(x, labels, limit, scale=-1.0)[1])


@pytest.mark.parametrize("seed", SEEDS)
def test_the_largest_margin_is_the_support_vector_machine_s(seed):
    """Examples and their mirror images: the separator of those two sets goes through the origin."""
    x, labels = points(seed)
    rows = (2 * labels - 1)[:, None] * np.column_stack([x, np.ones(len(x))])
    machine = svm.SVC(kernel="linear", C=1e8, tol=1e-8).fit(np.vstack([rows, -rows]), np.repeat([1, -1], len(rows)))
    normal = machine.coef_[0]
    margin = (rows @ normal).min() / np.linalg.norm(normal)
    radius = np.linalg.norm(rows, axis=1).max()
    assert mistake_bound(x, labels) == pytest.approx((radius / margin) ** 2, rel=1e-4)


def test_the_bound_knows_no_unit_of_the_rows():
    """Examples with their constant scaled together leave R/γ alone: two points and their mirror of the same kind."""
    assert mistake_bound([[1.0], [-1.0]], [1, 0]) == pytest.approx(2)  # u = (1, 0), R² = 2, γ = 1
    assert mistake_bound([[1.0], [-1.0]], [1, 0], [5.0, 0.0]) == pytest.approx(2)


@pytest.mark.parametrize("seed", [0, 1])
def test_there_is_no_bound_where_nothing_separates(seed):
    assert mistake_bound(*XOR) == np.inf
    assert mistake_bound(*points(seed, noise=0.5)) == np.inf
    assert mistake_bound([[0.0], [0.0], [1.0]], [0, 1, 1]) == np.inf


# Data that no plane separates, and the pocket


def test_xor_goes_round_in_a_cycle_until_the_limit():
    """(w₁, w₂, b) = (0, 0, 0), (0, 0, -1), (0, 1, 0), (1, 1, 1) and 0 again: each errs on the example it meets, and on 4, 2,
    3 and 2 of all."""
    result = perceptron_algorithm(*XOR, passes=50)
    assert (result.passes, result.separated, result.margin, result.bound) == (50, False, None, None)
    assert result.mistakes.tolist() == [0, 1, 2, 3] * 50
    assert joined(result).tolist() == [0, 0, 0]
    assert (result.pocket_weights.tolist(), result.pocket_bias, result.pocket_mistakes) == ([0, 0], -1, 2)
    assert result.predict(XOR[0]).tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("order", [None, 0])
@pytest.mark.parametrize("seed", SEEDS)
def test_the_pocket_has_the_fewest_mistakes_of_all_weights_that_were_seen(seed, order):
    x, labels = points(seed, noise=0.6)
    result = perceptron_algorithm(x, labels, passes=40, seed=order)
    assert not result.separated
    signed = (2 * labels - 1)[:, None] * np.column_stack([x, np.ones(len(x))])
    seen = np.vstack([np.zeros(4), np.cumsum(signed[result.mistakes], axis=0)])
    counts = [errors(x, labels, w) for w in seen]
    assert result.pocket_mistakes == min(counts) <= counts[-1]
    best = seen[int(np.argmin(counts))]
    np.testing.assert_allclose(np.append(result.pocket_weights, result.pocket_bias), best, rtol=1e-9, atol=1e-12)
    assert int(np.sum(result.predict(x) != labels)) == result.pocket_mistakes
    assert len(seen) > 257  # more than are counted together


def test_where_the_classes_are_separated_the_pocket_is_what_separates_them():
    x, labels = points(0)
    result = perceptron_algorithm(x, labels)
    np.testing.assert_array_equal(result.pocket_weights, result.weights)
    assert (result.pocket_bias, result.pocket_mistakes) == (result.bias, 0)
    np.testing.assert_array_equal(result.predict(x), labels)
    assert "separated in" in repr(result)
    assert "pocket" in repr(perceptron_algorithm(*XOR, passes=3))


def test_the_prediction_on_the_line_is_1():
    result = perceptron_algorithm([[2.0], [-2.0]], [1, 0])  # (w, b) = (2, 1) after the first: right on both
    assert result.predict([[-0.5]]).tolist() == [1]


# Bad input


@pytest.mark.parametrize(
    ("inputs", "labels", "said"),
    [
        ([1.0, 2.0], [0, 1], "inputs of the shape"),
        (np.zeros((2, 3, 3)), [0, 1], "images flattened"),
        (np.zeros((0, 3)), [], "inputs of the shape"),
        (np.zeros((2, 0)), [0, 1], "inputs of the shape"),
        ([[1.0], [2.0]], [0, 1, 1], "one label for each of the 2 examples"),
        ([[1.0], [2.0]], [[0], [1]], "one label for each of the 2 examples"),
        ([[1.0], [2.0]], [1, 1], "got the label 1 alone"),
        ([[1.0], [2.0], [3.0]], [0, 1, 2], "got 0, 1, 2"),
        ([[1.0], [2.0], [3.0]], [-1, 0, 1], "got -1, 0, 1"),
        ([[1.0], [2.0]], ["a", "b"], "array of numbers"),
        ([["1"], ["2"]], [0, 1], "array of numbers"),
        ([[1.0], [2.0, 3.0]], [0, 1], "array of numbers"),
        ([[1.0], [np.nan]], [0, 1], "NaN"),
        ([[1.0], [np.inf]], [0, 1], "infinity"),
        ([[1.0], [1e200]], [0, 1], "scale them"),
        ([[1.0], [2.0]], [0, np.nan], "finite numbers up to 1e\\+100 for its labels"),
    ],
)
def test_bad_data_are_refused_in_a_sentence(inputs, labels, said):
    for function in (perceptron_algorithm, mistake_bound):
        with pytest.raises(UserError, match=said) as caught:
            function(inputs, labels)
        assert str(caught.value).endswith(".")


@pytest.mark.parametrize("passes", [0, -1, True])
def test_passes_are_a_positive_integer(passes):
    with pytest.raises(UserError, match="`passes` is a positive integer"):
        perceptron_algorithm(*XOR, passes=passes)


@pytest.mark.parametrize("seed", [-1, True])
def test_a_seed_is_a_whole_number(seed):
    with pytest.raises(UserError, match="`seed` is an integer that is not negative"):
        perceptron_algorithm(*XOR, seed=seed)


def test_a_separator_that_separates_nothing_is_refused():
    for wrong in ([1.0, 1.0, 0.0], [0.0, 0.0, 0.0]):
        with pytest.raises(UserError, match="on the wrong side"):
            mistake_bound(*XOR, wrong)
    with pytest.raises(UserError, match=r"of the shape \(3,\); got \(2,\)"):
        mistake_bound(*XOR, [1.0, 1.0])


@pytest.mark.parametrize("lower", [0, -1])
def test_it_answers_with_the_labels_it_was_given(lower):
    """Separated or not, at w·x + b = 0 too: f = 1 there, in both forms of the threshold."""
    x = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    labels = np.array([lower, lower, lower, 1])
    result = perceptron_algorithm(x, labels)
    assert result.separated
    np.testing.assert_array_equal(result.predict(x), labels)
    edge = -result.bias / result.weights[0]
    assert result.predict([[edge, 0.0]]) == [1]
    found = perceptron_algorithm(x, [lower, 1, 1, lower], passes=20).predict(x)
    assert set(found.tolist()) <= {lower, 1}
    assert found.dtype.kind == "i"


def test_predictions_want_rows_like_those_of_the_training():
    with pytest.raises(UserError, match=r"of the shape \(rows, 2\); got \(2,\)"):
        perceptron_algorithm(*XOR, passes=2).predict([0.0, 1.0])


# The rule


def one_unit(features, dtype=float):
    network = Network([Linear(features, 1, initializer="zeros")])
    return jax.tree.map(lambda leaf: leaf.astype(dtype), network)


def batch_of(x, labels, loss="bernoulli-cross-entropy", dtype=float):
    return Batch(jnp.asarray(x, dtype), jnp.asarray(labels, jnp.int32), losses.get(loss))


def trained(x, labels, passes, dtype=float):
    """The rule by hand: SGD at rate 1, one example at a time, in order; the network, state and how many steps it took."""
    rule, optimizer = Perceptron(), optax.sgd(1.0)
    network = one_unit(x.shape[1], dtype)
    state, optimizer_state = rule.init(network, batch_of(x, labels, dtype=dtype)), optimizer.init(network)

    @jax.jit
    def step(network, state, optimizer_state, batch):
        credit = rule(network, state, batch)
        updates, optimizer_state = optimizer.update(credit.gradients, optimizer_state)
        return optax.apply_updates(network, updates), credit.state, optimizer_state

    for _, n in itertools.product(range(passes), range(len(x))):
        one = batch_of(x[n : n + 1], labels[n : n + 1], dtype=dtype)
        network, state, optimizer_state = step(network, state, optimizer_state, one)
    return network, state


@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_sgd_at_rate_1_on_its_credit_is_the_algorithm(noise):
    x, labels = points(2, noise=noise)
    expected = perceptron_algorithm(x, labels, passes=6)
    network, _ = trained(x, labels, expected.passes)
    np.testing.assert_array_equal(network["linear1"].weight[0], expected.weights)
    assert float(network["linear1"].bias[0]) == expected.bias


def test_its_gradient_is_that_of_the_perceptron_criterion():
    """Σ max(0, -y z) by automatic differentiation, where no z is 0."""
    x, labels = points(3, noise=0.5)
    network = Network([Linear(3, 1, initializer="glorot-normal", key=jr.key(1))])
    batch = batch_of(x, labels)
    y = 2.0 * jnp.asarray(labels, float) - 1
    expected = jax.grad(lambda n: jnp.sum(jnp.maximum(0, -y * n(batch.inputs)[:, 0])))(network)
    credit = Perceptron()(network, Perceptron().init(network, batch), batch)
    np.testing.assert_allclose(credit.gradients["linear1"].weight, expected["linear1"].weight, rtol=1e-12)
    np.testing.assert_allclose(credit.gradients["linear1"].bias, expected["linear1"].bias, rtol=1e-12)
    assert float(credit.loss) == pytest.approx(float(Backpropagation()(network, None, batch).loss), rel=1e-12)


@pytest.mark.parametrize(("loss", "start"), [("bernoulli-cross-entropy", 0.0), ("squared-error", 0.5)])
def test_outputs_are_told_apart_where_the_loss_does_it(loss, start):
    """What the accuracy counts as wrong is what the rule corrects."""
    inputs = jnp.array([[-1.0], [start - 0.1], [start + 0.1], [2.0]])
    network = Network([Linear(1, 1, initializer="zeros")])
    network = jax.tree.map(lambda leaf: leaf + 1 if leaf.ndim == 2 else leaf, network)  # z = x
    for n, label in itertools.product(range(4), (0, 1)):
        batch = batch_of(inputs[n : n + 1], [label], loss)
        gradient = Perceptron()(network, Perceptron().init(network, batch), batch).gradients["linear1"].bias
        right = (float(inputs[n, 0]) > start) == (label == 1)
        assert float(gradient[0]) == (0 if right else 1 - 2 * label)


def test_the_pocket_is_gallant_s_run_length_pocket():
    x, labels = points(4, noise=0.6)
    _, state = trained(x, labels, 3)
    w, run, longest, pocket = np.zeros(4), 0, 0, np.zeros(4)
    rows = (2 * labels - 1)[:, None] * np.column_stack([x, np.ones(len(x))])
    for _, row in itertools.product(range(3), rows):
        if row @ w > 0:
            run += 1
            if run > longest:
                longest, pocket = run, w
        else:
            w, run = w + row, 0
    assert int(state["longest"]) == longest > 3
    np.testing.assert_array_equal(state["pocket"]["linear1"].weight[0], pocket[:-1])
    assert float(state["pocket"]["linear1"].bias[0]) == pocket[-1]


@pytest.mark.parametrize(("longest", "kept"), [(0, 2.0), (1, 0.0)])
def test_a_run_as_long_as_the_longest_leaves_the_pocket_alone(longest, kept):
    batch, zeros = batch_of(np.ones((1, 1)), np.ones(1)), one_unit(1)
    state = Perceptron().init(zeros, batch) | {"longest": jnp.asarray(longest, jnp.int32)}
    credit = Perceptron()(jax.tree.map(lambda leaf: leaf + 2.0, zeros), state, batch)
    assert int(credit.state["run"]) == int(credit.state["longest"]) == 1
    assert float(credit.state["pocket"]["linear1"].weight[0, 0]) == kept


def test_the_end_is_the_better_one_of_the_pocket_and_the_last_weights():
    chosen = set()
    for seed, passes in itertools.product(SEEDS, (1, 2)):
        x, labels = points(seed, noise=0.6)
        network, state = trained(x, labels, passes)
        end = Perceptron().finish(network, state, batch_of(x, labels))
        vector = lambda n: np.append(n["linear1"].weight[0], n["linear1"].bias)
        last, pocket = (errors(x, labels, vector(n)) for n in (network, state["pocket"]))
        assert errors(x, labels, vector(end)) == min(last, pocket)
        chosen.add("pocket" if pocket < last else "last")
        np.testing.assert_array_equal(vector(end), vector(state["pocket"] if pocket < last else network))
    assert chosen == {"pocket", "last"}


def test_single_precision_stays_single_while_double_is_on():
    x, labels = points(5, noise=0.5, count=20)
    network, state = trained(x, labels, 2, jnp.float32)
    end = Perceptron().finish(network, state, batch_of(x, labels, dtype=jnp.float32))
    assert {leaf.dtype for leaf in jax.tree.leaves((network, end, state["pocket"]))} == {jnp.dtype("float32")}
    batch = batch_of(x, labels, dtype=jnp.float32)
    credit = Perceptron()(to_float32(network), state, batch)
    assert {leaf.dtype for leaf in jax.tree.leaves((credit.loss, credit.gradients))} == {jnp.dtype("float32")}


def test_it_asks_for_one_unit_that_starts_at_zero():
    data = ascribe.datasets.load("gaussians", samples=60, dimensions=3, seed=0)
    network = Perceptron().adapt(networks.mlp([3, 8, 1]), data)
    assert network.config() == one_unit(3).config()
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(network.initialize(jr.key(7))))
    assert Perceptron().forced == {"optimizer": "sgd", "learning_rate": 1.0, "batch_size": 1}
    assert isinstance(ascribe.rules.get("perceptron"), Perceptron)


@pytest.mark.parametrize("sizes", [[3, 4, 1], [3, 2]])
def test_other_networks_are_refused(sizes):
    network, batch = networks.mlp(sizes), batch_of(*points(0))
    for call in (lambda: Perceptron().init(network, batch), lambda: Perceptron()(network, None, batch)):
        with pytest.raises(UserError, match=r"one Linear layer with one output; got linear1 .*\.adapt\("):
            call()


def test_other_targets_and_losses_are_refused():
    x, labels = points(0)
    network = one_unit(3)
    state = Perceptron().init(network, batch_of(x, labels), key=jr.key(0))
    for batch in (
        Batch(jnp.asarray(x), jnp.asarray(labels, float), losses.get("squared-error")),
        batch_of(x, labels, "categorical-cross-entropy"),
    ):
        with pytest.raises(UserError, match="needs labels 0 and 1, whole numbers, and a loss for one output"):
            Perceptron()(network, state, batch)


def test_compare_is_the_algorithm_in_the_loop_s_order_for_each_seed():
    data = ascribe.datasets.load("gaussians", samples=200, dimensions=2, seed=0)
    comparison = ascribe.compare(data, rules=["perceptron"], network=one_unit(2), seeds=2, epochs=3)
    runs = comparison.runs["perceptron"]
    x, labels = data.train.inputs.astype(float), data.train.targets
    rows = (2 * labels - 1)[:, None] * np.column_stack([x, np.ones(len(x))])
    for i, seed in enumerate(runs.seeds):
        keys = streams(jnp.asarray(seed, jnp.uint32))
        w, run, longest, pocket = np.zeros(3), 0, 0, np.zeros(3)
        for epoch in range(3):
            for n in np.asarray(epoch_indices(jr.fold_in(keys.batches, epoch), len(x), 1))[:, 0]:
                run = run + 1 if rows[n] @ w > 0 else 0
                longest, pocket = (run, w) if run > longest else (longest, pocket)
                w = w if run else w + rows[n]
        expected = pocket if errors(x, labels, pocket) < errors(x, labels, w) else w
        layer = runs.networks["linear1"]
        np.testing.assert_allclose(np.append(layer.weight[i, 0], layer.bias[i]), expected, rtol=1e-12)


def test_compare_trains_it_on_two_gaussian_clouds():
    data = ascribe.datasets.load("gaussians", samples=200, dimensions=8, seed=0)
    comparison = ascribe.compare(data, rules=["perceptron"], seeds=2, epochs=3, tune=0)
    runs = comparison.runs["perceptron"]
    assert not runs.diverged.any()
    assert (runs.scores["test_accuracy"] > 0.9).all()  # the best possible: Φ(√8) = 0.998
    assert runs.network.config() == one_unit(8).config()
