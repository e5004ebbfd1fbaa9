"""Wrong arguments in Python, in the package as it is installed: a sentence each, and nothing is trained."""

import re

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import ascribe
from ascribe import autodiff as ad
from ascribe import losses, networks, neurons, rules, search, statistics
from ascribe.errors import UserError
from ascribe.training.runs import Runs
from ascribe.training.seeds import check_seeds

from ..training import tiny

pytestmark = pytest.mark.usefixtures("as_installed")
HUGE = 10**400
Module = type("Module", (), {"__module__": "keras.models", "__call__": lambda self, x: x @ x, "__repr__": lambda _: "Module()"})


class Sized(networks.AbstractLayer):
    """A layer that keeps its size where weights are."""

    size: int

    def config(self):
        return {"size": self.size}

    def __call__(self, x, state=None, *, key=None, training=False):
        return x, state


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


TRAIN = neurons.SpikeTrain([0.1, 0.2, 0.4], [2, 0, 1], duration=0.5)


def sparse(**changes):
    return neurons.Connection.sparse(**({"targets": [[1], [0]], "weights": 2.0, "post": 2} | changes))


def surrogate(currents, **options):
    network = neurons.SpikingNetwork(neurons.LIF(), neurons.Connection(np.eye(2)))
    return neurons.surrogate_spikes(network, currents, **options)


