"""What a simulation leaves behind."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ascribe.errors import UserError, shown

from .quantities import Numbers
from .spikes import SpikeTrain


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Recording:
    """`t`: the times of the samples, seconds, `(samples,)`; `traces`: name to `(samples, …)`, "V" among them if it was
    recorded; `current`: the input at these times, `(samples, …)`; `spikes`: exact to the method, not to the samples.

    `shape`: of the neurons, `()` for one; `spikes` number them in this order. `blew_up`: neuron to the time, seconds, from
    which its state was not finite.
    """

    model: Any
    t: np.ndarray
    traces: Mapping[str, np.ndarray]
    current: np.ndarray
    spikes: SpikeTrain
    shape: tuple[int, ...]
    dt: float
    duration: float
    method: str
    blew_up: Mapping[int, float] = dataclasses.field(default_factory=dict)

    def __repr__(self) -> str:
        traces = ", ".join(self.traces) or "nothing"
        return f"<{type(self.model).__name__}, {self.duration:g} s: {len(self.t)} samples of {traces}; {self.spikes!r}>"

    def __getitem__(self, name: str) -> np.ndarray:
        if not isinstance(name, str) or name not in self.traces:
            raise UserError(
                f"{shown(name)} was not recorded; there is {', '.join(self.traces) or 'nothing'}; name it in `record`."
            )
        return self.traces[name]

    @property
    def V(self) -> np.ndarray:  # noqa: N802 - the notes' symbol
        """The voltage, `(samples, …)`: mV for Hodgkin–Huxley; for a LIF neuron in its own unit, v where it is
        normalized."""
        return self["V"]

    def rates(self) -> Numbers:
        """1 / the last interspike interval of every neuron, Hz, in the neurons' shape; 0 for those that do not fire on."""
        return self.spikes.steady_rates().reshape(self.shape)[()]

    def _repr_svg_(self) -> str:
        from .pictures import svg  # noqa: PLC0415

        return svg(self.chart())

    def chart(self, neuron: int = 0) -> Any:
        """One neuron's traces above its current, spikes marked, as an Altair chart."""
        from .pictures import traces  # noqa: PLC0415 - drawing takes a while to import

        return traces(self, neuron)

    def plot(self, path: str | Path, neuron: int = 0) -> Path:
        """`chart`, written as a PNG or SVG file, as the path ends."""
        from .pictures import save, traces  # noqa: PLC0415

        return save(traces(self, neuron), path)
