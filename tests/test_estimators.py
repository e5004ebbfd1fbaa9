"""The estimators are `ascribe.train` in scikit-learn's clothes: the same numbers, and scikit-learn's own checks."""

import dataclasses
import pickle
import re
import unittest

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ascribe
from ascribe import networks, rules
from ascribe.datasets import Dataset, Split
from ascribe.errors import UserError
from ascribe.rules import AbstractRule, Backpropagation
from ascribe.training.passes import Passes
from ascribe.training.seeds import streams

from .cases import assert_identical
from .later import Later
from .training import tiny

sklearn = Later("sklearn")
model_selection, preprocessing = Later("sklearn.model_selection"), Later("sklearn.preprocessing")
estimator_checks = Later("sklearn.utils.estimator_checks")

SMALL = {"network": "4", "activation": "tanh", "batch_size": 8, "learning_rate": 0.1, "epochs": 3, "random_state": 7}
ROWS = 21  # 21 = 2 · 8 + 5: five rows sit out in every epoch


def rows(task="binary", count=ROWS, features=3, outputs=2, seed=0):
    """Inputs and targets that follow from them."""
    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(count, features)).astype(np.float32)
    drive = inputs @ np.random.default_rng(99).normal(size=(features, 3))
    if task == "regression":
        return inputs, np.tanh(drive[:, :outputs]).astype(np.float32)
    return inputs, (drive[:, 0] > 0).astype(int) if task == "binary" else drive.argmax(axis=1)


def trained(task, inputs, targets, held_out=None, select="last", **options):
    """The runs of `ascribe.train` on the same rows."""
    others = Split(inputs[:9], targets[:9]) if held_out is None else held_out
    names = {"binary": ("0", "1"), "classification": ("0", "1", "2"), "regression": ()}[task]
    data = Dataset("rows", task, Split(inputs, targets), others, others, class_names=names)
    options = SMALL | options
    text, activation, seed = (options.pop(name) for name in ("network", "activation", "random_state"))
    network = networks.build(text, input_shape=inputs.shape[1:], outputs=data.outputs, activation=activation)
    return ascribe.train(network, data, options.pop("rule"), seeds=[seed], select=select, diagnostics=False, **options)


def estimator(task, **options):
    return (ascribe.CreditRegressor if task == "regression" else ascribe.CreditClassifier)(**(SMALL | options))


# The checks of scikit-learn


CHECKED = {"network": "linear", "learning_rate": 1e-2}
"""One layer: scikit-learn's checks ask nothing of the others, and each of forty shapes compiles."""

CHEAP = (
    "check_estimator_cloneable",
    "check_estimator_tags_renamed",
    "check_valid_tag_types",
    "check_estimator_repr",
    "check_no_attributes_set_in_init",
    "check_do_not_raise_errors_in_init_or_set_params",
    "check_mixin_order",
    "check_complex_data",
    "check_parameters_default_constructible",
    "check_get_params_invariance",
    "check_set_params",
    "check_n_features_in",
)
"""These fit nothing, or once."""


@pytest.mark.parametrize("cheap", [True, pytest.param(False, marks=pytest.mark.slow)], ids=["cheap", "dear"])
@pytest.mark.parametrize("name", ["CreditClassifier", "CreditRegressor"])
def test_scikit_learn_s_checks(name, cheap):
    """All that scikit-learn has for the two; those that compile many programs are slow."""
    made, failed = getattr(ascribe, name)(**CHECKED), []
    checks = [
        (one, check)
        for one, check in estimator_checks.estimator_checks_generator(made)
        if (check.func.__name__ in CHEAP) == cheap
    ]
    assert len(checks) >= 10
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):  # as users have it
        for one, check in checks:
            try:
                check(one)
            except unittest.SkipTest:  # which some are, as in scikit-learn's own tests
                continue
            except Exception as error:
                error.add_note(f"scikit-learn's {check.func.__name__}")
                failed.append(error)
    if failed:
        raise ExceptionGroup(f"{len(failed)} of scikit-learn's checks fail", failed)


