"""Layers of users: made of others, without a key, by name, and beside this package's own of the same name."""

import json

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from ascribe import networks
from ascribe.errors import UserError
from ascribe.networks import AbstractLayer, Activation, Network, from_config, registry
from ascribe.networks.layer import inner_layers
from ascribe.training.identity import fingerprint

from ..cases import assert_identical


class Skip(AbstractLayer):
    """x + f(x), f of the layers inside."""

    kind = "residual"
    inner: list

    def __init__(self, inner):
        self.inner = list(inner)

    def config(self):
        return {"inner": self.inner}

    def __call__(self, x, state=None, *, key=None, training=False):
        h = x
        for layer in self.inner:
            h, _ = layer(h, training=training)
        return x + h, state


class Linear(AbstractLayer):
    """No map at all, but a name that this package has too."""

    kind = "still"
    size: int = eqx.field(static=True)

    def config(self):
        return {"size": self.size}

    def __call__(self, x, state=None, *, key=None, training=False):
        return x, state


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    monkeypatch.setattr(registry, "_registered", {})


def network(key=None):
    """Two layers inside one inside one, and a layer called like another."""
    linear = lambda i: networks.Linear(3, 3, key=None if key is None else jr.fold_in(key, i))
    deep = Skip([linear(0), Activation("tanh"), Skip([linear(1)])])
    return Network([networks.Linear(2, 3, key=key), deep, Linear(3), networks.Linear(3, 1, key=key)])


def test_a_structure_has_the_layers_inside_a_layer():
    config = json.loads(json.dumps(network().config()))
    inside = config[1]["inner"]
    assert [entry["layer"] for entry in config] == ["Linear", "Skip", "own.Linear", "Linear"]
    assert [entry["layer"] for entry in inside] == ["Linear", "Activation", "Skip"]
    assert inside[2]["inner"][0]["fan_out"] == 3
    assert list(map(type, inner_layers(network()["residual1"]))) == [
        networks.Linear,
        Activation,
        Skip,
        networks.Linear,
    ]


def test_a_structure_is_built_where_its_layers_are_registered():
    config = json.loads(json.dumps(network().config()))
    with pytest.raises(UserError, match=r"no class is known here for the layers Skip, own\.Linear: register it"):
        from_config(config)
    assert networks.register_layer(Skip) is Skip
    with pytest.raises(UserError, match=r"for the layer own\.Linear: register it, as in .*register_layer\(Linear\)"):
        from_config(config)
    networks.register_layer(Linear)
    built = from_config(config)
    assert jax.tree.structure(built) == jax.tree.structure(network())
    assert type(built["linear1"]) is networks.Linear and type(built["still1"]) is Linear


def test_this_package_s_own_layers_stay_what_they_are():
    before = dict(networks.LAYERS)
    for layer in (Linear, networks.Linear):
        networks.register_layer(layer)
    assert before == networks.LAYERS
    assert type(from_config(networks.mlp([2, 1]).config())["linear1"]) is networks.Linear


def test_every_layer_inside_is_drawn_anew():
    template = network()
    first, again, second = (template.initialize(jr.key(seed)) for seed in (0, 0, 1))
    assert_identical(first, again)
    drawn = [leaf for leaf in jax.tree.leaves(first["residual1"]) if leaf.ndim == 2]
    assert len(drawn) == 2 and not np.array_equal(*drawn)
    others = [leaf for leaf in jax.tree.leaves(second["residual1"]) if leaf.ndim == 2]
    assert not any(np.array_equal(one, other) for one, other in zip(drawn, others, strict=True))
    np.testing.assert_array_equal(first["linear2"].weight, template.initialize(jr.key(0))["linear2"].weight)


def test_a_layer_of_layers_is_what_it_says():
    made = network(jr.key(3))
    outer, inner = made["residual1"].inner[0], made["residual1"].inner[2].inner[0]
    x = jnp.linspace(-1, 1, 12).reshape(4, 3)
    dense = lambda layer, x: x @ layer.weight.T + layer.bias[None]
    h = jnp.tanh(dense(outer, x))
    np.testing.assert_allclose(made["residual1"](x)[0], x + h + dense(inner, h), rtol=1e-6)


def test_the_source_of_users_layers_is_told():
    found = registry.sources(network())
    assert set(found) == {"Skip", "own.Linear"}
    assert found["Skip"]["file"] == "test_registry.py" and "class Skip(AbstractLayer)" in found["Skip"]["source"]
    assert registry.sources(networks.mlp([2, 3, 1])) == {}


def test_a_run_is_known_by_the_layers_inside_a_layer():
    kinds = registry.layer_classes(network())
    assert kinds == [networks.Linear, Skip, Activation, Linear]
    assert len({str(fingerprint(kind)) for kind in kinds}) == 4
