"""Layers that are made of others, beside NumPy: attention, gated recurrent units, residual connections."""

import functools

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from ascribe import networks
from ascribe.errors import UserError
from ascribe.networks import (
    GRU,
    Activation,
    Attention,
    BatchNorm,
    Conv2d,
    Dropout,
    Embedding,
    GlobalAveragePool,
    LastStep,
    LayerNorm,
    Linear,
    Network,
    Patches,
    Residual,
    Subsample,
    check_input,
    record,
)
from ascribe.networks.layer import inner_layers
from ascribe.store.parameters import filled, tensors_of

from ..cases import assert_identical, shake

EXACT = {"rtol": 1e-12, "atol": 1e-12}


def shaken(layer):
    return shake(layer, jr.key(2), 0.3)


def arrays(layer):
    """Weight and bias as NumPy arrays."""
    return np.asarray(layer.weight), np.asarray(layer.bias)


@functools.cache
def sequences(features=6, time=5, batch=3):
    return jr.normal(jr.key(7), (batch, time, features))


# Layer normalization


def test_layer_normalization_is_its_definition():
    layer, x = shaken(LayerNorm(6, epsilon=0.01)), np.asarray(sequences())
    scale, shift = np.asarray(layer.scale), np.asarray(layer.shift)
    expected = np.empty_like(x)
    for place in np.ndindex(*x.shape[:-1]):
        v = x[place]
        expected[place] = scale * (v - v.mean()) / np.sqrt(v.var() + 0.01) + shift
    np.testing.assert_allclose(layer(sequences())[0], expected, **EXACT)
    assert layer.initial_state() is None


# Attention


def written_attention(layer, x, causal):
    """Vaswani et al. (2017), equation 1, example by example, head by head, step by step."""
    (wq, bq), (wk, bk), (wv, bv), (wo, bo) = map(arrays, (layer.query, layer.key, layer.value, layer.output))
    d = x.shape[-1] // layer.heads
    y = np.zeros_like(x)
    for example, rows in zip(y, x, strict=True):
        q, k, v = rows @ wq.T + bq, rows @ wk.T + bk, rows @ wv.T + bv
        for t in range(len(rows)):
            seen, mixed = range(t + 1 if causal else len(rows)), []
            for head in range(layer.heads):
                own = slice(d * head, d * (head + 1))
                weights = np.array([np.exp(q[t, own] @ k[s, own] / np.sqrt(d)) for s in seen])
                mixed.append(sum(w * v[s, own] for w, s in zip(weights / weights.sum(), seen, strict=True)))
            example[t] = wo @ np.concatenate(mixed) + bo
    return y


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("heads", [1, 3])
def test_attention_is_its_definition(heads, causal):
    layer = shaken(Attention(6, heads, causal=causal, key=jr.key(0)))
    y = layer(sequences())[0]
    np.testing.assert_allclose(y, written_attention(layer, np.asarray(sequences()), causal), **EXACT)


def test_attention_does_not_see_the_order_and_causal_attention_not_the_future():
    everywhere, causal = (shaken(Attention(6, 2, causal=one, key=jr.key(0))) for one in (False, True))
    x, order = sequences(), np.array([3, 0, 4, 1, 2])
    np.testing.assert_allclose(everywhere(x[:, order])[0], everywhere(x)[0][:, order], **EXACT)
    changed = causal(x.at[:, 3].add(1.0))[0] - causal(x)[0]
    assert np.all(np.asarray(changed[:, :3]) == 0) and np.all(np.any(np.asarray(changed[:, 3:]) != 0, axis=-1))


def test_attention_over_one_step_is_two_products():
    layer, x = shaken(Attention(6, 2, key=jr.key(0))), sequences(time=1)
    np.testing.assert_allclose(layer(x)[0], layer.output(layer.value(x)[0])[0], **EXACT)


# Gated recurrent units


def test_gated_recurrent_units_are_their_equations():
    layer, x = shaken(GRU(6, 4, key=jr.key(0))), np.asarray(sequences())
    (W, b), (U, c) = arrays(layer.input), arrays(layer.hidden)
    logistic = lambda a: 1 / (1 + np.exp(-a))
    h, expected = np.zeros((3, 4)), []
    for t in range(x.shape[1]):
        W_r, W_z, W_n = np.split(x[:, t] @ W.T + b, 3, axis=1)
        U_r, U_z, U_n = np.split(h @ U.T + c, 3, axis=1)
        r, z = logistic(W_r + U_r), logistic(W_z + U_z)
        h = (1 - z) * np.tanh(W_n + r * U_n) + z * h
        expected.append(h)
    y = layer(sequences())[0]
    np.testing.assert_allclose(y, np.stack(expected, axis=1), **EXACT)
    assert_identical(LastStep()(y)[0], y[:, -1])


