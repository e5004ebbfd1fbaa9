"""What the image data sets share: choosing classes and subsets, scaling, standardizing, assembling.

Images come in as unsigned bytes of shape `(examples, height, width, channels)` and leave as float32. Subsets are
taken while they are bytes, so that a small experiment does not pay for the whole set.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import numpy as np

from ascribe.checks import flag, refusal, whole
from ascribe.errors import option, shown

from .base import Card, Dataset, Split
from .options import MINIMUM_EXAMPLES, Option, ask, suggest, whole_number
from .splits import Division, Indices, split_indices, stratified_subset

VALIDATION_FRACTION = 0.1
_TEST_STREAM = 1  # the test subset is drawn with another stream than the training subset
_CHUNK = 4096  # images per step of the histogram, which needs eight bytes per pixel


class Images(NamedTuple):
    """Unsigned bytes `(examples, height, width, channels)` and their labels `(examples,)`."""

    images: np.ndarray
    labels: np.ndarray

    def at(self, rows: np.ndarray) -> "Images":
        """Those of these rows."""
        return Images(self.images[rows], self.labels[rows])


def chosen_classes(classes: Option, class_names: Sequence[str]) -> list[int] | None:
    """The labels of the classes a user names, by number or by name, in the order given; None for all of them.

    **Raises:** `UserError` for fewer than two classes, one named twice, or one that does not exist.
    """
    if classes is None:
        return None
    listing = ", ".join(f"{label} {name}" if str(label) != name else name for label, name in enumerate(class_names))
    wanted, example = f"a list of at least two of {listing}", suggest("classes", (3, 8))
    if isinstance(classes, str):
        classes = [part.strip() for part in classes.split(",")]
    if not isinstance(classes, Sequence) or len(classes) < 2:
        raise refusal(option("classes"), wanted, shown(classes), example)
    labels = []
    for entry in classes:
        if isinstance(entry, str) and entry in class_names:
            label = class_names.index(entry)
        elif isinstance(entry, str) and entry.isdecimal() and len(entry) < 20:
            label = int(entry)
        else:
            label = whole(entry)
        if label is None or not 0 <= label < len(class_names):
            raise refusal(option("classes"), wanted, shown(entry), example)
        labels.append(label)
    if len(set(labels)) < len(labels):
        raise refusal(option("classes"), "a list with each class once", shown(tuple(classes)), example)
    return labels


def select(data: Images, classes: list[int] | None, count: int | None, setting: str, seed: int) -> Images:
    """The examples of the chosen classes, relabeled `0..k-1` in that order, or a random `count` of them.

    The subset is stratified.

    **Raises:** `UserError` if there are fewer than `count` such examples.
    """
    rows = np.arange(len(data.labels))
    labels = data.labels.astype(np.int32)
    if classes is not None:
        table = np.full(256, -1, dtype=np.int32)
        table[classes] = np.arange(len(classes))
        labels = table[labels]
        rows = np.flatnonzero(labels >= 0)
    if count is not None:
        if count > len(rows):
            wanted = f"at most {len(rows)}, all examples that there are of these classes"
            raise refusal(option(setting), wanted, shown(count), suggest(setting, len(rows)))
        rows = rows[stratified_subset(labels[rows], count, seed=seed)]
    return Images(data.images[rows] if len(rows) < len(data.labels) else data.images, labels[rows])


def pixel_statistics(images: np.ndarray, maximum: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each channel of pixels in [0, 1], float64; a constant channel gets scale 1.

    Computed from the histogram of the bytes: exact, whatever the order of the images, and small in memory.
    """
    channels = images.shape[-1]
    counts = np.zeros((channels, 256), dtype=np.int64)
    for start in range(0, len(images), _CHUNK):
        for channel in range(channels):
            chunk = images[start : start + _CHUNK, ..., channel]
            counts[channel] += np.bincount(chunk.reshape(-1), minlength=256)
    values = np.arange(256) / maximum
    shares = counts / counts.sum(axis=1, keepdims=True)
    mean = shares @ values
    scale = np.sqrt((shares * (values - mean[:, None]) ** 2).sum(axis=1))
    return mean, np.where((counts > 0).sum(axis=1) == 1, 1.0, scale)


