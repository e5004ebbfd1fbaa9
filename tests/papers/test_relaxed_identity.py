"""The parts of the entries `relaxed-identity-shallow` and `-deep`, and both of them on small networks for a few steps."""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
import vl_convert

from ascribe import losses, networks, report
from ascribe.papers import relaxed_identity as module
from ascribe.papers import relaxed_identity_figures as figures_module
from ascribe.papers import relaxed_identity_gradients as gradients_module
from ascribe.papers import relaxed_identity_runs as runs_module
from ascribe.papers import relaxed_identity_sections as sections_module
from ascribe.report.figures import VEGA_LITE
from ascribe.rules import Backpropagation, Batch, RelaxedIdentity

SIZES = [2, 3, 1]


@pytest.fixture(scope="module")
def few():
    """A row of each kind, for real: two seeds, two steps, a landscape of 8 × 8."""
    settings = [
        runs_module.Setting("backpropagation", Backpropagation(), 2, "pytorch-uniform", "relu"),
        runs_module.Setting(
            "RAI as published", runs_module.Observed(relax_output=True, consolidate="never"), 2, "he-normal", "relu"
        ),
        runs_module.Setting("RAI, ours", runs_module.Observed(), 2, "he-normal", "relu"),
    ]
    heard = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs_module, "SEEDS", 2)
        patch.setattr(runs_module, "GRID", 8)
        found = runs_module.trained(settings, SIZES, heard.append)
    assert {progress.rule for progress in heard} == {setting.name for setting in settings}
    return found


@pytest.fixture
def small(monkeypatch, few):
    """Entries whose rows take their numbers from those of `few`."""

    def trained(settings, sizes, listener, **_):
        kinds = [
            0 if isinstance(one.rule, Backpropagation) else 1 if one.rule.consolidate == "never" else 2 for one in settings
        ]
        rows = [few[kind].row | {"rule": one.name} for kind, one in zip(kinds, settings, strict=True)]
        return [
            runs_module.Found(one, few[kind].runs, few[kind].logits, row)
            for kind, one, row in zip(kinds, settings, rows, strict=True)
        ]

    monkeypatch.setattr(runs_module, "trained", trained)
    monkeypatch.setattr(runs_module, "DEEP", SIZES)
    monkeypatch.setattr(gradients_module, "GRADIENT_STEPS", (1, 3))
    monkeypatch.setattr(module, "STEPS", dict.fromkeys(module.STEPS, 2))


@pytest.mark.slow
def test_the_table_holds_what_the_runs_are_worth(few):
    for found in few:
        row, runs = found.row, found.runs
        assert (row["test"], row["worst"]) == (runs.test_accuracy.mean(), runs.test_accuracy.min())
        right = runs.predict(runs.data.train.inputs) == runs.data.train.targets
        assert row["train"] == pytest.approx(right.mean())
        assert row["disagreement"] == np.mean(np.diff(found.logits > 0, axis=0))
        assert (row["finite"], row["diverged"], row["steps"]) == (1.0, 0, 2)
        assert (row["objective"] is None) == (row["rule"] == "backpropagation")
    for found in few[:2]:  # nothing happens after their last step
        row = found.row
        assert (row["test"], row["worst"]) == (row["test_before"], row["worst_before"])
        assert row["loss"] == pytest.approx(row["loss_before"], rel=1e-6)
        assert row["train"] == pytest.approx(row["train_before"], rel=1e-6)
    assert few[2].row["loss"] != pytest.approx(few[2].row["loss_before"], rel=1e-6)


def pictures(result):
    return [vl_convert.vegalite_to_svg(report.specification(chart), vl_version=VEGA_LITE) for chart in result.figures.values()]