def test_units_whose_update_gate_is_open_keep_their_state():
    layer = GRU(6, 4, initializer="zeros")
    layer = jax.tree.map(lambda leaf: leaf.at[4:8].set(1e3) if leaf.ndim == 1 else leaf, layer)
    assert not np.any(layer(sequences())[0])


@pytest.mark.oracle
def test_attention_and_recurrent_units_are_those_of_pytorch():
    torch = pytest.importorskip("torch")
    tensor = lambda array: torch.tensor(np.asarray(array))
    x = sequences()
    for causal in (False, True):
        ours = shaken(Attention(6, 2, causal=causal, key=jr.key(0)))
        theirs = torch.nn.MultiheadAttention(6, 2, batch_first=True, dtype=torch.float64)
        inside = (ours.query, ours.key, ours.value)
        theirs.load_state_dict(
            {
                "in_proj_weight": torch.cat([tensor(one.weight) for one in inside]),
                "in_proj_bias": torch.cat([tensor(one.bias) for one in inside]),
                "out_proj.weight": tensor(ours.output.weight),
                "out_proj.bias": tensor(ours.output.bias),
            }
        )
        future = torch.triu(torch.ones(5, 5, dtype=torch.bool), diagonal=1) if causal else None
        wanted = theirs(*3 * [tensor(x)], attn_mask=future, need_weights=False)[0].detach().numpy()
        np.testing.assert_allclose(ours(x)[0], wanted, **EXACT)
    ours, theirs = shaken(GRU(6, 4, key=jr.key(0))), torch.nn.GRU(6, 4, batch_first=True, dtype=torch.float64)
    weights = {"weight_ih_l0": ours.input.weight, "weight_hh_l0": ours.hidden.weight}
    weights |= {"bias_ih_l0": ours.input.bias, "bias_hh_l0": ours.hidden.bias}
    theirs.load_state_dict({name: tensor(one) for name, one in weights.items()})
    np.testing.assert_allclose(ours(x)[0], theirs(tensor(x))[0].detach().numpy(), **EXACT)


# Sequences made of images, and back to vectors


def test_patches_are_cut_out_of_the_image_row_by_row():
    x = np.asarray(jr.normal(jr.key(0), (2, 4, 6, 3)))
    expected = [x[:, i : i + 2, j : j + 3].reshape(2, -1) for i in (0, 2) for j in (0, 3)]
    assert_identical(Patches(2, 3)(jnp.asarray(x))[0], np.stack(expected, axis=1))
    assert_identical(Patches(1, 6)(jnp.asarray(x))[0], x.reshape(2, 4, 18))


def test_an_embedding_is_a_product_at_every_step_with_a_vector_of_its_position():
    layer, x = shaken(Embedding(6, 4, length=5, key=jr.key(0))), np.asarray(sequences())
    W, b = arrays(layer.projection)
    np.testing.assert_allclose(layer(sequences())[0], x @ W.T + b + np.asarray(layer.position)[None], **EXACT)
    assert Embedding(6, 4).position is None
    position = np.asarray(Embedding(2, 100, length=100, key=jr.key(1)).position)
    np.testing.assert_allclose(position.std(), 0.02, rtol=0.03)


def test_a_dense_layer_multiplies_every_step():
    layer, x = shaken(Linear(6, 4, key=jr.key(0))), sequences()
    each = jnp.stack([layer(x[:, t])[0] for t in range(5)], axis=1)
    np.testing.assert_allclose(layer(x)[0], each, **EXACT)
    np.testing.assert_array_equal(layer.design_matrix(x), x.reshape(15, 6))


def test_the_shortcut_without_weights_is_every_second_pixel_and_channels_of_zeros():
    x = jr.normal(jr.key(0), (2, 5, 4, 3))
    y = np.asarray(Subsample(2, 1)(x)[0])
    np.testing.assert_array_equal(y[..., :3], np.asarray(x)[:, [0, 2, 4]][:, :, [0, 2]])
    assert y.shape == (2, 3, 2, 4) and not np.any(y[..., 3])
    assert_identical(Subsample(1, 0)(x)[0], x)