def scaled(images: np.ndarray, maximum: int, mean: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """`(images / maximum - mean) / scale`, float32, computed in place: CIFAR-10 is 600 MB as float32."""
    values = images.astype(np.float32)
    values /= np.float32(maximum)
    values -= mean.astype(np.float32)
    values /= scale.astype(np.float32)
    return values


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Training and test images of one source.

    **Arguments:**

    - `maximum`: the brightest pixel.
    - `validation`: the fraction of the training examples that becomes the validation split.
    - `published`: whether the test images are those of the set's source; else all images may be divided anew.
    - `by_rows`: whether an example is the sequence of an image's rows, `(height, width * channels)`.
    """

    name: str
    card: Card
    class_names: tuple[str, ...]
    train: Images
    test: Images
    maximum: int = 255
    validation: float = VALIDATION_FRACTION
    published: bool = True
    by_rows: bool = False

    def chosen(self, seed: int, classes: Option, samples: Option, test_samples: Option) -> "ImageSet":
        """Those of some classes, and so many of them."""
        labels = chosen_classes(classes, self.class_names)
        names = self.class_names if labels is None else tuple(self.class_names[label] for label in labels)
        if samples is not None:
            samples = whole_number("samples", samples, minimum=max(MINIMUM_EXAMPLES, 4 * len(names)))
        if test_samples is not None:
            test_samples = whole_number("test_samples", test_samples, minimum=len(names))
        train = select(self.train, labels, samples, "samples", seed)
        test = select(self.test, labels, test_samples, "test_samples", seed + _TEST_STREAM)
        return replace(self, class_names=names, train=train, test=test)

    def divided(self, seed: int, *, standardize: bool) -> Dataset:
        """The data set, some of the training images kept for validation."""
        train, test = self.train, self.test
        rows = split_indices(len(train.labels), seed=seed, labels=train.labels, validation=self.validation, test=0.0)
        if self.published:
            return self._assembled(train.at(rows.train), train.at(rows.validation), test, standardize=standardize)
        every = Images(np.concatenate([train.images, test.images]), np.concatenate([train.labels, test.labels]))
        cut = Indices(rows.train, rows.validation, np.arange(len(train.labels), len(every.labels)))
        again = partial(self._cut, every, standardize=standardize)
        return replace(again(rows=cut), division=Division(again, len(every.labels), every.labels, cut, seed))

    def _cut(self, every: Images, *, rows: Indices, standardize: bool) -> Dataset:
        """The data set of one cut of all images."""
        return self._assembled(*map(every.at, rows), standardize=standardize)

    def _assembled(self, *parts: Images, standardize: bool) -> Dataset:
        """The data set of three parts, its mean and scale those of the training images."""
        mean, scale = np.zeros(1), np.ones(1)
        if standardize:
            mean, scale = pixel_statistics(parts[0].images, self.maximum)
        if self.by_rows:
            parts = tuple(Images(part.images.reshape(*part.images.shape[:2], -1), part.labels) for part in parts)
            mean, scale = (np.tile(statistic, parts[0].images.shape[2] // len(mean)) for statistic in (mean, scale))
        return Dataset(
            self.name,
            "binary" if len(self.class_names) == 2 else "classification",
            *(Split(scaled(part.images, self.maximum, mean, scale), part.labels) for part in parts),
            class_names=self.class_names,
            card=self.card,
            # In units of the bytes, which are what a user has at hand.
            input_mean=mean * self.maximum,
            input_scale=scale * self.maximum,
        )


def loader(read: Callable[[int], ImageSet]) -> Callable[..., Dataset]:
    """Makes of a function that reads all images, for a seed, the one that loads the data set: a decorator.

    **Arguments of that:**

    - `classes`: two or more classes to keep, as numbers or names; two make a binary task. None keeps all.
    - `samples`: how many of the training examples to keep (training and validation together). None keeps all.
    - `test_samples`: how many of the test examples to keep. None keeps all.
    - `standardize`: subtract the mean and divide by the standard deviation of the training pixels, one number
      per channel; False leaves pixels in [0, 1].

    **Raises:** `UserError` for a bad option.
    """

    def load(
        *,
        seed: int = 0,
        classes: Option = None,
        samples: Option = None,
        test_samples: Option = None,
        standardize: Option = True,
    ) -> Dataset:
        standardize = ask(flag, "standardize", standardize, True)
        return read(seed).chosen(seed, classes, samples, test_samples).divided(seed, standardize=standardize)

    # Not by `wraps`, which keeps the signature of `read`.
    for name in ("__module__", "__name__", "__qualname__", "__doc__"):
        setattr(load, name, getattr(read, name))
    return load