def test_a_rule_for_two_classes_says_so_to_scikit_learn():
    assert not ascribe.CreditClassifier("perceptron").__sklearn_tags__().classifier_tags.multi_class
    assert ascribe.CreditClassifier("nosuch").__sklearn_tags__().classifier_tags.multi_class
    with pytest.raises(ValueError, match=r"Only binary classification is supported .* The type of the target is"):
        estimator("classification", rule="perceptron").fit(*rows("classification"))


# The same numbers as elsewhere


@pytest.mark.parametrize(
    ("task", "rule"),
    [
        ("binary", "backpropagation"),
        ("binary", "perceptron"),
        ("binary", "forward-pass"),
        pytest.param("binary", rules.get("relaxed-identity", period=2), marks=pytest.mark.slow),
        ("classification", "kolen-pollack"),
        ("regression", "feedback-alignment"),
    ],
    ids=lambda value: str(value)[:20].partition("(")[0],
)
def test_fit_is_train(task, rule):
    """The perceptron forces its settings and finishes the network, the forward-pass rule encodes the inputs and has a
    network of its own, relaxed identity keeps something of every row and acts between epochs."""
    inputs, targets = rows(task)
    model, runs = estimator(task, rule=rule).fit(inputs, targets), trained(task, inputs, targets, rule=rule)
    fresh = rows(task, count=50, seed=1)[0]
    np.testing.assert_allclose(model.predict(fresh), runs.predict(fresh)[0], rtol=1e-10)
    np.testing.assert_allclose(model.loss_curve_, runs.train_loss[0], rtol=1e-10)
    assert model.notes_ == runs.notes[: len(model.notes_)]
    assert model.n_iter_ == SMALL["epochs"]
    if task != "regression":
        np.testing.assert_allclose(model.predict_proba(fresh), runs.probabilities(fresh)[0], rtol=1e-10)


def test_with_rows_held_out_fit_is_train_to_the_best_epoch():
    """A rate so large that the last epoch is not the best one."""
    inputs, targets = rows(count=40)
    options = {"rule": "backpropagation", "learning_rate": 1.0, "epochs": 6, "random_state": 3}
    model = estimator("binary", validation_fraction=0.4, **options).fit(inputs, targets)
    train, held_out = (
        np.sort(part)
        for part in model_selection.train_test_split(np.arange(40), test_size=0.4, random_state=3, stratify=targets)
    )
    held = Split(inputs[held_out], targets[held_out])
    runs = trained("binary", inputs[train], targets[train], held, select="best-validation", **options)
    np.testing.assert_allclose(model.predict_proba(inputs), runs.probabilities(inputs)[0], rtol=1e-10)
    np.testing.assert_allclose(model.validation_scores_, runs.validation_accuracy[0], rtol=1e-12)
    assert model.score(held.inputs, held.targets) == model.validation_scores_.max()
    assert model.validation_scores_[-1] < model.validation_scores_.max()