def test_the_mean_over_all_places():
    x = jr.normal(jr.key(0), (2, 5, 4, 3))
    np.testing.assert_allclose(GlobalAveragePool()(x)[0], np.asarray(x).reshape(2, 20, 3).mean(axis=1), **EXACT)
    assert_identical(GlobalAveragePool()(x[:, 0, 0])[0], x[:, 0, 0])


# Residual connections


def test_a_residual_adds_what_its_branch_makes_to_what_its_shortcut_makes():
    branch = [Linear(3, 4, key=jr.key(0)), Activation("tanh"), Linear(4, 2, key=jr.key(1))]
    layer = shaken(Residual(branch, [Linear(3, 2, key=jr.key(2))], scale=0.5))
    x = np.asarray(jr.normal(jr.key(3), (5, 3)))
    (W1, b1), (W2, b2) = arrays(layer.branch["linear1"]), arrays(layer.branch["linear2"])
    S, c = arrays(layer.shortcut["linear1"])
    expected = x @ S.T + c + 0.5 * (np.tanh(x @ W1.T + b1) @ W2.T + b2)
    np.testing.assert_allclose(layer(jnp.asarray(x))[0], expected, **EXACT)
    assert_identical(Residual([Linear(3, 3)], scale=0.0)(jnp.asarray(x))[0], x)


def test_the_layers_inside_keep_their_order_and_their_readable_paths():
    layer = Residual([Linear(2, 3), BatchNorm(3), Activation("relu"), Linear(3, 2), Dropout(0.1)])
    layer = jax.tree.unflatten(*jax.tree.flatten(layer)[::-1])
    assert list(layer.branch) == ["linear1", "batchnorm1", "relu1", "linear2", "dropout1"]
    paths = [jax.tree_util.keystr(path, simple=True, separator="/") for path, _ in jax.tree.leaves_with_path(layer)]
    assert paths[0] == "branch/linear1/weight" and "branch/batchnorm1/scale" in paths


def test_a_state_travels_through_a_residual_in_training_and_stays_outside():
    layer = Residual([Linear(3, 3, key=jr.key(0)), BatchNorm(3, momentum=0.5), Activation("relu")], [BatchNorm(3)])
    x = jr.normal(jr.key(1), (8, 3)) + 2
    state = layer.initial_state()
    assert jax.tree.structure(state) == jax.tree.structure(((None, (0, 0), None), ((0, 0),)))
    y, after = layer(x, state, training=True)
    z = layer.branch["linear1"](x)[0]
    np.testing.assert_allclose(after[0][1][0], 0.5 * jnp.mean(z, axis=0), **EXACT)
    np.testing.assert_allclose(after[0][1][1], 0.5 + 0.5 * jnp.var(z, axis=0), **EXACT)
    np.testing.assert_allclose(after[1][0][0], 0.1 * jnp.mean(x, axis=0), **EXACT)
    assert_identical(layer(x, after)[1], after)
    f = jnp.maximum(layer.branch["batchnorm1"](z, after[0][1])[0], 0)
    np.testing.assert_allclose(layer(x, after)[0], f + layer.shortcut["batchnorm1"](x, after[1][0])[0], **EXACT)
    assert not np.allclose(layer(x, after)[0], y)


def test_the_arrays_of_layers_inside_are_kept_by_readable_names():
    network = Network([Residual([Linear(3, 3, key=jr.key(0)), BatchNorm(3)]), Linear(3, 1)])
    pair = network, network.initial_state()
    tensors = tensors_of(*pair)
    assert {"residual1.branch.linear1.weight", "residual1.branch.batchnorm1.scale", "residual1.state.0.1.0"} < set(tensors)
    assert_identical(filled(jax.eval_shape(lambda: pair), tensors), pair)


def test_every_layer_inside_a_residual_has_randomness_of_its_own():
    layer, x = Residual([Dropout(0.5)], [Dropout(0.5)]), jnp.ones((20, 50))
    y = np.asarray(layer(x, key=jr.key(0), training=True)[0])
    assert set(np.unique(y)) == {0.0, 2.0, 4.0}
    twice = Residual([Dropout(0.5), Dropout(0.5)], scale=1.0)(x, key=jr.key(0), training=True)[0] - x
    assert 0.1 < np.mean(np.asarray(twice) != 0) < 0.4
    assert_identical(layer(x, key=jr.key(0), training=True)[0], y)


