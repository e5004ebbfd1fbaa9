"""A plane through the weights of one layer: the one that paths lie in most nearly, or a chosen one. NumPy only."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.linalg import eigh

from ascribe.errors import UserError

STRAIGHT = 1e-6
"""Points whose spread in the second direction is this share of that in the first lie on a line."""

SHORT_SIDE = 0.6
"""The least ratio of the sides of the part that is drawn, so that a straight path lies in a landscape and not in a strip."""


def principal_directions(points: np.ndarray) -> np.ndarray:
    """The first two principal components of `points` (n, size): the right singular vectors of X = points - mean with the
    largest singular values, (2, size), orthonormal.

    The signs are such that the largest component is positive. Where the points lie on a line (or are one), a fixed random
    direction at right angles takes the place of what is missing.
    """
    centered = points - points.mean(axis=0)
    size = points.shape[1]
    found = np.zeros((0, size))
    scale = np.abs(centered).max()
    if scale > 0:
        x = centered / scale
        # The smaller of X Xᵀ and Xᵀ X has the same eigenvalues and is quick; one more turn of the power iteration, with X
        # itself, and an SVD inside the plane give back the digits that the square costs.
        wide = len(x) <= size
        square = x @ x.T if wide else x.T @ x
        first = max(0, len(square) - 2)
        vectors = eigh(square, subset_by_index=[first, len(square) - 1])[1]
        basis = np.linalg.qr(x.T @ (x @ (x.T @ vectors if wide else vectors)))[0]
        _, spread, turn = np.linalg.svd(x @ basis, full_matrices=False)
        found = (turn @ basis.T)[spread > STRAIGHT * spread[0]]
    largest = np.take_along_axis(found, np.abs(found).argmax(axis=1)[:, None], axis=1)
    return _completed(found * np.sign(largest))


def _completed(found: np.ndarray) -> np.ndarray:
    """Two orthonormal directions, of which `found` (k, size) are the first k."""
    generator = np.random.default_rng(0)
    while len(found) < 2:
        drawn = generator.normal(size=found.shape[1])
        for _ in range(2):  # twice is enough for right angles to rounding
            drawn -= found.T @ (found @ drawn)
        found = np.concatenate([found, drawn[None] / np.linalg.norm(drawn)])
    return found


def chosen_directions(given: Any, size: int, shape: tuple[int, ...]) -> np.ndarray:
    """Two chosen directions made orthonormal (the first keeps its direction), (2, size).

    **Arguments:** `given`: two arrays of `size` numbers (the weight and then the bias of the layer, flat), or of the `shape` of
    the weight (the bias then stays as it is).

    **Raises:** `UserError` for anything else, and for directions that are zero, not finite or parallel.
    """
    wanted = f"`directions` is 'principal' or two arrays of {size} numbers or of the weight's shape {shape}"
    if isinstance(given, str) or not isinstance(given, Sequence | np.ndarray) or len(given) != 2:
        raise UserError(f"{wanted}; got {given!r}.")
    rows = []
    for one in given:
        try:
            array = np.asarray(one, np.float64)
        except (TypeError, ValueError) as error:
            raise UserError(f"{wanted}; got {type(one).__name__}.") from error
        if array.shape not in ((size,), shape):
            raise UserError(f"{wanted}; got one of the shape {array.shape}.")
        rows.append(np.pad(array.ravel(), (0, size - array.size)))
    found = np.stack(rows)
    lengths = np.linalg.norm(found, axis=1)
    if not np.isfinite(lengths).all() or not lengths.all():
        raise UserError("a direction is finite and not zero: choose two others, or 'principal'.")
    first, second = found / lengths[:, None]
    rest = second - (first @ second) * first
    if np.linalg.norm(rest) < STRAIGHT:
        raise UserError("the two directions are parallel and span no plane: choose another second one.")
    rest -= (first @ rest) * first
    return np.stack([first, rest / np.linalg.norm(rest)])


def shares(points: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """The share of the variance of `points` (n, size) along each direction, (2,). One half each where nothing varies."""
    centered = points - points.mean(axis=0)
    total = float(np.sum(centered**2))
    return np.sum((centered @ directions.T) ** 2, axis=0) / total if total > 0 else np.full(2, 0.5)


def axes(coordinates: np.ndarray, points: int, margin: float) -> np.ndarray:
    """`points` values along each axis, (2, points), that cover the `coordinates` (n, 2) and a `margin` of their extent on each
    side; the shorter side is at least `SHORT_SIDE` of the longer one."""
    low, high = coordinates.min(axis=0), coordinates.max(axis=0)
    sides = high - low
    longest = float(sides.max()) or 1.0
    sides = np.maximum(sides, SHORT_SIDE * longest) * (1.0 + 2.0 * margin)
    center = (low + high) / 2.0
    return np.stack([np.linspace(c - side / 2.0, c + side / 2.0, points) for c, side in zip(center, sides, strict=True)])
