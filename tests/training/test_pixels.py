"""Images kept as bytes on the device: the same floats, bit for bit, and the same training."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ascribe
from ascribe.datasets import Dataset, Split
from ascribe.datasets.images import scaled
from ascribe.networks import Flatten, Linear, Network
from ascribe.training import pixels as module
from ascribe.training.evaluate import CHUNK
from ascribe.training.examples import examples_of
from ascribe.training.pixels import Pixels, pixels

from . import tiny

SHAPE = (4, 4, 3)


def made(counts=(40, CHUNK + 9, 20), shape=SHAPE, mean=(0.1, 0.5, 0.9), scale=(0.2, 0.3, 1.0)):
    rng = np.random.default_rng(0)
    mean, scale = np.asarray(mean), np.asarray(scale)

    def split(count):
        images = rng.integers(0, 256, (count, *shape), dtype=np.uint8)
        return Split(scaled(images, 255, mean, scale), rng.integers(0, 3, count))

    parts = [split(count) for count in counts]
    names = ("a", "b", "c")
    return Dataset("bytes", "classification", *parts, class_names=names, input_mean=mean * 255, input_scale=scale * 255)


@pytest.fixture
def large(monkeypatch):
    """Everything counts as large."""
    monkeypatch.setattr(module, "LARGE", 0)


@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize(
    ("shape", "mean", "scale"),
    [
        (SHAPE, (0.1, 0.5, 0.9), (0.2, 0.3, 1.0)),
        ((3, 5, 1), (0.1306604762738429,), (0.30810780717887876,)),
        (SHAPE, (0.0,), (1.0,)),
    ],
)
def test_every_byte_gives_the_float_of_the_data_set(large, shape, mean, scale, flat):
    data = made(shape=shape, mean=mean, scale=scale)
    data = data.flat() if flat else data
    inputs = data.train.inputs
    kept = pixels(data, inputs, jnp.float32)
    assert kept.bytes.dtype == jnp.uint8 and kept.shape == inputs.shape
    rows = jnp.asarray([3, 0, 39, 3])
    np.testing.assert_array_equal(jax.jit(lambda kept, rows: kept[rows])(kept, rows), inputs[rows])
    np.testing.assert_array_equal(kept[:], inputs)
    assert kept[:].dtype == jnp.float32
    wide = pixels(data, inputs, jnp.float64)
    np.testing.assert_array_equal(wide[:], inputs.astype(np.float64))


def test_floats_that_are_no_bytes_stay_floats(large):
    data = made()
    assert pixels(data, data.train.inputs, jnp.float32) is not None
    nudged, gaps = data.train.inputs.copy(), data.train.inputs.copy()
    nudged[7, 1, 1, 1] = np.nextafter(nudged[7, 1, 1, 1], np.float32(9))
    gaps[7, 1, 1, 1] = np.nan
    assert pixels(data, nudged, jnp.float32) is None
    assert pixels(data, gaps, jnp.float32) is None
    assert pixels(data, data.train.inputs + 100, jnp.float32) is None
    assert pixels(dataclasses.replace(data, input_mean=None), data.train.inputs, jnp.float32) is None
    encoded = data.encode("unit-interval")
    assert pixels(encoded, encoded.train.inputs, jnp.float32) is None
    moons = ascribe.datasets.load("moons", samples=60)
    assert pixels(moons, moons.train.inputs, jnp.float32) is None


def test_few_images_stay_floats():
    assert pixels(made(), made().train.inputs, jnp.float32) is None


@pytest.mark.parametrize("rule", ["backpropagation", pytest.param("relaxed-identity", marks=pytest.mark.slow)])
def test_training_is_the_same_as_with_floats(monkeypatch, rule):
    """Both parts of the data, several chunks of validation, a rule that sees all of it before and after, augmentations."""
    data = made()
    network = Network([Flatten(), Linear(48, 3)]) if rule == "backpropagation" else ascribe.networks.mlp([48, 4, 3])
    data = data.encode("random-crop", "random-flip") if rule == "backpropagation" else data
    found = []
    for least in (2**40, 0):
        monkeypatch.setattr(module, "LARGE", least)
        found.append(tiny.trained(rule, data, network))
        assert isinstance(examples_of(data, "train").inputs, Pixels) == (least == 0)
    floats, bytes_ = found
    assert set(floats.curves) == set(bytes_.curves)
    for name in floats.curves:
        np.testing.assert_allclose(bytes_.curves[name], floats.curves[name], rtol=1e-9, atol=1e-9)
    for name in floats.scores:
        np.testing.assert_allclose(bytes_.scores[name], floats.scores[name], rtol=1e-9)
