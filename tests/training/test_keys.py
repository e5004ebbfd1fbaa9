"""What a run is kept under: whatever decides what becomes of it makes another key. Nothing is trained here."""

import dataclasses
import importlib.metadata

import jax
import numpy as np
import pytest

from ascribe import losses, networks
from ascribe.checksums import checksum
from ascribe.rules import AbstractRule, Backpropagation
from ascribe.training import Identity, Setup, Specification, fingerprint, optimizers, source

from . import tiny

RUN = Specification(0, 0.1)


def identity(dataset=None, network=None, rule=None, name="any name", width=2, **settings):
    """The identity of a recipe that differs from that of `identity()` in what is given."""
    recipe = tiny.recipe(network or tiny.mlp(), dataset or tiny.data(), rule or Backpropagation(), name=name, width=width)
    return Identity(dataclasses.replace(recipe, setup=dataclasses.replace(recipe.setup, **settings)))


def key(**changes):
    """What the run's state is kept under, whatever the number of epochs."""
    return identity(**changes).key(RUN)


@pytest.fixture(scope="module")
def plain():
    """Its key is made here: later, a test may have changed what it is made of."""
    made = identity()
    assert made.key(RUN) and made.about
    return made


class Restless(AbstractRule):
    """It acts between the epochs, and so not after the last one."""

    def __call__(self, network, state, batch, *, key):
        return Backpropagation()(network, state, batch, key=key)

    def after_epoch(self, trainables, state, data, *, epoch):
        return trainables, state


class Quiet(AbstractRule):
    """The same without acting."""

    def __call__(self, network, state, batch, *, key):
        return Backpropagation()(network, state, batch, key=key)


# A loss of the same name:
ANOTHER_LOSS = dataclasses.replace(losses.BERNOULLI_CROSS_ENTROPY, cost_gradient=lambda y, t: 2 * (y - t))
OTHER_SETTINGS = {
    "optimizer": "momentum",
    "loss": ANOTHER_LOSS,
    "batch_size": 7,
    "select": "best-validation",
    "diagnostics": True,
    "quality": 4,
    "only": "linear1",
    "score": "auc",
    "augmentations": ("random-flip",),
    "black": (0.5,),
}


@pytest.mark.parametrize(
    "changes",
    [
        {"optimizer": {"network": "sgd", "feedback": "adam"}},
        *({name: value} for name, value in OTHER_SETTINGS.items()),
        {"rule": Quiet()},
        {"dataset": tiny.data(seed=1)},
        {"network": tiny.mlp(activation="relu")},
        {"network": lambda key: networks.mlp([2, 3, 1], activation="tanh", key=key)},
    ],
    ids=", ".join,
)
def test_what_decides_a_run_makes_another_key(changes, plain):
    assert key(**changes) != plain.key(RUN)


def test_the_unit_of_the_targets_is_in_the_key():
    """Scores are in it, and nothing that is trained."""
    data, network = tiny.data("regression"), tiny.mlp()
    other = dataclasses.replace(data, target_scale=2 * np.asarray(data.target_scale))
    assert other.checksum == data.checksum
    assert key(dataset=other, network=network) != key(dataset=data, network=network)


def test_seed_rate_and_tuned_numbers_are_in_the_key(plain):
    runs = [RUN, Specification(1, 0.1), Specification(0, 0.2)]
    runs += [Specification(0, 0.1, ((name, value),)) for name in ("scale", "decay") for value in (1.0, 2.0)]
    assert len({plain.key(one) for one in runs}) == len(runs)


def test_the_precision_is_in_the_key(plain):
    with jax.enable_x64(False):
        assert key() != plain.key(RUN)


def test_the_name_and_the_number_of_runs_at_a_time_are_not(plain):
    other = identity(name="another name", width=4)
    assert plain.key(RUN) == other.key(RUN)


def test_epochs_are_in_the_key_of_a_state_where_the_rule_acts_between_them(plain):
    assert key(rule=Restless(), epochs=2) != key(rule=Restless(), epochs=3)
    assert key(epochs=2) == plain.key(RUN)  # of three epochs
    assert plain.key(RUN, epochs=2) != plain.key(RUN, epochs=3)


def test_the_shape_of_an_array_is_in_its_fingerprint():
    assert fingerprint(np.zeros((2, 3))) != fingerprint(np.zeros((3, 2)))
    assert fingerprint(np.zeros(2)) != fingerprint(np.zeros((1, 2)))


def test_numbers_that_differ_in_the_last_bit_have_other_fingerprints():
    for value in (0.1, 1e-30, 1e30):
        assert fingerprint(value) != fingerprint(float(np.nextafter(value, 1)))


def test_a_key_does_not_depend_on_the_order_of_its_parts():
    assert checksum({"rate": 1, "seed": 2}) == checksum({"seed": 2, "rate": 1}) != checksum({"seed": 1, "rate": 2})


def test_the_task_s_main_measure_is_the_same_by_its_name():
    """Asked for or not: nothing is trained twice for it."""
    plain, named, dashed = (tiny.recipe(tiny.mlp(), tiny.data(), score=one).setup for one in (None, "accuracy", "log-loss"))
    assert plain == named and dashed.score == "log_loss"


def test_no_setting_is_forgotten_here():
    """Seed, rate and epochs are in the key of every run; on how many devices it is trained changes nothing."""
    apart = {"learning_rate", "epochs", "devices_per_run"}
    assert {field.name for field in dataclasses.fields(Setup)} == OTHER_SETTINGS.keys() | apart
    assert key(learning_rate=0.7) == key(devices_per_run=2) == key(epochs=9) == key()


def test_the_source_is_in_the_key_and_told(plain, monkeypatch):
    monkeypatch.setattr(source, "common", lambda: "another")
    other = identity()
    assert other.key(RUN) != plain.key(RUN)
    assert len(plain.about["source"]) == 12
    assert other.about["source"] != plain.about["source"]
    assert {**other.about, "source": None} == {**plain.about, "source": None}


@pytest.mark.parametrize("package", ["jax", "jaxlib", "equinox", "optax"])
def test_the_version_of_what_computes_is_in_the_key_and_told(plain, package, monkeypatch):
    versions = dict(source.packages())
    assert versions[package] == importlib.metadata.version(package)
    monkeypatch.setattr(source, "packages", lambda: tuple((versions | {package: "0.0"}).items()))
    other = identity()
    assert other.key(RUN) != plain.key(RUN)
    assert other.about["source"] != plain.about["source"]


@pytest.mark.parametrize(
    "module", ["networks.dropout", "rules.backpropagation", "losses", "training.optimizers", "networks.mlp"]
)
def test_what_it_is_made_of_is_known_by_its_source(module, monkeypatch):
    def made():
        layers = [networks.Linear(2, 3), networks.Dropout(0.5), networks.Linear(3, 1)]
        if module == "networks.mlp":
            return key(network=lambda key: networks.mlp([2, 3, 1], key=key))
        return key(network=networks.Network(layers), optimizer=optimizers.OPTIMIZERS["rprop"])

    digest, before = source.digest, made()
    assert made() == before
    monkeypatch.setattr(source, "digest", lambda one: digest(one) + "." * (one == f"ascribe.{module}"))
    assert made() != before
