"""Random windows and mirror images: what each one draws, and that only the batches that are learned from see them."""

import dataclasses
import json

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import ascribe
from ascribe import datasets, networks, store
from ascribe.datasets import Dataset, Split, Transform
from ascribe.datasets.transforms import fit
from ascribe.errors import UserError
from ascribe.networks import Flatten, Linear, Network
from ascribe.rules import AbstractRule, Backpropagation, Credit
from ascribe.training import loop
from ascribe.training.augmentations import augment, margin, random_crop, random_flip
from ascribe.types import Array

from . import tiny

BOTH = ("random-crop", "random-flip")
BLACK = (-1.5, 2.5)


def images(count=200, height=8, width=16, channels=2):
    """No two numbers are equal, so that a window shows where it was."""
    values = np.random.default_rng(0).permutation(count * height * width * channels)
    return jnp.asarray(values.reshape(count, height, width, channels), float)


def small(shape=(8, 8, 1), seed=0, **changes):
    return dataclasses.replace(tiny.data("classification", 3, shape=shape, seed=seed), **changes)


def of_images(shape=(8, 8, 1), outputs=3):
    """A network that takes images, and compiles faster than a convolution."""
    return Network([Flatten(), Linear(shape[0] * shape[1] * shape[2], outputs, key=jr.key(1))])


def one_sentence(caught):
    text = str(caught.value)
    return text.endswith(".") and "\n" not in text and ". " not in text


@pytest.mark.parametrize(("side", "pixels"), [(1, 1), (8, 1), (16, 2), (28, 3), (32, 4), (224, 4)])
def test_the_margin_is_four_pixels_or_an_eighth(side, pixels):
    assert margin(side) == pixels


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_crop_is_a_window_of_the_padded_image(dtype):
    x = images().astype(dtype)
    found = random_crop(x, jr.key(1), black=jnp.asarray(BLACK))
    assert (found.shape, found.dtype) == (x.shape, x.dtype)
    padded = np.stack([np.pad(np.asarray(x[..., c]), ((0, 0), (1, 1), (2, 2)), constant_values=BLACK[c]) for c in (0, 1)], -1)
    places = []
    for image, window in zip(padded, np.asarray(found), strict=True):
        fits = [(i, j) for i in range(3) for j in range(5) if np.array_equal(image[i : i + 8, j : j + 16], window)]
        assert len(fits) == 1
        places += fits
    counts = np.zeros((3, 5))
    np.add.at(counts, tuple(np.transpose(places)), 1)
    assert counts.min() > 0  # every one of the fifteen positions, about equally often: 200/15 = 13.3 each
    assert counts.max() < 30


def test_a_flip_exchanges_left_and_right_of_about_half_the_images():
    x = images()
    found = np.asarray(random_flip(x, jr.key(1)))
    same = np.asarray([np.array_equal(a, b) for a, b in zip(found, np.asarray(x), strict=True)])
    mirrored = np.asarray([np.array_equal(a, b[:, ::-1]) for a, b in zip(found, np.asarray(x), strict=True)])
    assert np.all(same ^ mirrored)
    assert abs(mirrored.mean() - 0.5) < 4 * 0.5 / np.sqrt(len(x))


def test_the_mean_over_many_draws_is_the_mean_over_all_windows():
    x = images(count=1, height=8, width=8, channels=1)
    many = jnp.broadcast_to(x, (20_000, *x.shape[1:]))
    padded = np.pad(np.asarray(x[0, ..., 0]), 1, constant_values=0.0)
    windows = np.mean([padded[i : i + 8, j : j + 8] for i in range(3) for j in range(3)], axis=0)
    cropped = np.asarray(augment(("random-crop",), many, jr.key(2), black=(0.0,)))[..., 0].mean(0)
    both = np.asarray(augment(BOTH, many, jr.key(3), black=(0.0,)))[..., 0].mean(0)
    deviation = 5 * 64 / np.sqrt(20_000)  # five standard errors of numbers below 64
    np.testing.assert_allclose(cropped, windows, atol=deviation)
    np.testing.assert_allclose(both, (windows + windows[:, ::-1]) / 2, atol=deviation)


