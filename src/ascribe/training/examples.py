"""The examples of a data set as the programs take them."""

import jax.numpy as jnp
import numpy as np

from ascribe.datasets import Dataset
from ascribe.networks import Network

from .evaluate import Examples
from .pixels import pixels


def flatten_for(network: Network, data: Dataset) -> Dataset:
    """The data in the shape that the network takes: images and sequences become vectors for a network that
    begins with a dense layer, a sequence's steps side by side."""
    return data.flat() if network.first.wants_vectors and len(data.input_shape) > 1 else data


def examples_of(data: Dataset, split: str) -> Examples:
    """A split as arrays."""
    part = getattr(data, split)
    scale = np.ones(data.outputs) if data.target_scale is None else np.asarray(data.target_scale).reshape(-1)
    dtype = jnp.zeros(()).dtype  # float32, or float64 where JAX was told so
    targets = jnp.asarray(part.targets, jnp.int32 if data.task != "regression" else dtype)
    images = pixels(data, part.inputs, dtype)
    inputs = jnp.asarray(part.inputs, dtype) if images is None else images
    return Examples(inputs, targets, jnp.asarray(scale, dtype))