@pytest.mark.slow
@pytest.mark.parametrize("function", ["shallow", "deep"])
def test_an_entry_makes_its_table_its_checks_and_its_figures(small, function):
    result = getattr(module, function)(lambda progress: None)
    rows = result.tables["rows"]
    assert len({row["rule"] for row in rows}) == len(rows)
    assert len({tuple(row) for row in rows}) == 1
    assert len({check.statement for check in result.checks}) == len(result.checks) >= 6
    if function == "deep":
        kinds = {(row["rule"], row["steps"], row["initializer"], row["layer"]) for row in result.tables["gradients"]}
        assert len(result.tables["gradients"]) == len(kinds) == 2 * 3 * 2
    drawn = pictures(result)
    assert drawn[0].count("<image") == 12
    for picture in drawn:
        assert picture.count("<path") > 20
        assert not any(f">{axis}<" in picture for axis in ("NaN", "undefined", "Infinity"))


def test_the_points_are_those_of_the_document():
    from sklearn.datasets import make_moons

    data = runs_module.moons()
    inputs, labels = make_moons(n_samples=100, noise=0.1, random_state=42)
    np.testing.assert_array_equal(data.train.inputs, inputs.astype(np.float32))
    np.testing.assert_array_equal(data.train.targets, labels)
    assert len(data.test) == 2000
    assert not np.isin(data.test.inputs, data.train.inputs).any()


def test_the_loss_that_is_followed_is_the_objective_and_no_gradient_changes():
    network = jax.jit(lambda: networks.mlp([2, 3, 3, 1], key=jr.key(0)))()
    split = runs_module.moons().train
    batch = Batch(jnp.asarray(split.inputs, float), jnp.asarray(split.targets), losses.BERNOULLI_CROSS_ENTROPY)
    ours, theirs = runs_module.Observed(relax_output=True), RelaxedIdentity(relax_output=True)
    trainables = jax.jit(lambda network: theirs.trainables(network, batch, key=jr.key(1)))(network)
    moved = jax.tree.map(lambda z: np.asarray(z) + 0.3, trainables.auxiliary)
    trainables = dataclasses.replace(trainables, auxiliary=moved)
    one, other = jax.jit(lambda trainables: [rule(trainables, None, batch) for rule in (ours, theirs)])(trainables)
    for mine, its in zip(jax.tree.leaves(one.gradients), jax.tree.leaves(other.gradients), strict=True):
        np.testing.assert_array_equal(mine, its)
    z = list(trainables.auxiliary.values())
    expected = jax.jit(lambda network, z: written_out(network, z, batch))(network, [np.asarray(each)[0] for each in z])
    np.testing.assert_allclose(one.loss, expected, rtol=1e-12)
    assert abs(other.loss - expected) > 1e-3


def written_out(network, auxiliary, batch, sigma=jax.nn.relu):
    """E of the document's published runs, its output relaxed too where there are as many auxiliaries as layers."""
    layers = [network[name] for name in network.synaptic]
    below, total = batch.inputs, 0.0
    for i, layer in enumerate(layers):
        estimate = below @ layer.weight.T + layer.bias[None, :]
        z = auxiliary[i] if i < len(auxiliary) else estimate
        total = total + jnp.mean((z - estimate) ** 2)
        below = sigma(z)
    t = batch.targets[:, None].astype(float)
    return total + jnp.mean(jnp.logaddexp(0.0, z) - t * z)