CASES = {
    "train of an unknown name": (train(data="moon"), "unknown data set 'moon': did you mean 'moons'"),
    "train of None": (train(data=None), "data are a name, a path, a data frame or a pair (inputs, targets); got None"),
    "compare of one array": (compare(np.zeros((900, 3))), "got one array of the shape (900, 3): give a pair"),
    "compare of three arrays": (compare([[0.0] * 90] * 3), "a data frame or a pair (inputs, targets); got [[0.0, 0.0,"),
    "compare of unequal arrays": (
        compare((np.zeros((900, 3)), np.zeros(899))),
        "as many rows of inputs as targets, at least one; got the shapes (900, 3) and (899,)",
    ),
    "compare of ragged arrays": (compare(([[1.0], [1.0, 2.0]] * 9, [0, 1] * 9)), "inputs that are one array"),
    "network a number": (train(network=5), "a factory key -> Network; got 5: write \"5\" for hidden layer"),
    "network an Equinox module": (
        train(network=eqx.nn.MLP(3, 1, 3, 1, key=jax.random.key(0))),
        "the model MLP takes no examples of the shape (2,): ",
    ),
    "network a Keras model": (
        compare(network=Module()),
        "got Module() of Keras: write any other as a function of its parameters, with ascribe.networks.from_function",
    ),
    "a network's layer of Equinox": (
        lambda: networks.Network([eqx.nn.Linear(2, 1, key=jax.random.key(0))]),
        "a layer of your own derives from ascribe.networks.AbstractLayer",
    ),
    "network of no file": (train(network="./nowhere.py:make"), "there is no file './nowhere.py': write the path"),
    "network of a file without a name": (train(network="./nowhere.py"), "is PATH.py:NAME, as in ./my_network.py:make; got"),
    "network a wrong text": (train(network="3xx1"), "unknown network '3xx1'"),
    "network with its inputs": (train(network=[2, 3, 1]), 'got [2, 3, 1]: write "3", which names hidden layers alone'),
    "network a list": (train(network=[2, 3, 1]), "a network is a text as in '64x64'"),
    "a layer that is none": (lambda: networks.register_layer(5), "derives from ascribe.networks.AbstractLayer; got 5"),
    "a rule's unknown option": (lambda: rules.get("fa:strength=1"), "the rule fa has no option 'strength': it has scale"),
    "an option without a value": (lambda: rules.get("fa:scale"), "are written as fa:NAME=VALUE,NAME=VALUE; got 'scale'"),
    "an option twice": (lambda: rules.get("fa:scale=1;scale=2"), "the option scale of the rule fa is given twice"),
    "an option outside its interval": (lambda: rules.get("fa:scale=-1"), "`scale` is a number in (0, inf); got -1"),
    "an option that is no number": (lambda: rules.get("dfa:scale=big"), "`scale` is a number in (0, inf); got 'big'"),
    "network of sizes": (compare(network=(8, 4)), 'got (8, 4): write "8x4" for hidden layers'),
    "network of one size": (train(network=np.int64(6)), ': write "6" for hidden layer'),
    "concatenate without an axis": (lambda: ad.concatenate([ad.Var([1.0])], axis=None), "`axis` of concatenate is the number"),
    "Adam a text": (lambda: ad.Adam("0.1"), "`rate` is a positive number; got '0.1'"),
    "Adam's decay a text": (lambda: ad.Adam(0.1, "0.9"), "`decay` is a number from 0 to below 1; got '0.9'"),
    "momentum of 1": (lambda: ad.Momentum(0.1, 1.0), "`momentum` is a number from 0 to below 1; got 1.0"),
    "Hessian by no list": (lambda: ad.hessian_vector_product(ad.Var(1.0), 3.0, []), "is a list of Vars, as in [x, y]; got 3.0"),
    "rate a text of a number": (train(learning_rate="0.1"), "`learning_rate` is a positive number; got '0.1'"),
    "rate true": (train(learning_rate=True), "`learning_rate` is a positive number; got True"),
    "seeds of halves": (train(seeds=np.array([0.5, 1.0])), "every seed is an integer from 0 to"),
    "seeds of two axes": (train(seeds=np.zeros((2, 2), int)), "`seeds` is a number of seeds or a list of them; got array"),
    "a layer of True": (lambda: networks.Linear(True, 2), "`fan_in` of Linear is a positive integer; got True"),
    "a pool of True": (lambda: networks.MaxPool2d(True), "`window` of MaxPool2d is a positive integer; got True"),
    "BatchNorm's momentum a text": (lambda: networks.BatchNorm(2, momentum="0.9"), "`momentum` of BatchNorm is a number"),
    "search without a seed": (
        lambda: ascribe.search.suggest(np.zeros((0, 2)), np.zeros(0), 1, seed=None),
        "`seed` is an integer that is not negative; got None",
    ),
    "search half a point": (
        lambda: ascribe.search.suggest(np.zeros((0, 2)), np.zeros(0), 1.5, seed=0),
        "`count` is a positive integer; got 1.5",
    ),
    "search of texts": (
        lambda: ascribe.search.suggest([["a", "b"]], [0.0], 1, seed=0),
        "`x` is an array of points, (points, dimensions); got [['a', 'b']]",
    ),
    "Gaussian process of texts": (lambda: ascribe.search.condition([[0.5]], ["a"], 0.3, 0.1), "`y` is one number for each of"),
    "Gaussian process, noise a text": (
        lambda: ascribe.search.condition([[0.5]], [1.0], 0.3, "0.1"),
        "`noise` is a positive number; got '0.1'",
    ),
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
    "Jacobian by nothing": (lambda: ad.jacobian(np.tanh), "a Jacobian is by at least one input"),
    "gradients with an array for a word": (
        lambda: ad.gradients(ad.Var(1.0), [ad.Var(2.0)], missing=np.zeros(3)),
        "`missing` is one of error, zero; got array([0., 0., 0.])",
    ),
    "about no name": (lambda: rules.about(True, {}), "a rule's name is a text, as in 'backpropagation'; got True"),
    "about no settings": (lambda: rules.about("mine", int), "settings"),
    "listener a number": (train(listener=5), "`listener` is called with a Progress"),
    "listener of no argument": (train(listener=lambda: None), "`listener` is called with a Progress"),
    "listener a class": (train(listener=dict), "`listener` is called with a Progress"),
    "a random search that is an array": (
        lambda: ascribe.discover("digits", random_search=np.zeros((2, 2))),
        "`random_search` is True or False; got array([[0., 0.]",
    ),
    "biases no": (lambda: networks.mlp([2, 2], bias="no", key=jax.random.key(0)), "`bias` is True or False; got 'no'"),
    "connected to itself no": (lambda: neurons.random_connection(2, 2, 1.0, 1.0, own="no"), "`own` is True or False; got 'no'"),
    "store an empty text": (compare(store=""), "a store is named by a path; got an empty text: write ."),
    "options of a model that are no mapping": (
        lambda: networks.from_model("net", options=np.ones(2)),
        "`options` are arguments by their names, as in {'width': 16}; got array([1., 1.])",
    ),
    "a band of words": (lambda: statistics.band("x", range(3)), "a band is drawn of numbers (runs, …)"),
    "a layer that is an array": (lambda: tiny.mlp()[np.array([np.nan, 1.0])], "has no layer array([nan, 1.])"),
    "a search over too many numbers": (
        lambda: search.Space("relu1", hidden=7067),
        "a search is over at most 21201 numbers, for which there are Sobol sequences; a meta-network of 7067 hidden "
        "neurons has 21202: take at most 7066",
    ),
    "search a number": (compare(search=5), "`search` is a dict of ranges"),
    "load a number": (lambda: ascribe.load(5), "a record is named by a path, a str or a pathlib.Path; got int"),
    "predict a text": (outputs("x"), "inputs are finite numbers of the shape (examples, 2); got 'x'"),
    "predict masked": (outputs(np.ma.masked_array(np.ones((3, 2)), mask=np.eye(3, 2))), "got 2 that are missing (NaN)"),
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
    "a layer's plain number": (
        lambda: networks.Network([networks.Linear(2, 3), Sized(3)]),
        "the layer Sized has 3 as its size, where weights are looked for: declare what is no weight as `size: int = eqx.field(",
    ),
    "one of a network's layers": (
        lambda: networks.Network([networks.Linear(2, 3), "relu"]),
        "got 'relu' among them: a layer of your own derives from",
    ),
    "network of texts": (lambda: networks.Network(["relu"]), "a network is made of a list of layers"),
    "lenet": (lambda: networks.lenet(5), "LeNet takes images (height, width, channels)"),
    "simplenet": (lambda: networks.simplenet("x", 3), "SimpleNet takes images (height, width, channels)"),
    "dropout": (lambda: networks.Dropout("x"), "`rate` of Dropout is a number from 0 to below 1; got 'x'"),
    "shift": (lambda: networks.Shift("x"), "`offset` of Shift is a finite number; got 'x'"),
    "a rule's number": (lambda: rules.FeedbackAlignment(scale="x"), "`scale` is a number in (0, inf); got 'x'"),
    "a rule's ragged number": (lambda: rules.KolenPollack(decay=[[1], [1, 2]]), "`decay` is a number in [0, 1); got [[1],"),
    "transport": (lambda: rules.BFunction(transport=object()), "`transport` is 'random' or an array in the weight's shape"),
    "omega": (lambda: rules.MetaNetwork("x"), "omega is a list of numbers; got 'x'"),
    "constant": (lambda: rules.BFunction(derivative=HUGE), "a constant b-function is a finite number; got 1000"),
    "rules.full_name": (lambda: rules.full_name(5), "a rule's name is a text, as in 'backpropagation'; got 5"),
    "rules.describe": (lambda: rules.describe([]), "a rule's name is a text, as in 'backpropagation'; got []"),
    "losses.get": (lambda: losses.get({}), "unknown loss {}"),
    "prepare": (lambda: tiny.data().prepare([[HUGE, 1]]), "got no array of numbers"),
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
    "segments as lists": (simulate(current=[[0.1, 0.5], [0.1, 2.0]]), "could be segments, or an array of neurons: try tuples"),
    "time before the start": (lambda: neurons.LIF().voltage(-0.5, 1.5), "t is 0 at least, in seconds; got -0.5"),
    "no channel": (lambda: neurons.HodgkinHuxley(g_Na=0, g_K=0, g_L=0), "g_L at least is above 0: all of them are 0"),
    "pieces": (
        lambda: neurons.simulate(neurons.SpikingNetwork(neurons.LIF(), neurons.Connection([[0.0]]), 1e-12), 1.0, 0.1),
        "pieces of the model's shortest time constants: take a shorter duration, or longer time constants",
    ),
    "cells that do not fit together": (
        lambda: neurons.LIF(tau_m=[0.01, 0.02], V_th=[1.0, 2.0, 3.0]),
        "arrays for the same neurons; got the shapes (2,) for tau_m, (3,) for V_th",
    ),
    "membranes that do not fit together": (
        lambda: neurons.LIF.membrane([1.0, 2.0], [0.1, 0.2, 0.3], -70.0, -50.0, 0.002),
        "got the shapes (2,) for C, (3,) for g_L",
    ),
    "channels that do not fit together": (
        lambda: neurons.HodgkinHuxley(g_K=[36.0, 30.0], g_L=[0.3, 0.2, 0.1]),
        "got the shapes (2,) for g_K, (3,) for g_L",
    ),
    "potentials that do not fit together": (
        lambda: neurons.HodgkinHuxley(C=[1.0, 2.0], V_shift=[0.0, 1.0, 2.0]),
        "got the shapes (2,) for C, (3,) for V_shift",
    ),
    "gates at no voltage": (
        lambda: neurons.HodgkinHuxley().gates("rest"),
        "V is a number or an array of numbers, in mV; got 'rest'",
    ),
    "samples of a simulation": (simulate(record_every=2.0), "`record_every` is a positive integer; got 2.0"),
    "a trace of a recording": (lambda: simulate()()[["V"]], "['V'] was not recorded; there is V; name it in `record`"),
    "current in complex numbers": (
        simulate(current=lambda t: np.array([2.0 + t * 1j])),
        "or one for each neuron; it gave array([2.",
    ),
    "order of a filter": (
        lambda: neurons.PostSynapticFilter(order=np.float32(2)),
        "`order` is an integer that is not negative; got np.float32(2.0)",
    ),
    "constants of a filter": (
        lambda: neurons.PostSynapticFilter([[0.1], []]),
        "is a number or an array of numbers, in seconds",
    ),
    "constants of a network": (
        lambda: neurons.SpikingNetwork(neurons.LIF(), neurons.Connection([[0.0]]), [0.01, 0.02]),
        "one time constant of its synapses; got 2 for tau_s",
    ),
    "weights of a filter": (
        lambda: neurons.PostSynapticFilter().filter(TRAIN, 0.01, weights=[1.0, 2.0]),
        "`weights` is one number, or one for each of the 3 neurons; got the shape (2,)",
    ),
    "what a filter hears": (lambda: neurons.PostSynapticFilter().filter([0.1, 0.3], 0.01), "is a SpikeTrain; got [0.1, 0.3]"),
    "steps of a filter": (
        lambda: neurons.PostSynapticFilter().filter(TRAIN, [0.1, 0.2]),
        "dt is one number, in seconds; got [0.1 0.2]",
    ),
    "neurons of spikes": (
        lambda: neurons.SpikeTrain([0.1, 0.3], [[0], [1, 2]], duration=1),
        "2 times and the neurons [[0], [1, 2]]",
    ),
    "neurons of spikes as fractions": (lambda: neurons.SpikeTrain([0.1], [0.5], duration=1), "1 times and the neurons [0.5]"),
    "size of a train": (
        lambda: neurons.SpikeTrain([0.1], duration=1, size="2"),
        "`size` is an integer that is not negative; got '2'",
    ),
    "a neuron's number": (lambda: TRAIN.of(1.5), "neurons are numbered from 0 to 2; got 1.5"),
    "width of a raster": (lambda: TRAIN.raster(np.zeros((2, 2))), "dt has to be above 0, in seconds; got [[0. 0.] [0. 0.]]"),
    "targets in no list": (
        lambda: sparse(targets=np.array(1)),
        "one list of whole numbers for each sending neuron; got array(1)",
    ),
    "targets of targets": (
        lambda: sparse(targets=[[1], [[0, 1], 2]]),
        "whole numbers for each sending neuron; got [[1], [[0, 1], 2]]",
    ),
    "one weight a neuron": (lambda: sparse(weights=[2.0, 3.0]), "the lists of targets and weights differ in length"),
    "weight of all": (
        lambda: sparse(weights=np.array(np.inf)),
        "the weights has to be finite, in what a spike is worth; got inf",
    ),
    "receivers": (lambda: sparse(post=2.5), "`post` is a positive integer; got 2.5"),
    "receivers beyond count": (lambda: sparse(post=HUGE), "`post` is 2,147,483,647 at most; got 1000"),
    "probability of a connection": (lambda: neurons.random_connection(3, 3, [0.5], 1.0), "is a number from 0 to 1; got [0.5]"),
    "activities of senders": (lambda: neurons.Connection(np.eye(2))([1.0, 2.0, 3.0]), "activities have the shape (…, 2)"),
    "surrogate of ragged currents": (
        lambda: surrogate([[1.0, 2.0], [1.0]]),
        "currents are real numbers of the shape (steps, 2); got [[1.",
    ),
    "surrogate of complex currents": (
        lambda: surrogate([[1j, 2.0]]),
        "currents are real numbers of the shape (steps, 2); got [[1j",
    ),
    "surrogate of one current": (lambda: surrogate(3.0), "currents have the shape (steps, 2); got ()"),
    "surrogate in many steps": (
        lambda: surrogate([[1.0, 2.0]], dt=[1e-3, 1e-4]),
        "dt is one number, in seconds; got [0.001 0.0001]",
    ),
    "surrogate by no function": (lambda: surrogate([[1.0, 2.0]], derivative="step"), "unknown activation 'step'"),
    "seed of a Poisson train": (
        lambda: neurons.poisson_spikes(10.0, 1.0, seed=-3),
        "`seed` is an integer that is not negative; got -3",
    ),
    "durations of a Poisson train": (
        lambda: neurons.poisson_spikes(10.0, [1.0, 2.0]),
        "duration is one number, in seconds; got [1. 2.]",
    ),
    "no neurons": (simulate(current=[]), "parameters and current are for one neuron at least; got the shape (0,)"),
    "a neuron's constant": (lambda: neurons.LIF(tau_m=HUGE), "is a number or an array of numbers, in seconds; got 1000"),
    "load's noise": (lambda: ascribe.datasets.load("moons", noise=HUGE), "`noise` is a finite number"),
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


def numbers(kind):
    """Public calls with this kind's numbers where Python's are wanted."""
    one, two, tenth = kind(1), kind(2), np.float32(0.5) if kind is np.int64 else jnp.float32(0.5)
    return {
        "layers": lambda: networks.mlp([one, two, kind(3)]).parameters,
        "convolution": lambda: networks.Conv2d(one, two, two, stride=one, padding=one).weight.shape,
        "others": lambda: [
            networks.MaxPool2d(two).window,
            networks.BatchNorm(two, momentum=tenth).momentum,
            networks.Dropout(tenth).rate,
            networks.Shift(tenth).offset,
        ],
        "seeds": lambda: [check_seeds(two), check_seeds([one, two]), check_seeds(np.arange(3)[one:])],
        "settings": lambda: tiny_settings(epochs=two, batch_size=one),
        "rule": lambda: rules.get("finite-differences", limit=two).limit,
        "statistics": lambda: [
            statistics.seeds_needed(tenth, tenth),
            statistics.power(tenth, tenth, two, level=tenth),
            statistics.epochs_to_target([[0.0, 1.0]], tenth),
        ],
        "search": lambda: ascribe.search.suggest(np.zeros((0, 2)), np.zeros(0), two, seed=one).tolist(),
        "neurons": lambda: [
            simulate(record_every=kind(20))().V.tolist(),
            neurons.PostSynapticFilter(0.01, two).order,
            neurons.poisson_spikes(tenth * 20, tenth, seed=two).times.tolist(),
            neurons.SpikeTrain([0.1], [one], duration=one, size=kind(3)).counts().tolist(),
            TRAIN.of(two).tolist(),
            neurons.Connection.sparse([[one], []], tenth, two).matrix().tolist(),
            neurons.random_connection(kind(3), two, tenth, 1.0, seed=one).targets.tolist(),
        ],
        "autodiff": lambda: [
            ad.Adam(tenth).rate,
            ad.Dense(one, two).weights.shape,
            ad.approximate(np.sin, (0, 1), tenth).hidden,
        ],
        "graph": lambda: str(ad.graph(ad.Var(1.0) + 2.0, limit=two)),
    }


def tiny_settings(**given):
    made = tiny.recipe(tiny.mlp(), tiny.data(), **given).setup
    return [(type(number), number) for number in (made.epochs, made.batch_size)]


@pytest.mark.parametrize("name", numbers(np.int64))
def test_numbers_of_numpy_and_jax_are_taken_where_python_s_are(name):
    expected = {**numbers(int)}[name]()
    for kind in (np.int64, np.uint8, jnp.int32):
        assert numbers(kind)[name]() == expected