def test_the_key_decides_and_the_order_of_names_is_kept():
    x = images(20)
    first = augment(BOTH, x, jr.key(4), black=BLACK)
    np.testing.assert_array_equal(first, augment(BOTH, x, jr.key(4), black=BLACK))
    assert not np.array_equal(first, augment(BOTH, x, jr.key(5), black=BLACK))
    crop, flip = jr.split(jr.key(4))
    np.testing.assert_array_equal(first, random_flip(random_crop(x, crop, black=jnp.asarray(BLACK)), flip))
    np.testing.assert_array_equal(augment((), x, jr.key(4), black=()), x)
    with pytest.raises(ValueError, match="no augmentation"):
        augment(("blur",), x, jr.key(4), black=BLACK)


# As transforms of a data set


def test_they_change_no_stored_row():
    data = datasets.load("digits", samples=80, test_samples=20)
    both = datasets.load("digits", samples=80, test_samples=20, transforms=BOTH)
    assert (both.augmentations, both.transforms, both.original) == (BOTH, (), None)
    assert both.checksum == data.checksum
    assert both.request["transforms"] == list(BOTH)
    assert both.summary()["augmentations"] == list(BOTH) and data.summary()["augmentations"] == []
    assert "random-crop, random-flip" in repr(both)
    assert data.encode("random-flip").encode("random-flip", "random-crop").augmentations == (
        "random-flip",
        "random-crop",
    )
    assert data.encode(["random-flip", "random-crop"]).flat().augmentations == ("random-flip", "random-crop")


@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("others", [(), ("unit-interval",), ("split-signs", "constant-one")])
def test_black_is_what_the_byte_zero_has_become(standardize, others):
    data = datasets.load("digits", samples=80, standardize=standardize, transforms=[*others, "random-crop"])
    dark = np.isclose(data.prepare(np.zeros((1, 8, 8, 1)))[0, 0, 0], data.train.inputs).all(axis=-1)
    assert dark.any()  # most corners of digits are black
    np.testing.assert_allclose(data.train.inputs[dark][0], data.black, rtol=1e-6)
    if standardize is False and not others:
        assert data.black == (0.0,)


def test_without_a_mean_black_is_zero():
    assert small((8, 8, 2)).black == (0.0, 0.0)


def test_the_record_keeps_them(tmp_path):
    data = small().encode("random-flip", "unit-interval", "random-crop")
    content = json.loads(json.dumps(data.summary()))
    store.record._save_data(data, tmp_path)
    again = store.record.load_data(content, tmp_path, {})
    assert again.augmentations == data.augmentations == ("random-flip", "random-crop")
    assert again.summary() == content
    old = {name: value for name, value in content.items() if name != "augmentations"}
    assert store.record.load_data(old, tmp_path, {}).augmentations == ()


@pytest.mark.parametrize("name", BOTH)
def test_they_need_images(name):
    with pytest.raises(UserError, match=f"^{name} is for images .*shape") as caught:
        datasets.load("moons", samples=60, transforms=name)
    assert one_sentence(caught)
    with pytest.raises(UserError, match=f"^{name} needs images .*linear1.*convolutional") as caught:
        ascribe.train(networks.mlp([64, 4, 3]), small().encode(name), "backpropagation", epochs=1, seeds=1)
    assert one_sentence(caught)
    for wrong in (lambda: fit(name, np.zeros((3, 8, 8, 1))), lambda: Transform(name, (8, 8, 1))):
        with pytest.raises(UserError, match="changes training batches") as caught:
            wrong()
        assert one_sentence(caught)


def test_a_name_that_does_not_exist_meets_the_list():
    with pytest.raises(UserError, match=r"did you mean 'random-crop'.*random-flip"):
        datasets.load("digits", transforms="random-corp")


# In training


class Watching(AbstractRule):
    """Keeps what it saw last: `seen` of the training batch, `probe` of the diagnostics. `pace`: 0 moves nothing; with 1 it
    learns, and draws random numbers of its own."""

    pace: Array = eqx.field(converter=jnp.asarray, default=0.0)

    def init(self, network, data, *, key):
        return jnp.zeros(8 * 8)

    def __call__(self, network, state, batch, *, key):
        credit = Backpropagation()(network, None, batch, key=key)
        noisy = jax.tree.map(lambda leaf: self.pace * (leaf + 0.1 * jr.normal(key, leaf.shape)), credit.gradients)
        return Credit(credit.loss, noisy, jnp.sum(batch.inputs, axis=0).reshape(-1), credit.network_state)

    def metrics(self, trainables, state, batch, *, before, after):
        weights = jnp.sin(jnp.arange(64.0))
        return {"seen": state @ weights, "probe": jnp.sum(batch.inputs, axis=0).reshape(-1) @ weights}