def test_one_full_batch_is_a_step_of_gradient_descent():
    inputs, targets = rows()
    model = estimator("binary", optimizer="sgd", batch_size=ROWS, epochs=1).fit(inputs, targets)
    began = networks.build("4", input_shape=(3,), outputs=1, activation="tanh").initialize(
        streams(jnp.asarray(7, jnp.uint32)).network
    )
    layers = [began["linear1"], began["linear2"]]
    weights, biases = ([np.asarray(getattr(one, name)) for one in layers] for name in ("weight", "bias"))
    loss, slopes, shifts = tiny.numpy_backpropagation(weights, biases, inputs, targets[:, None], "logistic")
    for name, weight, slope, bias, shift in zip(began.synaptic, weights, slopes, biases, shifts, strict=True):
        np.testing.assert_allclose(model.network_[name].weight, weight - 0.1 * slope, rtol=1e-10, atol=1e-14)
        np.testing.assert_allclose(model.network_[name].bias, bias - 0.1 * shift, rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(model.loss_curve_, [loss], rtol=1e-10)


@pytest.mark.parametrize("rule", ["sign-symmetry-batch-random", "perceptron", "forward-pass"])
def test_passes_one_by_one_are_a_fit(rule):
    inputs, targets = rows()
    model = estimator("binary", rule=rule)
    for _ in range(SMALL["epochs"]):
        model.partial_fit(inputs, targets, classes=[0, 1])
        model = pickle.loads(pickle.dumps(model))  # training goes on after a night in a file
    whole = estimator("binary", rule=rule).fit(inputs, targets)
    np.testing.assert_allclose(model.predict_proba(inputs), whole.predict_proba(inputs), rtol=1e-10)
    np.testing.assert_allclose(model.loss_curve_, whole.loss_curve_, rtol=1e-10)
    assert model.n_iter_ == whole.n_iter_ and model.notes_ == whole.notes_


def test_a_fit_goes_on_with_other_rows():
    """Another number of them, and another rate; the regressor's targets keep their columns."""
    inputs, targets = rows("regression")
    model = estimator("regression", epochs=2).fit(inputs, targets)
    longer = estimator("regression", epochs=3).fit(inputs, targets)
    before = model.predict(inputs)
    np.testing.assert_allclose(model.partial_fit(inputs, targets).predict(inputs), longer.predict(inputs), rtol=1e-10)
    model.set_params(learning_rate=1e-12).partial_fit(*rows("regression", count=13, seed=2))
    np.testing.assert_allclose(model.predict(inputs), longer.predict(inputs), rtol=1e-6)
    assert model.n_iter_ == len(model.loss_curve_) == 4
    assert not np.allclose(before, longer.predict(inputs))


def test_rows_that_fill_up_a_program_do_not_matter():
    """17 to 32 rows share a program, and 21 of them learn what `train` makes of 21 (above). In prediction a row has the same
    bits wherever it stands. Were a filled-up row looked at in training, its NaN would be everywhere."""
    experiment = tiny.experiment(tiny.mlp(), tiny.data(), Backpropagation(), 1)
    passes = Passes(experiment, 0)
    count = passes.examples
    inputs = passes.padded.train.inputs
    assert (count, len(inputs)) == (tiny.TRAIN, 32) and not inputs[count:].any()
    begun = passes.begin()
    expected, loss = passes.one(begun, 0)
    spoiled = dataclasses.replace(passes.padded.train, inputs=inputs.at[count:].set(jnp.nan))
    passes.padded = dataclasses.replace(passes.padded, train=spoiled)
    found, same = passes.one(begun, 0)
    assert same == loss
    assert_identical(found, expected)

    inputs, targets = rows(count=17)
    model, fresh = estimator("binary").fit(inputs, targets), rows(count=700, seed=1)[0]
    whole = model.predict_proba(fresh)
    for some in (slice(0, 1), slice(3, 4), slice(250, 270), slice(600, 700)):
        np.testing.assert_array_equal(model.predict_proba(fresh[some]), whole[some])


def test_a_seed_is_a_result():
    inputs, targets = rows()
    one, same, other = (estimator("binary", random_state=seed).fit(inputs, targets) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one.predict_proba(inputs), same.predict_proba(inputs))
    assert not np.array_equal(one.predict_proba(inputs), other.predict_proba(inputs))
    state = lambda: np.random.RandomState(0)
    drawn = [estimator("binary", random_state=state()).fit(inputs, targets).predict_proba(inputs) for _ in range(2)]
    np.testing.assert_array_equal(*drawn)
    estimator("binary", random_state=2**32 - 1).fit(inputs, targets)


# Inside scikit-learn


def test_labels_may_be_texts_and_columns_have_names():
    pandas = pytest.importorskip("pandas")
    inputs, targets = rows("classification")
    names = np.array(["rose", "iris", "daisy"])
    frame = pandas.DataFrame(inputs, columns=["a", "b", "c"])
    model = estimator("classification").fit(frame, names[targets])
    assert list(model.classes_) == ["daisy", "iris", "rose"] and list(model.feature_names_in_) == ["a", "b", "c"]
    proba = model.predict_proba(frame)
    assert proba.shape == (ROWS, 3) and model.n_features_in_ == 3
    np.testing.assert_array_equal(model.predict(frame), model.classes_[proba.argmax(axis=1)])
    np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-12)


