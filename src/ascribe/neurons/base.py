"""What every model of the wing keeps to: enough for `simulate` to step it, sample it, and know when it fired."""

from abc import abstractmethod
from typing import Any, ClassVar

import equinox as eqx

from ascribe.types import Array, Callable

Step = Callable[[Any, tuple[Array, ...], Array], Any]
"""(state, currents, number) → the state a step later. The currents are those at `places` within the step, and the number is
that of the step in its chunk (see `simulate`), from 0."""


class AbstractModel(eqx.Module):
    """Parameters as array leaves, which broadcast against each other and against the current: arrays are neurons side by
    side.

    `traces`: what can be recorded, "V" first; `methods`: how it is stepped, the default first; `default_step`: dt, seconds.
    """

    input_unit: ClassVar[str]
    traces: ClassVar[tuple[str, ...]]
    methods: ClassVar[tuple[str, ...]]
    default_step: ClassVar[float]

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """Of the neurons that the parameters stand for, `()` for one."""

    @property
    def voltage_title(self) -> str:
        """What stands at an axis of voltages."""
        return "V (mV)"

    @abstractmethod
    def check(self, dt: float) -> None:
        """**Raises:** `UserError` for a step that it cannot take."""

    @abstractmethod
    def window(self, dt: float) -> int:
        """How many steps a neuron surely spikes no more than once in, 1 at least."""

    @abstractmethod
    def start(self, shape: tuple[int, ...], dtype: Any, V: Any = None) -> Any:
        """The state at rest, or at the voltages V."""

    def places(self, method: str) -> tuple[float, ...]:
        """Where within a step the current is looked up: 0 is its start, 1 its end."""
        return (0.5,)

    def parts(self, dt: float, method: str) -> int:
        """In how many parts a step is taken: a power of two, since a program is compiled for each number of them."""
        return 1

    @abstractmethod
    def stepper(self, dt: Array, method: str, parts: int = 1) -> tuple[Callable[[Any], Any], Step]:
        """What is done to the first state, and what is done in every step. `dt` in seconds."""

    @abstractmethod
    def read(self, state: Any) -> dict[str, Array]:
        """Every trace at the state's time."""

    def spike(self, state: Any) -> Array | None:
        """When in this chunk each neuron fired, in steps, −∞ where it did not; None where spikes are upward crossings of
        `level` by V."""
        return None

    def next_chunk(self, state: Any, steps: int, dt: Array) -> Any:
        """The state at the start of a chunk, from that at the end of the one before it, of so many steps."""
        return state

    @property
    def level(self) -> Array:
        """The voltage whose upward crossing is a spike, where `spike` is None."""
        raise NotImplementedError
