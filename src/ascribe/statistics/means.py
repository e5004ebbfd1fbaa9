"""Means and Student-t intervals over seeds that know how to leave out the runs that diverged."""

from collections.abc import Iterable

import numpy as np
from scipy.special import stdtrit

from ascribe.checks import refusal, share, whole
from ascribe.errors import UserError, shown

from ._checks import exponent

LEVEL = 0.95
DASH = "–"
FEWEST = 3
"""Seeds that an interval is told of at least: over two it is right, and so wide that it says nothing."""


def interval(values: np.ndarray, axis: int = 0, level: float = LEVEL) -> tuple[np.ndarray, np.ndarray]:
    """Mean and half width of its two-sided Student-t interval along `axis`, over the finite values only.

    **Arguments:** - `values`: any shape; NaN and infinities count as missing. - `level`: coverage, 0 to 1.

    **Returns:** `(mean, half_width)` without `axis`: NaN mean where nothing is finite, NaN half width where fewer
    than two values are.
    """
    level = share("level", level, f"try {LEVEL}")
    if whole(axis) is None:
        raise refusal("axis", "the number of an axis", shown(axis))
    values = np.asarray(values, dtype=np.float64)
    finite, shift = np.isfinite(values), exponent(values)
    values = np.ldexp(values, -shift)
    count = finite.sum(axis=axis).astype(np.float64)
    # The masked sums are spelled out because numpy.nanmean warns on an empty slice, which here is an ordinary case.
    with np.errstate(all="ignore"):
        mean = np.where(finite, values, 0.0).sum(axis=axis) / count
        deviations = np.where(finite, values - np.expand_dims(mean, axis), 0.0)
        variance = (deviations**2).sum(axis=axis) / (count - 1.0)
        half_width = stdtrit(np.maximum(count - 1.0, 1.0), 0.5 + level / 2.0) * np.sqrt(variance / count)
    with np.errstate(over="ignore"):  # a half width may be beyond all floats
        mean, half_width = np.ldexp(mean, shift), np.ldexp(half_width, shift)
    return np.asarray(mean), np.where(count > 1.0, half_width, np.nan)


def finished(values: np.ndarray, diverged: np.ndarray) -> np.ndarray:
    """`values` (seeds, ...) in float64, with NaN in the rows of the seeds that diverged."""
    values = np.array(values, dtype=np.float64)
    values[np.asarray(diverged, dtype=bool)] = np.nan
    return values


def optional(value: float | np.ndarray) -> float | None:
    """A Python float, or None where `value` is not finite."""
    return float(value) if np.isfinite(value) else None


def plus_minus(mean: float | None, half_width: float | None, count: int, *, percent: bool = False, signed: bool = False) -> str:
    """A mean of `count` values with the half width of its interval as text, `97.50 ± 0.31`, in per cent or in the unit itself;
    None is a dash, and so is a half width over fewer than `FEWEST` values.

        >>> plus_minus(0.975, 0.0031, 8, percent=True)
        '97.50 ± 0.31'
    """
    if mean is None:
        return DASH
    half_width = half_width if count >= FEWEST else None
    # As many decimals as the interval deserves: two digits of it, and at least one decimal in per cent.
    scale = 100.0 if percent else 1.0
    width = scale * half_width if half_width else 0.0
    decimals = 2 if percent else decimals_of(width if width > 0.0 else abs(scale * mean) / 100.0)
    text = f"{scale * mean:{'+' if signed else ''}.{decimals}f}".replace("-", "−")
    return f"{text} ± {DASH if half_width is None else f'{width:.{decimals}f}'}"


def band(values: np.ndarray, half_width: np.ndarray) -> np.ndarray:
    """`half_width`, of the means along the first axis of `values`, as it is drawn: 0 over fewer than `FEWEST` finite values.

    >>> band(np.array([[1.0, 1.0], [2.0, 2.0], [np.nan, 3.0]]), np.array([6.4, 2.5])).tolist()
    [0.0, 2.5]
    """
    try:
        return np.where(np.isfinite(np.asarray(values, float)).sum(axis=0) >= FEWEST, np.asarray(half_width, float), 0.0)
    except (TypeError, ValueError) as error:
        raise UserError(f"a band is drawn of numbers (runs, …) and the half widths of their means (…); {error}.") from error


def too_few(counts: Iterable[int], one: str = "seed") -> str:
    """A sentence on intervals over so many seeds, or folds, each, where some are too few; else empty."""
    return f"± {DASH}: too few {one}s, fewer than {FEWEST}." if any(0 < count < FEWEST for count in counts) else ""


def decimals_of(size: float) -> int:
    """How many decimals show two digits of `size`: none to eight; three for a size of 0."""
    return int(np.clip(1 - np.floor(np.log10(size)), 0, 8)) if size > 0.0 else 3