def test_gradient_norms_are_those_of_jax_grad():
    """Backpropagation's at once; RAI's after one step of Rprop, which is one of its rate against the gradient's sign."""
    sizes, initializer = [2, 3, 4, 1], "logistic-normal"
    network = jax.jit(lambda: networks.mlp(sizes, activation="logistic", initializer=initializer, key=jr.key(0)))()
    split = runs_module.moons().train
    batch = Batch(jnp.asarray(split.inputs, float), jnp.asarray(split.targets), losses.BERNOULLI_CROSS_ENTROPY)

    def plain(network):
        z = batch.inputs
        for i, name in enumerate(network.synaptic):
            z = (jax.nn.sigmoid(z) if i else z) @ network[name].weight.T + network[name].bias[None, :]
        t = batch.targets[:, None].astype(float)
        return jnp.mean(jnp.logaddexp(0.0, z) - t * z)

    norms = lambda gradients: [np.linalg.norm(weight) for weight in gradients.weights.values()]
    [(kind, found)] = gradients_module.gradient_norms(Backpropagation(), initializer, sizes, (0,))
    expected = norms(jax.jit(jax.grad(plain))(network))
    assert kind == ("backpropagation", 0)
    np.testing.assert_allclose(found, expected, rtol=1e-10)

    (_, at_start), (kind, later), (_, last) = gradients_module.gradient_norms(RelaxedIdentity(), initializer, sizes, (0, 1, 3))
    np.testing.assert_allclose(at_start, [0.0, 0.0, expected[-1]], rtol=1e-10, atol=1e-14)
    assert kind == ("RAI", 1)
    of = lambda parts: written_out(*parts, batch, sigma=jax.nn.sigmoid)

    @jax.jit
    def after_a_step(network):
        auxiliary, below = [], batch.inputs
        for name in network.synaptic[:-1]:
            auxiliary.append(below @ network[name].weight.T + network[name].bias[None, :])
            below = jax.nn.sigmoid(auxiliary[-1])
        moved = jax.tree.map(
            lambda leaf, g: leaf - runs_module.RATE * jnp.where(abs(g) > 1e-12, jnp.sign(g), 0.0),
            (network, auxiliary),
            jax.grad(of)((network, auxiliary)),
        )
        return jax.grad(of)(moved)[0]

    np.testing.assert_allclose(later, norms(after_a_step(network)), rtol=1e-8, atol=1e-14)
    assert later[0] == 0.0 < last[0]


def test_disagreement_is_a_mean_over_pairs():
    labels = np.array([[0, 0, 1, 1], [0, 1, 1, 1], [0, 0, 0, 1]], dtype=bool)
    assert runs_module.disagreement(labels) == pytest.approx((1 / 4 + 1 / 4 + 2 / 4) / 3)
    assert runs_module.disagreement(labels[[0, 0]]) == 0.0
    assert runs_module.disagreement(np.array([[True, False], [False, True]])) == 1.0
    many = np.random.default_rng(0).random((5, 300)) < 0.4
    assert figures_module.pairs_apart(many).mean() == pytest.approx(runs_module.disagreement(many))
    by_hand = [np.mean([one != other for one, other in itertools.combinations(column, 2)]) for column in many.T]
    np.testing.assert_allclose(figures_module.pairs_apart(many), by_hand, atol=1e-12)


def test_the_grid_begins_at_the_top_left():
    grid = runs_module.grid_points()
    assert grid.shape == (runs_module.GRID**2, 2)
    assert (grid[0].tolist(), grid[1, 1], grid[-1].tolist()) == ([-3.0, 3.0], 3.0, [3.0, -3.0])


GOOD = {
    "train": 1.0,
    "test": 0.998,
    "worst": 0.99,
    "best": 1.0,
    "steps": 1000,
    "objective": 0.0028,
    "finite": 1.0,
    "loss": 0.5,
}
FAILED = GOOD | {"test": 0.5, "best": 0.5, "worst": 0.5, "loss": 0.6931}
LINE = 0.88
"""Test accuracy of a straight line."""


def shallow_rows(**changed):
    disagreements = {
        "backpropagation": 0.1,
        "RAI as published": 0.3,
        "RAI, ours": 0.1,
        "RAI, ours, no weight decay": 0.3,
    }
    rows = {name: GOOD | {"disagreement": share} for name, share in disagreements.items()}
    return changed_rows(rows, changed)


def deep_rows(**changed):
    rows = {setting.name: dict(GOOD) for setting in module.deep_settings()}
    for name in rows:
        if name.startswith("backpropagation") or "step" in name:
            rows[name] = dict(FAILED)
    return changed_rows(rows, changed)


def deep_checks(rows):
    return module.deep_checks(rows, LINE)


