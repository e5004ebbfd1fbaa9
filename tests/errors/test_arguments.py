"""Wrong arguments in Python, in the package as it is installed: a sentence each, and nothing is trained."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import ascribe
from ascribe import autodiff as ad
from ascribe import losses, networks, neurons, rules
from ascribe.errors import UserError
from ascribe.training.runs import Runs

from ..training import tiny

pytestmark = pytest.mark.usefixtures("as_installed")
HUGE = 10**400


def train(**changes):
    options = {"network": tiny.mlp(), "data": tiny.data(), "rule": "backpropagation"} | tiny.WORLD | changes
    return lambda: ascribe.train(**options)


def compare(data=None, **changes):
    options = {"rules": ["backpropagation"], "network": tiny.mlp(), "tune": 0, "epochs": 1, "seeds": 1} | changes
    return lambda: ascribe.compare(tiny.data() if data is None else data, **options)


def outputs(inputs):
    """What runs on the small data say of these inputs; nothing is trained for it."""
    runs = object.__new__(Runs)
    runs.__dict__["data"] = tiny.data()
    return lambda: Runs.predict(runs, inputs)


def simulate(**changes):
    options = {"model": neurons.LIF(), "current": 2.0, "duration": 0.01} | changes
    return lambda: neurons.simulate(options.pop("model"), **options)


CASES = {
    "train of a name": (train(data="moons"), 'got str: write datasets.load("moons")'),
    "train of None": (train(data=None), "the data are an ascribe Dataset; got NoneType"),
    "compare of a name": (compare("moons"), 'got str: write datasets.load("moons")'),
    "compare of a name, all rules": (compare("moons", rules=None), 'got str: write datasets.load("moons")'),
    "network a number": (train(network=5), "a network is an ascribe Network or a factory key -> Network; got int"),
    "rule a number": (train(rule=5), "a rule is a name or an ascribe.rules.AbstractRule; got int"),
    "rules a number": (compare(rules=5), "`rules` is a list of at least one rule or name; got 5"),
    "loss a list": (train(loss=[]), "unknown loss []: choose one of"),
    "optimizer a number": (train(optimizer=5), "unknown optimizer 5: choose one of"),
    "optimizer a set": (train(optimizer={"adam"}), "unknown optimizer {'adam'}: choose one of"),
    "optimizer made": (train(optimizer=optax.sgd(0.1)), "an optimizer is a name or a factory, because the learning rate"),
    "optimizer without a rate": (train(optimizer=lambda: optax.sgd(0.1)), "an optimizer's factory takes a learning rate"),
    "optimizer of nothing": (train(optimizer=lambda rate: rate), "returns an Optax transformation, as optax.adam does"),
    "rate a text": (train(learning_rate="x"), "`learning_rate` is a positive number; got 'x'"),
    "rate too large": (train(learning_rate=HUGE), "`learning_rate` is a positive number; got 1000"),
    "half an epoch": (train(epochs=1.5), "`epochs` is a positive integer; got 1.5"),
    "too many epochs": (train(epochs=HUGE), "`epochs` is 2147483647 at most; got 1000"),
    "seeds a text": (train(seeds="x"), "`seeds` is a number of seeds or a list of them; got 'x'"),
    "select a list": (train(select=["last"]), "`select` is last or best-validation; got ['last']"),
    "score of numbers": (train(score="rmse"), "one of accuracy, balanced_accuracy, macro_f1, auc, log_loss, loss; got 'rmse'"),
    "score of a split": (compare(score="test_auc"), "`score` is what networks are judged by, for binary one of accuracy"),
    "diagnostics a text": (train(diagnostics="no"), "`diagnostics` is True or False; got 'no'"),
    "listener a number": (train(listener=5), "`listener` is called with a Progress"),
    "search a number": (compare(search=5), "`search` is a dict of ranges"),
    "load a number": (lambda: ascribe.load(5), "a record is named by a path, a str or a pathlib.Path; got int"),
    "predict a text": (outputs("x"), "inputs are finite numbers of the shape (examples, 2); got 'x'"),
    "predict None": (outputs(None), "inputs are finite numbers of the shape (examples, 2); got None"),
    "predict ragged": (outputs([[1.0], [1.0, 2.0]]), "of the shape (examples, 2); got rows of several lengths"),
    "predict complex": (outputs(np.ones((3, 2)) * 1j), "inputs are finite numbers of the shape (examples, 2); got"),
    "predict a gap": (outputs([[np.nan, 1.0]]), "got 1 that are missing (NaN) or infinite"),
    "mlp None": (lambda: networks.mlp(None), "the sizes of an MLP are at least two positive integers, input first"),
    "mlp key": (lambda: networks.mlp([2, 1], key=42), "`key` is a random key, as in jax.random.key(0); got 42"),
    "mlp activation": (lambda: networks.mlp([2, 1], activation=[]), "unknown activation []"),
    "mlp initializer": (lambda: networks.mlp([2, 1], initializer=["zeros"]), "unknown initializer ['zeros']"),
    "initialize": (lambda: tiny.mlp().initialize(jnp.ones(2)), "`key` is a random key, as in jax.random.key(0)"),
    "network of a number": (lambda: networks.Network(5), "a network is made of a list of layers"),
    "network of texts": (lambda: networks.Network(["relu"]), "a network is made of a list of layers"),
    "lenet": (lambda: networks.lenet(5), "LeNet takes images (height, width, channels)"),
    "simplenet": (lambda: networks.simplenet("x", 3), "SimpleNet takes images (height, width, channels)"),
    "dropout": (lambda: networks.Dropout("x"), "`rate` of Dropout is a probability in [0, 1); got 'x'"),
    "shift": (lambda: networks.Shift("x"), "`offset` of Shift is a finite number; got 'x'"),
    "a rule's number": (lambda: rules.FeedbackAlignment(scale="x"), "is wanted; got 'x'"),
    "a rule's ragged number": (lambda: rules.KolenPollack(decay=[[1], [1, 2]]), "is wanted; got [[1], [1, 2]]"),
    "transport": (lambda: rules.BFunction(transport=object()), "`transport` is 'random' or an array in the weight's shape"),
    "omega": (lambda: rules.MetaNetwork("x"), "omega is a list of numbers; got 'x'"),
    "constant": (lambda: rules.BFunction(derivative=HUGE), "a constant b-function is a finite number; got 1000"),
    "rules.full_name": (lambda: rules.full_name(5), "a rule's name is a text, as in 'backpropagation'; got 5"),
    "rules.describe": (lambda: rules.describe([]), "a rule's name is a text, as in 'backpropagation'; got []"),
    "losses.get": (lambda: losses.get({}), "unknown loss {}"),
    "prepare": (lambda: tiny.data().prepare([[HUGE, 1]]), "but these are no array of numbers"),
    "encode": (lambda: tiny.data().encode(5), "5"),
    "gradients of a number": (lambda: ad.gradients(5, [ad.Var(1.0)]), "derivatives are those of an expression of Vars; got 5"),
    "gradients by a number": (lambda: ad.gradients(ad.Var(1.0) * 2.0, 5), "`variables` is a list of Vars, as in [x, y]; got 5"),
    "jacobian of a number": (lambda: ad.jacobian(5), "the function of a Jacobian is called with Vars; got 5"),
    "jacobian to a number": (lambda: ad.jacobian(lambda x: 5, 1.0), "the function of a Jacobian returns a Var; got 5"),
    "check of a number": (lambda: ad.check_gradients(5, 1.0), "a function of Vars and a number or an array for each"),
    "find_nan": (lambda: ad.find_nan(None), "derivatives are those of an expression of Vars; got None"),
    "concatenate": (lambda: ad.concatenate(5), "concatenate wants a list of at least one array"),
    "rate of an optimizer": (lambda: ad.Adam("x"), "is a positive number; got 'x'"),
    "duration of a simulation": (simulate(duration=[1.0, 2.0]), "duration is one number, in seconds; got [1. 2.]"),
    "method of a simulation": (simulate(method=5), "LIF is stepped by"),
    "traces of a simulation": (simulate(record=5), "LIF has the traces"),
    "type of a simulation": (simulate(dtype="x"), "`dtype` is a floating-point type"),
    "no neurons": (simulate(current=[]), "parameters and current are for one neuron at least; got the shape (0,)"),
    "a neuron's constant": (lambda: neurons.LIF(tau_m=HUGE), "is a number or an array of numbers, in seconds; got 1000"),
    "load's noise": (lambda: ascribe.datasets.load("moons", noise=HUGE), "noise wants a finite number"),
}  # fmt: skip


@pytest.mark.parametrize(("call", "sentence"), CASES.values(), ids=CASES)
def test_a_wrong_argument_gets_a_sentence(call, sentence):
    with pytest.raises(UserError, match=re.escape(sentence)) as caught:
        call()
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith(".")


def test_keys_of_both_kinds_are_taken():
    for key in (jax.random.key(0), jax.random.PRNGKey(0)):
        assert jax.eval_shape(lambda key=key: networks.mlp([2, 1], key=key)).parameters == 3
