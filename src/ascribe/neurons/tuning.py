"""The tuning curve: how fast a neuron fires under each constant current.

Source: "Neural networks" (course notes), section 1.4, "LIF Firing Rate".
"""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from ascribe.errors import UserError

from .base import AbstractModel
from .lif import LIF
from .quantities import numbers
from .simulate import simulate


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class TuningCurve:
    """`currents` and `rates`, Hz, `(n,)` each, simulated; `analytic`: the closed form at the same currents, where there is
    one."""

    model: Any
    currents: np.ndarray
    rates: np.ndarray
    analytic: np.ndarray | None

    def __repr__(self) -> str:
        return (
            f"<tuning curve of {type(self.model).__name__}: {len(self.currents)} currents, {self.rates.min():.4g} to "
            f"{self.rates.max():.4g} Hz>"
        )

    def _repr_svg_(self) -> str:
        from .pictures import svg  # noqa: PLC0415

        return svg(self.chart())

    def chart(self) -> Any:
        """The curve, the closed form as a line under it, as an Altair chart."""
        from .pictures import tuning  # noqa: PLC0415 - drawing takes a while to import

        return tuning(self)

    def plot(self, path: str | Path) -> Path:
        """`chart`, written as a PNG or SVG file, as the path ends."""
        from .pictures import save  # noqa: PLC0415

        return save(self.chart(), path)


def tuning_curve(model: Any, currents: Any, duration: Any = 1.0, **options: Any) -> TuningCurve:
    """The steady rate, 1 / the last interspike interval, under each of the currents, from rest, all simulated at once.

    **Arguments:** `model`: one neuron, Hodgkin–Huxley or LIF; `currents`: `(n,)`; `duration`: seconds of each, several
    intervals of the slowest rate that matters; `options`: of `simulate`.

    A Hodgkin–Huxley neuron of the squid that starts at rest fires on from 6.2603 µA/cm². One that is firing already goes on
    down to where it meets an unstable oscillation: from 6.26 to 9.78 the rate depends on how the current came to be.

    **Raises:** `UserError` for a model that is no single neuron, and as `simulate`.
    """
    if not isinstance(model, AbstractModel) or model.shape != ():
        raise UserError(f"a tuning curve is of one neuron, a HodgkinHuxley or a LIF; got {type(model).__name__}.")
    given = np.atleast_1d(numbers("the currents", currents, model.input_unit))
    if given.ndim != 1 or not given.size:
        raise UserError(f"currents are a list of numbers; got the shape {given.shape}.")
    found = simulate(model, given, duration, record=(), **options)
    analytic = np.atleast_1d(model.rate(model.drive(given))) if isinstance(model, LIF) else None
    return TuningCurve(model, given, np.atleast_1d(found.rates()), analytic)