def output_rows(**changed):
    rows = {"the output's loss alone": GOOD | {"test": 0.88}, "with the hidden losses": dict(GOOD)}
    norms = [{"layer": 1, "norm": 0.0}, {"layer": 2, "norm": 1.0}]
    changed = dict(changed)
    for layer in (1, 2):
        norms[layer - 1]["norm"] = changed.pop(f"norm/{layer}", norms[layer - 1]["norm"])
    return changed_rows(rows, changed), norms


def output_checks(rows):
    return sections_module.output_checks(*rows, LINE)


RULES = ("backpropagation", "RAI as published")


def dimension_rows(**changed):
    """More for RAI, more in more dimensions, less with weight decay; `changed` by INPUTS/RULE."""
    rows = []
    for inputs, rule in itertools.product(sections_module.DIMENSIONS, RULES):
        share = 0.1 + 0.1 * (inputs > 2) + 0.05 * (rule != "backpropagation")
        for name, value in ((rule, share), (f"{rule}, weight decay", share - 0.03)):
            rows.append({"inputs": inputs, "rule": name, "everywhere": changed.get(f"{inputs}/{name}", value)})
    return rows


def batch_rows(**changed):
    tests = {"backpropagation": 1.0, "as published": 0.8, "as published, equation (4)": 0.8, "ours": 0.99}
    return [{"rule": name, "test": changed.get(name, test), "angle": changed.get("angle", 5.0)} for name, test in tests.items()]


def bias_rows(**changed):
    return {"across": 0.17, "backpropagation": 0.1, "RAI": 0.2, "majorities": 0.1} | changed


def changed_rows(rows, changed):
    for place, value in changed.items():
        name, column = place.split("/")
        rows[name][column] = value
    return rows


@pytest.mark.parametrize(
    ("checks", "rows", "changed", "statement"),
    [
        ("shallow_checks", shallow_rows, {"backpropagation/train": 0.9}, "figure 2"),
        ("shallow_checks", shallow_rows, {"RAI as published/train": 0.9}, "figure 3"),
        ("shallow_checks", shallow_rows, {"RAI as published/test": 0.97}, "the published code's test accuracy"),
        ("shallow_checks", shallow_rows, {"RAI as published/objective": 0.005}, "the published code's E"),
        ("shallow_checks", shallow_rows, {"RAI, ours/test": 0.98}, "RAI, ours: test accuracy"),
        ("shallow_checks", shallow_rows, {"RAI as published/disagreement": 0.1}, "section 5: seeds disagree"),
        ("deep_checks", deep_rows, {"backpropagation/best": 0.7}, "figure 4"),
        ("deep_checks", deep_rows, {"backpropagation/loss": 0.6925}, "figure 4: the loss"),
        ("deep_checks", deep_rows, {"backpropagation, gain 4/best": 0.7}, "the same from weights of gain 4"),
        ("deep_checks", deep_rows, {"RAI as published/objective": 0.1}, "RAI as published: E"),
        ("deep_checks", deep_rows, {"RAI as published/test": 0.93}, "figure 5, RAI trains it"),
        ("deep_checks", deep_rows, {"RAI as published/loss": 0.02}, "E is not the network's loss"),
        ("deep_checks", deep_rows, {"RAI, ours/test": 0.93}, "figure 5 with our changes"),
        ("deep_checks", deep_rows, {"RAI, ours/worst": 0.96}, "RAI, ours: test accuracy of the worst"),
        ("deep_checks", deep_rows, {"noise as auxiliaries, 1 step/test": 0.95}, "controls"),
        ("deep_checks", deep_rows, {"RAI, ours, 10 steps/test": float("nan")}, "controls"),
        ("deep_checks", deep_rows, {"RAI, ours, ReLU/finite": 0.999}, "open, ReLU"),
        ("shallow_checks", shallow_rows, {"RAI, ours/disagreement": 0.31}, "section 5, regularization"),
        ("bias_checks", bias_rows, {"across": 0.25}, "the same, beside seeds"),
        ("bias_checks", bias_rows, {"majorities": 0.3}, "section 5, slightly"),
        ("bias_checks", bias_rows, {"majorities": 0.0}, "section 5, slightly"),
        ("output_checks", output_rows, {"norm/1": 1e-9}, "the output's loss alone: largest gradient"),
        ("output_checks", output_rows, {"norm/2": 0.0}, "the output's loss alone: least gradient"),
        (
            "output_checks",
            output_rows,
            {"the output's loss alone/objective": 0.1},
            "the output's loss alone: that loss",
        ),
        ("output_checks", output_rows, {"the output's loss alone/test": 0.95}, "it does not generalize"),
        ("output_checks", output_rows, {"with the hidden losses/test": 0.93}, "with the hidden losses"),
        ("dimension_checks", dimension_rows, {"2/RAI as published": 0.1}, "2 inputs: RAI's seeds"),
        ("dimension_checks", dimension_rows, {"10/RAI as published": 0.15}, "10 inputs: RAI's seeds"),
        ("dimension_checks", dimension_rows, {"10/RAI as published": 0.15}, "section 5, worse in higher"),
        ("dimension_checks", dimension_rows, {"10/backpropagation": 0.05}, "beside it: backpropagation"),
        ("dimension_checks", dimension_rows, {"10/RAI as published, weight decay": 0.3}, "regularization: RAI"),
        ("dimension_checks", dimension_rows, {"2/backpropagation, weight decay": 0.1}, "regularization: backprop"),
        ("batch_checks", batch_rows, {"as published": 0.96}, "section 5, incompatible"),
        ("batch_checks", batch_rows, {"ours": 0.97}, "a workaround (ours)"),
        ("batch_checks", batch_rows, {"angle": 20.0}, "what it is (ours)"),
    ],
)
def test_each_check_can_fail(checks, rows, changed, statement):
    judged = globals().get(checks) or getattr(module, checks, None) or getattr(sections_module, checks)
    assert [check.statement for check in judged(rows()) if not check.passed] == []
    failed = [check.statement for check in judged(rows(**changed)) if not check.passed]
    assert any(found.startswith(statement) for found in failed)


