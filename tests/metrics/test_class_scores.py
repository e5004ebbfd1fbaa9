"""The scores of classes: beside scikit-learn with ties, missing and uneven classes, and in their limits."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ascribe.metrics import area_under_roc, balanced_accuracy, confusion_matrix, log_loss, macro_f1

from ..later import Later

metrics = Later("sklearn.metrics")

COUNT = 60
SAMPLES = {
    "two classes": (2, [0.5, 0.5], 2),
    "two uneven classes": (2, [0.95, 0.05], 2),
    "four classes": (4, [0.25, 0.25, 0.25, 0.25], 3),
    "four uneven classes": (4, [0.8, 0.1, 0.05, 0.05], 1),
    "a class that is missing": (4, [0.6, 0.3, 0.0, 0.1], 1),
    "hardly any other value than one half": (2, [0.7, 0.3], 0),
}
"""Classes, how often each is, and to how many decimals probabilities are rounded: the fewer, the more ties."""


def scores(labels, chances):
    """All scores, in one program of JAX or by NumPy."""
    confusion = confusion_matrix(labels, chances.argmax(axis=1), chances.shape[1])
    own = log_loss(chances[np.arange(len(labels)), labels])
    return confusion, balanced_accuracy(confusion), macro_f1(confusion), area_under_roc(chances, labels), own


def sample(name, seed=0):
    """Labels and probabilities that say something of them."""
    classes, shares, decimals = SAMPLES[name]
    rng = np.random.default_rng(seed)
    labels = np.append(rng.choice(classes, COUNT - classes, p=shares), np.flatnonzero(shares).repeat(classes)[:classes])
    logits = rng.normal(size=(COUNT, classes)) + 1.5 * np.eye(classes)[labels]
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    first = np.round(chances[:, :-1], decimals)  # what is left is the last one's, so that they are a distribution
    chances = np.concatenate([first, 1.0 - first.sum(axis=1, keepdims=True)], axis=1)
    assert len(np.unique(chances[:, 0])) < COUNT
    return labels, np.clip(chances, 0.0, 1.0)


@pytest.mark.parametrize("name", SAMPLES)
def test_class_scores_are_scikit_learn_s(name):
    labels, chances = sample(name)
    classes, predicted = chances.shape[1], chances.argmax(axis=1)
    with warnings.catch_warnings(action="ignore"):  # it says that a class is missing
        confusion = metrics.confusion_matrix(labels, predicted, labels=range(classes))
        balanced = metrics.balanced_accuracy_score(labels, predicted)
        f1 = metrics.f1_score(labels, predicted, average="macro")
        one_by_one = [metrics.roc_auc_score(labels == one, chances[:, one]) for one in range(classes)]
        loss = metrics.log_loss(labels, chances, labels=range(classes))
    area = one_by_one[1] if classes == 2 else np.nanmean(one_by_one)
    for found in (scores(labels, chances), jax.jit(scores)(jnp.asarray(labels), jnp.asarray(chances))):
        np.testing.assert_array_equal(found[0], confusion)
        np.testing.assert_allclose(found[1:], (balanced, f1, area, loss), rtol=1e-12)


def test_the_area_is_scikit_learn_s_one_against_the_rest():
    labels, chances = sample("four uneven classes", seed=1)
    wanted = metrics.roc_auc_score(labels, chances, multi_class="ovr", average="macro")
    np.testing.assert_allclose(scores(labels, chances)[3], wanted, rtol=1e-12)


def test_a_class_that_only_predictions_have_counts_in_f1_alone():
    labels, predicted = np.array([0, 0, 1, 1]), np.array([0, 2, 1, 1])
    found = confusion_matrix(labels, predicted, 4)
    np.testing.assert_allclose(balanced_accuracy(found), 0.75, rtol=1e-12)
    np.testing.assert_allclose(macro_f1(found), metrics.f1_score(labels, predicted, average="macro"), rtol=1e-12)
    np.testing.assert_allclose(macro_f1(found), (2 / 3 + 1 + 0) / 3, rtol=1e-12)


def test_with_as_many_examples_of_each_class_the_balanced_accuracy_is_the_accuracy():
    rng = np.random.default_rng(0)
    labels, predicted = np.arange(30) % 3, rng.integers(0, 3, 30)
    found = confusion_matrix(labels, predicted, 3)
    np.testing.assert_allclose(balanced_accuracy(found), np.mean(labels == predicted), rtol=1e-12)


def test_ranks_alone_decide_the_area():
    """One half where nothing is told apart, 1 and 0 at the ends, and the same for every rising function of the values."""
    labels, chances = sample("two uneven classes", seed=2)
    area = lambda values: float(area_under_roc(np.stack([1 - values, values], axis=1), labels))
    assert area(np.full(COUNT, 0.3)) == 0.5
    assert area(labels.astype(float)) == 1.0
    assert area(1.0 - labels) == 0.0
    assert area(chances[:, 1] ** 3) == area(chances[:, 1])
    assert np.isnan(area_under_roc(chances, np.zeros(COUNT, int)))
    assert np.isnan(balanced_accuracy(np.zeros((2, 2), int))) and np.isnan(macro_f1(np.zeros((2, 2), int)))


def test_the_area_of_many_examples_is_a_whole_number_of_pairs():
    """Of more pairs than 32 bits count, in single precision: half of them are won, the other half are ties."""
    half = 70_000
    labels = np.repeat(np.arange(2, dtype=np.int32), half)
    values = np.where((labels == 1) & (np.arange(2 * half) % 2 == 0), 0.5, 0.0).astype(np.float32)
    chances = np.stack([1 - values, values], axis=1)
    found = area_under_roc(chances, labels), jax.jit(area_under_roc)(jnp.asarray(chances), jnp.asarray(labels))
    np.testing.assert_allclose(found, 0.75, rtol=1.2e-7)


def test_the_log_loss_of_a_certain_mistake_is_finite():
    for dtype in (np.float32, np.float64):
        chances = np.asarray([1.0, 0.0], dtype)
        pair = np.stack([1 - chances, chances], axis=1)
        wanted = metrics.log_loss([1, 1], pair, labels=[0, 1])
        np.testing.assert_allclose(log_loss(chances), wanted, rtol=1e-6)
        np.testing.assert_allclose(wanted, -np.log(np.finfo(dtype).eps) / 2, rtol=1e-6)
