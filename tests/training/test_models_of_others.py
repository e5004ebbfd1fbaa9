"""Training takes models of other libraries as they are: what they are fitted to, what is told, what is refused."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import ascribe
from ascribe import networks
from ascribe.errors import UserError
from ascribe.networks import Network
from ascribe.training import network_for, template_of
from ascribe.training.model_options import options_of

from . import tiny

OPTIONS = {"seeds": 2, "tune": 0, "epochs": 1, "learning_rate": 0.1, "diagnostics": False}


class Perceptron(eqx.Module):
    layers: list

    def __init__(self, key, features: int = 2, units: int = 4, outputs: int = 1, deep: bool = False):
        sizes = [features, units, *([units] if deep else []), outputs]
        pairs = enumerate(itertools.pairwise(sizes))
        self.layers = [eqx.nn.Linear(*pair, key=jr.fold_in(key, i)) for i, pair in pairs]

    def __call__(self, x):
        for layer in self.layers[:-1]:
            x = jnp.tanh(layer(x))
        return self.layers[-1](x)


class Deciding(Perceptron):
    def __call__(self, x):
        if x.sum() > 0:
            x = 2 * x
        return super().__call__(x)


class Wide(Perceptron):
    def __call__(self, x):
        return super().__call__(x)[None]


class Several(Perceptron):
    def __call__(self, x):
        y = super().__call__(x)
        return {"logits": y, "hidden": x}


class Rounding(Perceptron):
    def __call__(self, x):
        return jnp.round(super().__call__(x)).astype(int)


class OneNumber(Perceptron):
    def __call__(self, x):
        return super().__call__(x)[0]


def test_backpropagation_through_a_model_is_that_of_the_same_network_of_ours():
    model = Perceptron(jr.key(0))
    own = networks.mlp([2, 4, 1], activation="tanh")
    weights = [leaf for layer in model.layers for leaf in (layer.weight, layer.bias)]
    own = eqx.tree_at(lambda one: [leaf for i in (0, 2) for leaf in (one.layers[i].weight, one.layers[i].bias)], own, weights)
    own = network_for(networks.from_function(lambda p, x: own.with_layers(p)(x), own.layers), tiny.data())
    both = [ascribe.train(one, tiny.data(), "backpropagation", **tiny.WORLD) for one in (model, own)]
    np.testing.assert_allclose(both[0].train_loss, both[1].train_loss, rtol=1e-12)
    (note,) = both[0].notes
    assert note.startswith("every seed starts from the weights that Perceptron came with (give its class")


def test_every_seed_of_a_class_has_its_own_weights_and_a_comparison_takes_it():
    comparison = ascribe.compare(tiny.data(), rules=["backpropagation", "feedback-alignment"], network=Perceptron, **OPTIONS)
    runs = comparison.runs["backpropagation"]
    first = jax.tree.leaves(runs.networks)[0]
    assert np.all(np.asarray(first)[0] != np.asarray(first)[1])
    assert runs.notes == ()
    assert np.any(runs.test_loss != comparison.runs["feedback-alignment"].test_loss)


@pytest.mark.parametrize(
    "given",
    [
        Perceptron,
        Perceptron(jr.key(0)),
        lambda key: Perceptron(key, units=3),
        lambda: Perceptron(jr.key(0)),
        networks.from_model(Perceptron),
        networks.Linear(2, 1),
    ],
    ids=["class", "module", "factory of a key", "factory of nothing", "block", "layer"],
)
def test_what_may_be_given(given):
    network = network_for(given, tiny.data())
    assert isinstance(network, Network)
    assert network.outputs == 1


def test_a_factory_of_networks_stays_one():
    factory = lambda key: networks.mlp([2, 3, 1], key=key)
    assert network_for(factory, tiny.data()) is factory
    assert network_for(tiny.mlp().initialize, tiny.data()) is not None


def test_images_become_vectors_for_a_model_that_takes_those_alone():
    class Pixels(eqx.Module):
        convolution: eqx.nn.Conv2d
        out: eqx.nn.Linear

        def __init__(self, key):
            self.convolution, self.out = eqx.nn.Conv2d(2, 3, 2, key=key), eqx.nn.Linear(12, 1, key=key)

        def __call__(self, x):
            return self.out(self.convolution(x).ravel())

    data = tiny.data(shape=(3, 3, 2))
    assert network_for(Pixels, data).first.shape == (3, 3, 2)
    dense = network_for(lambda key: Perceptron(key, features=18), data).first
    assert (dense.shape, dense.wants_vectors) == ((18,), True)


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        (
            lambda: Perceptron(jr.key(0), features=3),
            r"the model Perceptron takes no examples of the shape \(2,\) \(test_models",
        ),
        (
            lambda: Deciding,
            r"Deciding decides by the values of its data \(test_models.*, line \d+\): JAX traces a model once",
        ),
        (lambda: Wide, r"for those of tiny, \(2,\), Wide answers with \(batch, 1, 1\): choose another last layer"),
        (lambda: Several, "Several answers with a dict of 2 arrays: return the outputs alone"),
        (lambda: Rounding, "Rounding answers with int64: return the outputs before they are rounded"),
        (lambda: OneNumber, r"\(batch, outputs\) \(for one output too, with an axis of 1\).* answers with \(batch\)"),
        (lambda: lambda: 1 / 0, r"the model <lambda> cannot be made \(test_models.*, line \d+\): ZeroDivisionError"),
        (
            lambda: lambda key: Perceptron(key, units="four"),
            "the model <lambda> cannot be made.*: TypeError|takes a key alone",
        ),
        (lambda: lambda key: Perceptron(key, outputs=3), "needs a network with 2 outputs; this one has 3"),
        (lambda: lambda key: {}, "a network factory returns an ascribe Network; got dict"),
    ],
)
@pytest.mark.usefixtures("as_installed")
def test_what_does_not_fit_is_refused_in_a_sentence(model, sentence):
    with pytest.raises(UserError, match=sentence):
        ascribe.train(model(), tiny.data(), "backpropagation", **tiny.WORLD)


def test_images_that_a_model_does_not_take_are_told_as_it_gets_them():
    words = r"shape \(3, 3, 2\), channels first \(2, 3, 3\), nor of vectors of 18 "
    with pytest.raises(UserError, match=words):
        network_for(Perceptron, tiny.data(shape=(3, 3, 2)))


# Options


def call(key, width: int, rate: float = 0.1, deep=False, sizes: tuple[int, ...] = (), name="a", more=None):
    pass


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("width=64,rate=1", {"width": 64, "rate": 1}),
        ("deep=yes;rate=2e-1", {"deep": True, "rate": 0.2}),
        ("sizes=8+16,name=7", {"sizes": (8, 16), "name": "7"}),
        ("more=3", {"more": 3}),
    ],
)
def test_options_are_of_the_kind_of_their_annotations_and_defaults(text, expected):
    assert options_of("call", call, text) == expected


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("widht=64", "the model call has no option 'widht': did you mean width"),
        ("width=much", "the option width of the network call is an integer; got 'much'"),
        ("width=1.5", "the option width of the network call is an integer; got '1.5'"),
        ("rate=fast", "the option rate of the network call is a number; got 'fast'"),
        ("deep=2", "the option deep of the network call is yes or no; got '2'"),
        ("width", r"are written as call:NAME=VALUE,NAME=VALUE; got 'width'"),
        ("width=1,width=2", "the option width of the network call is given twice"),
    ],
)
def test_a_wrong_option_is_refused(text, sentence):
    with pytest.raises(UserError, match=sentence):
        options_of("call", call, text)


def test_a_template_of_a_network_is_itself():
    network = network_for(Perceptron, tiny.data())
    assert template_of(network) is network