@pytest.mark.slow
def test_a_pipeline_learns_the_moons_and_a_search_chooses():
    inputs, targets = sklearn.datasets.make_moons(120, noise=0.1, random_state=0)
    options = {"network": "16", "epochs": 30, "random_state": 0}
    pipeline = sklearn.pipeline.make_pipeline(preprocessing.StandardScaler(), ascribe.CreditClassifier(**options))
    choices = {
        "creditclassifier__learning_rate": [1e-9, 3e-2],
        "creditclassifier__rule": ["backpropagation", rules.FeedbackAlignment()],
    }
    search = model_selection.GridSearchCV(pipeline, choices, cv=2).fit(inputs, targets)
    assert search.best_params_["creditclassifier__learning_rate"] == 3e-2
    assert search.best_score_ > 0.85
    assert search.score(inputs, targets) > 0.9


@pytest.mark.filterwarnings("ignore:One or more of the test scores are non-finite")
def test_a_search_goes_on_after_a_candidate_that_diverged():
    inputs, targets = rows("regression", count=20)
    model = estimator("regression", optimizer="sgd", epochs=30)
    search = model_selection.GridSearchCV(model, {"learning_rate": [1e30, 0.1]}, cv=2)
    with pytest.warns(sklearn.exceptions.FitFailedWarning, match="diverged in epoch"):
        search.fit(inputs, targets)
    assert search.best_params_ == {"learning_rate": 0.1}
    assert np.isnan(search.cv_results_["mean_test_score"][0])


@pytest.mark.slow
def test_targets_in_their_own_unit():
    inputs, targets = sklearn.datasets.load_diabetes(return_X_y=True)
    model = ascribe.CreditRegressor(network="16", learning_rate=1e-2, epochs=20, random_state=0)
    scaled = sklearn.compose.TransformedTargetRegressor(
        sklearn.pipeline.make_pipeline(preprocessing.StandardScaler(), model),
        transformer=preprocessing.StandardScaler(),
    )
    assert model_selection.cross_val_score(scaled, inputs, targets, cv=2).mean() > 0.35


def test_targets_keep_their_shape():
    inputs, targets = rows("regression")
    for y in (targets, targets[:, :1], targets[:, 0]):
        found = estimator("regression").fit(inputs, y).predict(inputs)
        assert found.shape == y.shape and found.dtype == np.float64


def test_a_pickle_predicts_the_same_without_the_training_rows():
    inputs, targets = rows(count=4000)
    model = estimator("binary", rule="forward-pass", epochs=1).fit(inputs, targets)
    text = pickle.dumps(model)
    assert len(text) < inputs.nbytes / 2
    np.testing.assert_array_equal(pickle.loads(text).predict_proba(inputs), model.predict_proba(inputs))
    assert not any(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves((model.network_, model._progress.states)))


def test_a_clone_has_the_parameters_and_nothing_learned():
    model = estimator("regression", rule=rules.FeedbackAlignment(scale=0.5)).fit(*rows("regression"))
    copy = sklearn.base.clone(model)
    assert copy.rule.scale == 0.5 and copy.rule is not model.rule
    with pytest.raises(sklearn.exceptions.NotFittedError):
        copy.predict(rows()[0])