def test_with_the_published_steps_the_printed_objective_is_asked_for():
    rows = deep_rows(**{"RAI as published/objective": 0.00029, "RAI as published/steps": 10_000})
    assert all(check.passed for check in module.deep_checks(rows, LINE, full=True))
    rows["RAI as published"]["objective"] = 0.00036
    (missed,) = [check for check in module.deep_checks(rows, LINE, full=True) if not check.passed]
    assert missed.statement.startswith("RAI as published: E that its run prints, after 10,000 steps")
    names = {setting.name for setting in module.deep_settings()}
    assert set(module.FULL) <= names and set(module.FULL.values()) == {10_000}


def test_a_straight_line_has_the_accuracy_of_the_best_weights_of_a_plain_newton_iteration():
    data = runs_module.moons()
    x = np.column_stack([data.train.inputs.astype(float), np.ones(100)])
    w = np.zeros(3)
    for _ in range(20):
        p = 1 / (1 + np.exp(-x @ w))
        w += np.linalg.solve((x.T * (p * (1 - p))) @ x, x.T @ (data.train.targets - p))
    right = (data.test.inputs @ w[:2] + w[2] > 0) == data.test.targets
    assert runs_module.straight_line(data) == pytest.approx(np.mean(right), abs=1e-3)
    assert runs_module.trains(0.88) == pytest.approx(0.94)


def test_weight_decay_beside_backpropagation_is_the_gradient_of_the_sum_of_squares():
    network = jax.jit(lambda: networks.mlp([2, 3, 1], key=jr.key(0)))()
    split = runs_module.moons().train
    batch = Batch(jnp.asarray(split.inputs, float), jnp.asarray(split.targets), losses.BERNOULLI_CROSS_ENTROPY)

    def objective(network):
        squares = sum(jnp.sum(weight**2) for weight in network.weights.values())
        return Backpropagation()(network, None, batch).loss + 0.3 / 2 * squares

    ours, theirs = jax.jit(lambda one: (runs_module.Decayed(0.3)(one, None, batch).gradients, jax.grad(objective)(one)))(
        network
    )
    for mine, its in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(mine, its, rtol=1e-9, atol=1e-12)