def test_a_residual_in_a_network_trains_and_infers_as_its_layers_would():
    inner = [Conv2d(1, 2, 3, padding=1), BatchNorm(2), Activation("relu")]
    network = Network([Residual(inner, [Subsample(1, 1)]), GlobalAveragePool(), Linear(2, 3)])
    x = jr.normal(jr.key(0), (4, 6, 6, 1))
    after = record(network, x)[1]
    plain, ours = Network([*inner, GlobalAveragePool(), Linear(2, 3)]), after[0][0]
    assert_identical(ours, record(plain, x)[1][:3])
    assert_identical(network(x, after), record(network, x, after, training=False)[0].output)
    assert network.names == ("residual1", "globalaveragepool1", "linear1")


def test_branch_and_shortcut_must_agree():
    network = Network([Residual([Conv2d(1, 2, 3, padding=1)]), GlobalAveragePool(), Linear(2, 2)])
    sentence = r"the branch of layer residual1 gives the shape \(5, 5, 2\) and its shortcut \(5, 5, 1\)"
    with pytest.raises(UserError, match=sentence):
        check_input(network, (5, 5, 1))
    with pytest.raises(UserError, match=r"the branch of Residual gives the shape \(5, 5, 2\)"):
        network(jnp.zeros((1, 5, 5, 1)))


@pytest.mark.usefixtures("as_installed")
def test_a_residual_is_made_of_layers():
    with pytest.raises(UserError, match=r"`shortcut` of Residual is a list of layers, as in .*; got 3 in it"):
        Residual([Linear(2, 2)], [Linear(2, 2), 3])
    with pytest.raises(UserError, match=r"`branch` of Residual is a list of layers, as in .*; got Linear\("):
        Residual(Linear(2, 2))


@pytest.mark.parametrize(
    ("layer", "shape", "sentence"),
    [
        (lambda: LayerNorm(3), (5, 2), r"layer layernorm1 takes vectors of 3 features but gets the shape \(5, 2\)"),
        (
            lambda: GRU(3, 2),
            (6,),
            r"layer gru1 takes sequences \(time, features\) but gets the shape \(6,\): use an MLP",
        ),
        (lambda: GRU(3, 2), (6, 4), r"layer gru1 takes vectors of 3 features but gets the shape \(6, 4\)"),
        (lambda: Attention(4, 2), (4, 4, 1), "layer attention1 takes sequences.*put Patches"),
        (LastStep, (4, 4, 1), "layer laststep1 takes sequences"),
        (lambda: Embedding(3, 2, length=4), (5, 3), "layer embedding1 has learned positions for 4 steps but gets"),
        (lambda: Patches(2, 3), (4, 4, 1), "layer patches1 cuts images into patches of 2 × 3 pixels but gets"),
        (lambda: Patches(2, 3), (4, 4), "layer patches1 takes images"),
        (Subsample, (4,), "layer subsample1 takes images"),
        (lambda: Residual([Linear(3, 3)]), (2,), "layer residual1/branch/linear1 takes 3 numbers an example"),
    ],
)
def test_an_example_that_does_not_fit_is_refused(layer, shape, sentence):
    with pytest.raises(UserError, match=sentence):
        check_input(Network([layer(), Linear(1, 1)]), shape)


def test_many_seeds_at_once_are_each_alone():
    layers = [Embedding(6, 4, length=5), Residual([LayerNorm(4), Attention(4, 2)]), GRU(4, 3), LastStep()]
    network, x = Network([*layers, Linear(3, 2)]), sequences()
    keys = jr.split(jr.key(4), 2)
    answer = jax.jit(lambda key: network.initialize(key)(x))
    both = jax.jit(jax.vmap(answer))(keys)
    np.testing.assert_allclose(both, jnp.stack([answer(key) for key in keys]), rtol=1e-11, atol=1e-13)
    many = jax.eval_shape(jax.vmap(network.initialize), keys)
    assert many.config() == network.config()


@pytest.mark.parametrize("made", [lambda law: Attention(200, 2, initializer=law), lambda law: GRU(200, 150, initializer=law)])
def test_every_projection_has_the_law_s_spread(made):
    layer = networks.Network([made("lecun-normal"), Linear(1, 1)]).initialize(jr.key(3)).first
    for one in inner_layers(layer):
        np.testing.assert_allclose(np.asarray(one.weight).std(), 1 / np.sqrt(one.fan_in), rtol=0.02)
        assert not np.any(one.bias)