def test_a_network_may_be_a_template_or_a_factory():
    inputs, targets = rows()
    template = networks.build("4", input_shape=(3,), outputs=1, activation="tanh")
    factory = lambda key: networks.mlp([3, 4, 1], activation="tanh", key=key)
    text = estimator("binary", network="4").fit(inputs, targets)
    others = [estimator("binary", network=one, activation="relu").fit(inputs, targets) for one in (template, factory)]
    np.testing.assert_array_equal(others[0].predict_proba(inputs), text.predict_proba(inputs))
    assert others[1].network_.config() == text.network_.config()


# What does not fit together


def test_a_run_that_diverged_after_a_good_epoch_keeps_that():
    inputs, targets = rows(count=40)
    rule = tiny.Breaks(after=3 * 3)  # 24 rows are three batches: the fourth epoch
    model = estimator("binary", rule=rule, epochs=6, validation_fraction=0.4)
    with pytest.warns(sklearn.exceptions.ConvergenceWarning, match=r"diverged in epoch 4 of 6.*best epoch before"):
        model.fit(inputs, targets)
    assert model.n_iter_ == 3 and np.isfinite(model.predict_proba(inputs)).all()
    inputs, targets = rows()  # 21 of them are two batches
    with pytest.raises(UserError, match=r"diverged in epoch 4 of 6: take a smaller `learning_rate` than 0\.1"):
        model.set_params(validation_fraction=None, rule=tiny.Breaks(after=3 * 2)).fit(inputs, targets)
    with pytest.raises(sklearn.exceptions.NotFittedError):
        model.predict(inputs)


def test_a_pass_that_diverged_is_as_if_it_had_not_been():
    inputs, targets = rows()
    model = estimator("binary", rule=tiny.Breaks(after=2)).partial_fit(inputs, targets, classes=[0, 1])
    before = model.predict_proba(inputs)
    with pytest.raises(UserError, match=r"diverged in pass 2, which is not kept"):
        model.partial_fit(inputs, targets)
    np.testing.assert_array_equal(model.predict_proba(inputs), before)
    assert model.n_iter_ == len(model.loss_curve_) == 1


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"rule": "nosuch"}, "unknown rule 'nosuch'"),
        ({"network": "64xx"}, "unknown network '64xx'"),
        (
            {"activation": "relu", "network": lambda: networks.mlp([2, 4, 1])},
            "layer linear1 takes 2 numbers an example but gets the shape (3,)",
        ),
        ({"activation": "relu", "network": lambda: networks.mlp([3, 4, 3])}, "needs a network with 2 outputs; this one has 3"),
        ({"network": "lenet"}, "(3,)"),
        ({"activation": "nosuch"}, "unknown activation 'nosuch'"),
        ({"optimizer": "nosuch"}, "unknown optimizer 'nosuch'"),
        ({"learning_rate": 0}, "`learning_rate` is a positive number; got 0"),
        ({"epochs": 0}, "`epochs` is a positive integer; got 0"),
        ({"batch_size": True}, "`batch_size` is a positive integer; got True"),
        ({"validation_fraction": 1}, "`validation_fraction` is between 0 and 1, or None; got 1"),
        ({"validation_fraction": "half"}, "`validation_fraction` is a positive number; got 'half'"),
        ({"random_state": "luck"}, "'luck' cannot be used to seed"),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else ", ".join(value),
)
def test_each_bad_parameter_meets_its_sentence(changes, sentence):
    changes = {name: value() if callable(value) else value for name, value in changes.items()}
    with pytest.raises(ValueError, match=re.escape(sentence)):
        estimator("binary", **changes).fit(*rows())


