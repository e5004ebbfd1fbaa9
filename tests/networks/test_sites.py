"""What is found inside layers: synaptic sites, activations, cuts between blocks, and where the examples are."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from ascribe.jaxprs import trace
from ascribe.networks import Activation, Conv2d, Linear, Network, Residual, from_function, from_model
from ascribe.networks.curves import KNOWN, curves_of
from ascribe.networks.sites import block_of, parameter_names

from .. import models


def located(apply, shape, below=False, **parameters):
    """The network of a function with parameters of these shapes; `below`: behind a dense layer."""
    layers = [from_function(apply, models.drawn(**parameters))]
    lower = [Linear(shape[-1], shape[-1])] if below else []
    return Network([*lower, *layers]).located(shape)


# Names


@pytest.mark.parametrize(
    ("tree", "names"),
    [
        ({"attention": {"query": {"weight": 1, "bias": 2}}}, ["attention/query/bias", "attention/query"]),
        ({"dense": {"kernel": 1}, "out": {"w": 1, "b": 1}}, ["dense", "out/b", "out"]),
        ([{"w": 1}, {"w": 2}], ["0", "1"]),
        ({"weight": 1}, ["weight"]),
        ({"a": {"weight": 1, "kernel": 2}}, ["a/kernel", "a/weight"]),
        ({"layers.0.weight": 1, "layers.1.weight": 2}, ["layers/0", "layers/1"]),
        ({"parameters": {"up": 1}, "b": 2}, ["b", "up"]),
        ((1, (2, 3)), ["0", "1/0", "1/1"]),
    ],
)
def test_a_parameter_is_called_by_its_path(tree, names):
    assert parameter_names(tree) == names
    assert len(set(parameter_names(tree))) == len(names)


def test_sites_are_called_by_their_parameters_in_the_order_in_which_they_are_met():
    network = models.network_of("transformer")
    inner = [
        "attention/query_proj",
        "attention/key_proj",
        "attention/value_proj",
        "attention/output_proj",
        "up",
        "down",
    ]
    assert list(network.synaptic) == ["embed", *(f"blocks/{i}/{name}" for i in (0, 1) for name in inner), "head"]
    assert network.transported == network.synaptic[1:]
    assert [one.name for one in network.activations] == ["blocks/0/up/gelu-tanh", "blocks/1/up/gelu-tanh"]
    head = network["head"]
    assert head.weight.shape == (3, 4) and (head.fan_in, head.fan_out, head.outputs) == (4, 3, 3)
    assert network.outputs == 3


def test_names_are_the_same_for_other_numbers_and_another_batch_and_found_once():
    network = models.network_of("gru")
    fresh = Network(network.layers)
    other = jax.tree.map(lambda leaf: leaf + 1, fresh).located((12, 2))
    assert other.inside is network.inside and other.located((12, 2)) is other
    assert network.like(other) is network
    assert jax.eval_shape(lambda n: n.located((12, 2)), fresh).inside is network.inside
    longer = other.located((5, 2))
    assert longer.synaptic == network.synaptic and longer.inside != network.inside


def test_a_layer_s_name_comes_first_where_there_are_several():
    inner = [Linear(4, 4), Activation("relu"), Linear(4, 4)]
    network = Network([Linear(3, 4), Residual(inner), Residual(inner), Linear(4, 2)]).located((3,))
    names = [f"residual{i}/branch/linear{j}" for i in (1, 2) for j in (1, 2)]
    assert list(network.synaptic) == ["linear1", *names, "linear2"]
    assert network.transported == network.synaptic[1:]
    assert [one.name for one in network.activations] == [f"residual{i}/branch/linear1/relu" for i in (1, 2)]
    assert network.units == ("linear1", "residual1", "residual2", "linear2")


def test_what_is_below_the_layer_decides_whether_an_error_passes_its_lowest_site():
    apply = lambda p, x: jnp.tanh(jax.nn.relu(x) @ p["first"]) @ p["second"]
    alone, above = (located(apply, (3,), below, first=(3, 4), second=(4, 2)) for below in (False, True))
    assert alone.transported == ("second",)
    assert above.transported == ("block1/first", "block1/second")
    assert [one.name for one in alone.activations] == ["first/tanh"]
    assert [one.name for one in above.activations] == ["block1/input/relu", "block1/first/tanh"]


# Counts of inputs and outputs


def counts(site):
    return site.fan_in, site.fan_out, site.outputs


def drawn_as(shape, in_axis, out_axis):
    """fan_in and fan_out by what `jax.nn.initializers` draws."""
    fans = []
    for mode in ("fan_in", "fan_out"):
        law = jax.nn.initializers.variance_scaling(1.0, mode, "uniform", in_axis=in_axis, out_axis=out_axis)
        largest = jnp.abs(law(jr.key(0), shape, jnp.float64)).max()
        fans.append(float(3 / largest**2))
    return fans


DENSE = {
    "rows": (lambda p, x: x @ p["w1"].T @ p["w2"].T, (40, 30), {"in_axis": 1, "out_axis": 0}),
    "columns": (lambda p, x: x @ p["w1"] @ p["w2"], (30, 40), {"in_axis": 0, "out_axis": 1}),
    "heads": (
        lambda p, x: jnp.einsum("bd,dhk->bhk", x, p["w1"]).reshape(len(x), -1) @ p["w2"],
        (30, 5, 8),
        {"in_axis": 0, "out_axis": (1, 2)},
    ),
}


@pytest.mark.parametrize("kind", DENSE)
def test_the_fans_of_a_dense_site_are_those_that_weights_are_drawn_by(kind):
    apply, shape, axes = DENSE[kind]
    (site, _) = located(apply, (30,), w1=shape, w2=(2, 40) if kind == "rows" else (40, 2)).sites
    assert counts(site) == (30, 40, 40)
    np.testing.assert_allclose(drawn_as(shape, **axes), (30, 40), rtol=0.02)


@pytest.mark.parametrize(
    ("numbers", "kernel"), [(("NHWC", "HWIO", "NHWC"), (3, 3, 2, 4)), (("NCHW", "OIHW", "NCHW"), (4, 2, 3, 3))]
)
def test_the_fans_of_a_convolution_count_its_kernel(numbers, kernel):
    def apply(p, x):
        x = x if numbers[0] == "NHWC" else jnp.moveaxis(x, -1, 1)
        z = jax.lax.conv_general_dilated(x, p["kernel"], (1, 1), "SAME", dimension_numbers=numbers)
        return jax.nn.relu(z).reshape(len(x), -1) @ p["head"]

    network = located(apply, (5, 5, 2), kernel=kernel, head=(100, 3))
    site = network.sites[0]
    own = Conv2d(2, 4, 3)
    assert counts(site) == (own.fan_in, own.fan_out, own.outputs) == (18, 36, 4)
    assert network.convolutional and [one.name for one in network.activations] == ["kernel/relu"]


def test_a_grouped_convolution_sees_the_channels_of_its_group():
    def apply(p, x):
        numbers = {"dimension_numbers": ("NHWC", "HWIO", "NHWC")}
        return jax.lax.conv_general_dilated(x, p["k"], (1, 1), "VALID", feature_group_count=2, **numbers).mean((1, 2))

    (site,) = located(apply, (4, 4, 4), k=(3, 3, 2, 6)).sites
    assert site.fan_in == 18 and site.outputs == 6


# Activations


def found(function, shape=(4, 5)):
    """The functions of the activations in z ↦ function(z)."""
    return [one.function for one in curves_of(trace(function, jax.ShapeDtypeStruct(shape, jnp.float64))[0])]


FORMS = {
    "gelu-tanh": [jax.nn.gelu, lambda z: 0.5 * z * (1 + jnp.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3)))],
    "gelu": [
        lambda z: jax.nn.gelu(z, approximate=False),
        lambda z: z * 0.5 * (1 + jax.lax.erf(z / np.sqrt(2))),
    ],
    "relu": [
        jax.nn.relu,
        lambda z: jnp.maximum(z, 0),
        lambda z: jnp.where(z > 0, z, 0),
        lambda z: z * (z > 0).astype(z.dtype),
    ],
    "silu": [jax.nn.silu, lambda z: z / (1 + jnp.exp(-z)) + 0 * jnp.tanh(z), lambda z: z * jax.nn.sigmoid(z)],
    "logistic": [jax.nn.sigmoid, lambda z: 0.5 * (1 + jnp.tanh(z / 2))],
    "softplus": [jax.nn.softplus],
    "elu": [jax.nn.elu, lambda z: jnp.where(z > 0, z, jnp.expm1(z))],
    "selu": [jax.nn.selu],
    "tanh": [jnp.tanh],
    "mish": [jax.nn.mish],
    "relu6": [jax.nn.relu6, lambda z: jnp.clip(z, 0, 6)],
    "hard-tanh": [jax.nn.hard_tanh],
}


@pytest.mark.parametrize("name", FORMS)
def test_an_activation_is_found_whole_however_it_is_written(name):
    for function in FORMS[name]:
        assert found(function) == [name]


@pytest.mark.parametrize("name", [name for name in KNOWN if name not in ("leaky-relu",)])
def test_every_known_function_is_found_as_itself(name):
    assert found(KNOWN[name]) == [name]


AROUND = {
    "nothing": lambda f, z: f(z),
    "jit": lambda f, z: jax.jit(f)(z),
    "vmap": lambda f, z: jax.vmap(jax.vmap(f))(z),
    "an affine function before": lambda f, z: f(2.0 * z + 1.0),
    "an addition of an array before": lambda f, z: f(z + jnp.arange(5.0)[None]),
    "a product with another value after": lambda f, z: f(z) * z.sum(),
    "dropout after": lambda f, z: jnp.where(jr.bernoulli(jr.key(0), 0.5, z.shape), f(z) / 0.5, 0.0),
    "a residual connection": lambda f, z: z @ jnp.eye(5) + f(z @ jnp.eye(5)) @ jnp.eye(5),
    "normalization before": lambda f, z: f((z - z.mean(-1, keepdims=True)) / jnp.sqrt(z.var(-1, keepdims=True) + 1e-5)),
}


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("name", ["relu", "gelu-tanh", "silu", "tanh", "softplus"])
def test_an_activation_is_found_whatever_is_around_it(name, around):
    assert found(lambda z: AROUND[around](KNOWN[name], z)) == [name]


INSIDE = {
    "remat": lambda f, p, x: jax.checkpoint(lambda x: f(x @ p["w"]))(x),
    "scan": lambda f, p, x: jax.lax.scan(lambda h, _: (f(h @ p["w"]), None), x, length=2)[0],
    "custom_jvp": lambda f, p, x: models.multiplied(x, p["w"]) + f(x @ p["w"]),
    "vmap": lambda f, p, x: jax.vmap(lambda one: f(p["w"] @ one))(x),
}


@pytest.mark.parametrize("inside", INSIDE)
def test_an_activation_inside_an_operation_is_one_of_the_layer(inside):
    network = located(lambda p, x: INSIDE[inside](jax.nn.gelu, p, x) @ p["head"], (4,), w=(4, 4), head=(4, 3))
    names = ["w/tanh"] if inside == "custom_jvp" else []
    assert sorted(one.name for one in network.activations) == sorted([*names, *["w/gelu-tanh", "w@2/gelu-tanh"][:1]])


NONE = {
    "softmax": jax.nn.softmax,
    "log-softmax": jax.nn.log_softmax,
    "layer normalization": lambda z: (z - z.mean(-1, keepdims=True)) / jnp.sqrt(z.var(-1, keepdims=True) + 1e-5),
    "a mask": lambda z: jnp.where(jnp.tril(jnp.ones((4, 5), bool)), z, -jnp.inf),
    "a root mean square": lambda z: z * jax.lax.rsqrt((z**2).mean(-1, keepdims=True) + 1e-5),
    "an affine function": lambda z: 3 * z - 1,
    "a square": lambda z: z**2,
    "a maximum of two": lambda z: jnp.maximum(z, z[::-1]),
    "a cast": lambda z: z.astype(jnp.float32).astype(jnp.float64),
    "the maximum of an axis": lambda z: z.max(-1),
    "a floor below a divisor": lambda z: z / jnp.maximum(jnp.linalg.norm(z, axis=-1, keepdims=True), 1e-12),
    "a floor": lambda z: jnp.maximum(z, 1e-6),
    "a variance that is not below 0": lambda z: z * jax.lax.rsqrt(jnp.maximum(0.0, (z * z).mean(-1, keepdims=True)) + 1e-5),
    "a gate of something else": lambda z: z * z.mean(-1, keepdims=True),
}


@pytest.mark.parametrize("name", NONE)
def test_what_couples_units_or_is_affine_is_no_activation(name):
    assert found(NONE[name]) == []


# Cuts


def test_a_transformer_is_cut_between_its_blocks():
    network = models.network_of("transformer")
    assert {one.name: one.shape for one in network.inside.cuts} == {
        "blocks/0": (2, 4),
        "blocks/1": (2, 4),
        "head/input": (4,),
    }


def test_what_passes_around_everything_leaves_no_cut():
    def apply(p, x):
        start = h = x @ p["embed"]
        for block in p["blocks"]:
            h = h + jnp.tanh(h @ block["up"]) @ block["down"]
        return (h + start if p.get("around") is None else h) @ p["head"]

    drawn = models.drawn(embed=(3, 4), up0=(4, 5), down0=(5, 4), up1=(4, 5), down1=(5, 4), head=(4, 2))
    blocks = [{"up": drawn[f"up{i}"], "down": drawn[f"down{i}"]} for i in (0, 1)]
    parameters = {"embed": drawn["embed"], "blocks": blocks, "head": drawn["head"]}
    network = Network([from_function(apply, parameters)]).located((3,))
    assert [one.name for one in network.inside.cuts] == ["blocks/0", "head/input"]


@pytest.mark.parametrize(
    ("site", "block"),
    [("blocks/1/attention/query", "blocks/1"), ("embed", "embed"), ("encoder/up", "encoder"), ("a/0/b/1/c@2", "a/0")],
)
def test_a_site_s_block_is_told_by_its_name(site, block):
    assert block_of(site) == block


# Where the examples are


def points(network):
    return {point.name: (point.shape, point.axis, point.rows) for point in network.points}


class Vectors(eqx.Module):
    """A model of one example, which is mapped over a batch."""

    first: eqx.nn.Linear
    second: eqx.nn.Linear

    def __init__(self, key):
        self.first, self.second = eqx.nn.Linear(3, 4, key=key), eqx.nn.Linear(4, 2, key=key)

    def __call__(self, x):
        return self.second(jax.nn.relu(self.first(x)))


def test_the_axis_of_examples_is_found_whatever_the_model_s_form():
    w = {"first": (3, 4), "second": (4, 2)}
    batched = located(lambda p, x: jnp.tanh(x @ p["first"]) @ p["second"], (3,), **w)
    assert points(batched)["second"] == ((4,), 0, 1)
    mapped = Network([from_model(Vectors(jr.key(0)))]).located((3,))
    assert points(mapped)["second"] == ((4,), 0, 1)
    columns = located(lambda p, x: (p["second"].T @ jnp.tanh(p["first"].T @ x.T)).T, (3,), **w)
    assert points(columns)["second"] == ((4,), 1, 1)


def merged(p, x):
    """Examples and steps as one axis, as many write it."""
    h = jnp.tanh(x.reshape(-1, 3) @ p["first"]) @ p["second"]
    return h.reshape(len(x), 5, 2).sum(1)


def interleaved(p, x):
    """The same with the steps in front."""
    h = jnp.tanh(jnp.swapaxes(x, 0, 1).reshape(-1, 3) @ p["first"]) @ p["second"]
    return h.reshape(5, len(x), 2).sum(0)


def test_examples_and_steps_can_be_one_axis():
    w = {"first": (3, 4), "second": (4, 2)}
    assert points(located(merged, (5, 3), **w))["second"] == ((5, 4), 0, 5)
    separate = located(lambda p, x: (jnp.tanh(x @ p["first"]) @ p["second"]).sum(1), (5, 3), **w)
    assert points(separate)["second"] == ((5, 4), 0, 1)


def test_rows_that_are_no_example_s_own_in_a_row_are_told_apart():
    w = {"first": (3, 4), "second": (4, 2)}
    network = located(interleaved, (5, 3), **w)
    assert points(network) == {} and network.transported == ("second",)
    twice = lambda p, x: sum(jnp.split(jnp.tanh(jnp.concatenate([x, -x]) @ p["first"]) @ p["second"], 2))
    assert points(located(twice, (3,), **w)) == {}
    apart = lambda p, x: merged(p, jnp.swapaxes(jnp.swapaxes(x, 0, 1), 0, 1))
    assert points(located(apart, (5, 3), **w))["second"] == ((5, 4), 0, 5)


def test_every_point_of_a_network_in_turn_has_examples_in_front():
    assert all(one.axis == 0 and one.rows == 1 for one in models.network_of("resnet").points)


def test_a_variance_over_examples_is_no_activation():
    def apply(p, x, state):
        z = x @ p["first"]
        variance = jnp.maximum(0.0, (z * z).mean(0) - z.mean(0) ** 2)
        z = (z - z.mean(0)) * jax.lax.rsqrt(variance + 1e-5)
        return jax.nn.relu(z) @ p["second"], 0.9 * state + 0.1 * variance

    layer = from_function(apply, models.drawn(first=(3, 4), second=(4, 2)), state=jnp.ones(4))
    with jax.numpy_rank_promotion("allow"):
        assert [one.name for one in Network([layer]).located((3,)).activations] == ["first/relu"]
