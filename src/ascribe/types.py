"""The shape vocabulary of the package: the leaf of the import graph.

Axes, as they are written in annotations:

| axis | what it counts |
| --- | --- |
| `batch` | examples of one mini-batch |
| `fan_in`, `fan_out` | inputs and outputs of a synaptic layer |
| `height width channels` | an image, channels last |
| `outputs` | units of the last layer |
| `runs` | trainings side by side in one compiled program |
| `seeds`, `epochs` | the axes of a recorded curve |
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree, Shaped

AnyArray = Array | np.ndarray
"""An array of JAX or of NumPy."""
Key = PRNGKeyArray
Scalar = Float[Array, ""]
AnyScalar = Scalar | np.floating
"""A number of JAX or of NumPy."""
Labels = Int[Array, " batch"]
Elementwise = Callable[[Array], Array]
"""A function applied unit by unit: an activation f(z), a derivative f'(z), or a b-function g(z)."""

__all__ = [
    "Any",
    "AnyArray",
    "AnyScalar",
    "Array",
    "Callable",
    "Elementwise",
    "Float",
    "Int",
    "Key",
    "Labels",
    "PyTree",
    "Scalar",
    "Shaped",
]