def test_biases_are_counted_over_pairs_of_networks():
    plain, relaxed = np.array([[0, 0, 1, 1], [0, 0, 0, 1], [0, 1, 1, 1]]) > 0, np.array([[1, 0, 1, 1]] * 3) > 0
    row = module.bias_row(plain, relaxed)
    assert row == {"across": pytest.approx(5 / 12), "backpropagation": 1 / 3, "RAI": 0.0, "majorities": 0.25}


def test_further_inputs_say_nothing_and_leave_the_moons():
    data = sections_module.wider_moons(10)
    np.testing.assert_array_equal(data.train.inputs[:, :2], runs_module.moons().train.inputs)
    correlation = np.corrcoef(data.test.inputs[:, 2:].T, data.test.targets)[-1, :-1]
    assert data.features == 10 and np.max(np.abs(correlation)) < 0.1
    np.testing.assert_array_equal(sections_module.wider_moons(2).test.inputs, runs_module.moons().test.inputs)


def gradient_rows(rai):
    rows = []
    for initializer, (rule, steps, bottom) in itertools.product(
        (runs_module.PUBLISHED, runs_module.GAIN_4),
        (("backpropagation", 0, 1e-80), ("RAI", 10, 0.0), ("RAI", 250, rai)),
    ):
        for layer, norm in ((1, bottom), (2, 1.0)):
            rows.append({"rule": rule, "steps": steps, "initializer": initializer, "layer": layer, "norm": norm})
    return rows


def test_vanishing_gradients_are_told_from_others():
    assert all(check.passed for check in gradients_module.gradient_checks(gradient_rows(0.01)))
    assert [check.passed for check in gradients_module.gradient_checks(gradient_rows(1e-8))] == [
        True,
        True,
        False,
        False,
    ]
    assert not any(check.passed for check in gradients_module.gradient_checks(gradient_rows(float("nan")))[2:])


def test_a_last_layer_without_a_gradient_is_no_error():
    """Where every output is certain to rounding; a network whose layers all have none fails."""
    for rai, passed in ((0.01, True), (0.0, False)):
        rows = [row | {"norm": 0.0} if row["layer"] == 2 and row["rule"] == "RAI" else row for row in gradient_rows(rai)]
        assert [check.passed for check in gradients_module.gradient_checks(rows)] == [True, True, passed, passed]


def test_a_landscape_that_is_not_finite_is_gray():
    logits = np.zeros((2, 64))
    logits[:, :32], logits[1, 40] = np.nan, np.inf
    row = {"disagreement": 0.0, "test": float("nan")}
    setting = runs_module.Setting("a", Backpropagation(), 3, "zeros", "relu")
    found = runs_module.Found(setting, None, logits, row)
    picture = vl_convert.vegalite_to_svg(report.specification(figures_module.landscapes([found], "t")), vl_version=VEGA_LITE)
    assert picture.count("<image") == 2
    assert "no seed stayed finite" in picture
    shares = figures_module._shade(np.array([[[0.0], [0.6], [np.nan]]]))
    assert len({tuple(pixel) for pixel in shares[0]}) == 3


def test_options_are_the_fields_that_differ():
    assert runs_module.options(Backpropagation()) == ""
    assert (
        runs_module.options(runs_module.Observed(relax_output=True, weight_decay=1e-5))
        == "relax_output=True weight_decay=1e-05"
    )


def test_tables_of_disagreement_and_of_mini_batches_are_drawn():
    rows = [row | {"worst": 0.7} for row in batch_rows()]
    for chart in (sections_module.dimension_figure(dimension_rows()), sections_module.batch_figure(rows)):
        drawn = vl_convert.vegalite_to_svg(report.specification(chart), vl_version=VEGA_LITE)
        assert drawn.count("<path") > 8 and "NaN" not in drawn