@pytest.mark.parametrize(
    ("X", "y", "kind", "sentence"),
    [
        (rows()[0], np.zeros(ROWS, int), ValueError, "needs samples of at least 2 classes in the data, but the data"),
        (rows()[0], rows("regression")[1][:, 0], ValueError, "Unknown label type: continuous"),
        (rows()[0], rows("regression")[1], ValueError, "y should be a 1d array, got an array of shape (21, 2)"),
        (rows()[0][:20], rows()[1], ValueError, "inconsistent numbers of samples"),
        (rows()[0] * np.nan, rows()[1], ValueError, "Input X contains NaN"),
        (np.full((ROWS, 2), 1e300), rows()[1], ValueError, "too large for dtype('float32')"),
    ],
    ids=["one class", "numbers", "two columns", "too few", "gaps", "too large"],
)
@pytest.mark.filterwarnings("ignore:overflow encountered in cast")
def test_bad_rows_meet_scikit_learn_s_sentences(X, y, kind, sentence):
    with pytest.raises(kind, match=re.escape(sentence)):
        estimator("binary").fit(X, y)


def test_sparse_rows_are_refused():
    sparse = pytest.importorskip("scipy.sparse")
    inputs, targets = rows()
    model = estimator("binary").fit(inputs, targets)
    for act in (model.predict, lambda X: model.fit(X, targets)):
        with pytest.raises(TypeError, match="Sparse data was passed"):
            act(sparse.csr_array(inputs))
    numbers = rows("regression")[1]
    with pytest.raises(TypeError, match="Sparse data was passed"):
        estimator("regression").fit(inputs, sparse.csr_array(numbers))


def test_a_rule_that_cannot_do_the_task_is_refused():
    with pytest.raises(UserError, match=r"the rule perceptron cannot do regression \(the data\)"):
        estimator("regression", rule="perceptron").fit(*rows("regression"))


def test_partial_fit_says_what_it_cannot_do():
    inputs, targets = rows()
    with pytest.raises(ValueError, match=r"classes must be passed on the first call to partial_fit"):
        estimator("binary").partial_fit(inputs, targets)
    with pytest.raises(UserError, match="relaxed-identity keeps something of every training example"):
        estimator("binary", rule="relaxed-identity").partial_fit(inputs, targets, classes=[0, 1])
    estimator("binary", rule="relaxed-identity-transient").partial_fit(inputs, targets, classes=[0, 1])

    model = estimator("binary").partial_fit(inputs, np.zeros(ROWS, int), classes=[0, 1])
    with pytest.raises(ValueError, match=r"is not the same as on last call to partial_fit, was"):
        model.partial_fit(inputs, targets, classes=[0, 1, 2])
    with pytest.raises(ValueError, match=r"The target labels \[5\] in y do not exist in the initial classes \[0 1\]"):
        model.partial_fit(inputs, targets * 5)
    with pytest.raises(UserError, match="goes on with the `optimizer` that it began with"):
        model.set_params(optimizer="sgd").partial_fit(inputs, targets)

    model = estimator("binary", rule="forward-pass").partial_fit(np.abs(inputs), targets, classes=[0, 1])
    with pytest.raises(UserError, match="encodes these rows by split-signs, and did not need that for the first ones"):
        model.partial_fit(inputs, targets)

    inputs, targets = rows("regression")
    model = estimator("regression").partial_fit(inputs, targets)
    with pytest.raises(UserError, match="partial_fit began with 2 targets a row; got 1"):
        model.partial_fit(inputs, targets[:, 0])


class Refit(AbstractRule):
    """Backpropagation that does something after an epoch."""

    def __call__(self, network, state, batch, *, key):
        return Backpropagation()(network, state, batch, key=key)

    def after_epoch(self, trainables, state, data, *, epoch):
        return jax.tree.map(lambda leaf: leaf + 1, trainables), state


def test_a_rule_that_acts_between_epochs_does_so_in_fit_and_is_refused_on_streams():
    inputs, targets = rows()
    still = {"learning_rate": 1e-12, "optimizer": "sgd", "epochs": 3}
    weight = lambda rule: estimator("binary", rule=rule, **still).fit(inputs, targets).network_["linear1"].weight
    np.testing.assert_allclose(weight(Refit()), weight("backpropagation") + 2, rtol=1e-8)
    with pytest.raises(UserError, match="Refit keeps something"):
        estimator("binary", rule=Refit()).partial_fit(inputs, targets, classes=[0, 1])