@pytest.fixture(scope="module")
def watched():
    train = lambda rule, data: tiny.trained(rule, data, of_images(), learning_rate=0.05, diagnostics=True)
    encoded = small().encode(*BOTH)
    return train(Watching(), small()), train(Watching(), encoded), train(Watching(1.0), encoded)


@pytest.mark.slow
def test_for_one_seed_every_rule_meets_the_same_images(watched):
    plain, still, moving = watched
    np.testing.assert_array_equal(still.seen, moving.seen)
    assert not np.array_equal(still.train_loss, moving.train_loss)
    assert not np.isclose(still.seen, plain.seen).any()
    assert len(np.unique(still.seen)) == still.seen.size  # other ones for every seed and in every epoch


@pytest.mark.slow
def test_the_probe_validation_and_test_are_as_they_are_stored(watched):
    plain, still, _ = watched
    for name in ("probe", "validation_loss", "test_loss"):
        np.testing.assert_allclose(getattr(still, name), getattr(plain, name), rtol=1e-12)
    assert not np.isclose(still.train_loss, plain.train_loss).any()


@pytest.mark.slow
def test_what_a_batch_holds_is_the_augmented_rows(watched):
    """The last batch of the last epoch, put together here from the seed."""
    _, still, _ = watched
    data, seed, epoch = small(), 1, 2
    key = jr.fold_in(jr.key(seed), 2)
    order = jr.permutation(jr.fold_in(key, epoch), len(data.train))[: 8 * 3].reshape(3, 8)
    own = jr.fold_in(jr.fold_in(jr.fold_in(key, 2**31), epoch), 2)
    batch = augment(BOTH, jnp.asarray(data.train.inputs, float)[order[2]], own, black=data.black)
    np.testing.assert_allclose(still.seen[seed, epoch], jnp.sum(batch, axis=0).reshape(-1) @ jnp.sin(jnp.arange(64.0)))


class Sees(AbstractRule):
    """Moves nothing; its state is the first two pixels of every step's first image."""

    def init(self, network, data, *, key):
        return jnp.zeros((tiny.STEPS, 2))

    def __call__(self, network, state, batch, *, key):
        still = jax.tree.map(jnp.zeros_like, network)
        seen = jnp.concatenate([state[1:], batch.inputs[0].reshape(-1)[None, :2]])
        return Credit(jnp.zeros(()), still, seen, None)


def test_every_step_has_randomness_of_its_own_for_its_images(monkeypatch):
    """Here an image's first two pixels are the key that it is changed by: of the seed, the epoch and the step alone."""
    told = lambda names, batch, key, *, black: jnp.zeros_like(batch).at[:, 0, :2, 0].set(jr.key_data(key).astype(float))
    monkeypatch.setattr(loop, "augment", told)
    settings, run, data = tiny.looped(of_images(), small().encode(*BOTH), Sees(), seed=5)
    batches = jnp.arange(tiny.STEPS * tiny.BATCH).reshape(tiny.STEPS, tiny.BATCH)

    @jax.jit
    def seen(epoch):
        state = loop.initialize(settings, of_images(), run, data)
        return loop.one_pass(settings, run, state, data, epoch, batches)[0].rule_state

    for epoch in range(2):
        own = jr.fold_in(jr.fold_in(jr.fold_in(jr.key(5), 2), 2**31), epoch)
        np.testing.assert_array_equal(seen(epoch), [jr.key_data(jr.fold_in(own, step)) for step in range(tiny.STEPS)])


def test_a_rule_with_activations_of_every_image_refuses():
    class Keeping(AbstractRule):
        def trainables(self, network, data, *, key):
            return ascribe.rules.Trainables(network, jnp.zeros((1, len(data.inputs), 2)))

        def __call__(self, trainables, state, batch, *, key):
            credit = Backpropagation()(trainables.network, None, batch, key=key)
            rest = jnp.zeros_like(trainables.auxiliary)
            return Credit(credit.loss, ascribe.rules.Trainables(credit.gradients, rest), state)

    with pytest.raises(UserError, match=r"^Keeping keeps activations of every training image") as caught:
        ascribe.train(of_images(), small().encode("random-flip"), Keeping(), epochs=1, seeds=1)
    assert one_sentence(caught)


def test_a_split_of_labels_alone_is_left_as_it_is():
    empty = Split(np.zeros((0, 8, 8, 1)), np.zeros(0, int))
    data = Dataset("empty", "binary", empty, empty, empty, class_names=("no", "yes"))
    assert data.encode("random-crop").augmentations == ("random-crop",)
