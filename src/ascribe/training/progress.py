"""What a running experiment says of itself, and who listens.

A listener is a function of `Progress`. One that wants numbers is an object that can be called so and has one or both of two
methods more, which are called from the main thread alone:

- `epochs(epochs)`, after every chunk of epochs, with what they brought (`Epochs`);
- `finished(runs)`, when all final runs of a rule are there, with their `Runs`: curves, scores, networks.

Nobody is called from inside the compiled loop, and the numbers stay on the device until somebody reads `epochs.curves`.
"""

import dataclasses
import functools
import importlib
import inspect
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from ascribe.errors import UserError, shown


class Progress(NamedTuple):
    """`rule` in `phase` (`"compiling"`, `"tuning"`, `"training"`) has done `done` of `total` run-epochs; `loss` is the
    latest mean training loss of its runs (NaN before the first epoch)."""

    rule: str
    phase: str
    done: int
    total: int
    loss: float


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Epochs:
    """The epochs from `start` (the first is 0) up to but without `stop`, of `total`, that runs of `rule` have just done in
    `phase` (`"tuning"`, `"searching"`, `"training"`). `seeds`, `learning_rates`, `hyperparameters`: one entry a run."""

    rule: str
    phase: str
    seeds: tuple[int, ...]
    learning_rates: tuple[float, ...]
    hyperparameters: tuple[dict[str, Any], ...]
    start: int
    stop: int
    total: int
    on_device: Mapping[str, Any]

    @functools.cached_property
    def curves(self) -> dict[str, np.ndarray]:
        """What these epochs added to every curve, `(runs, stop - start)`; fetched when it is first read, and once."""
        for part in jax.tree.leaves(self.on_device):
            part.copy_to_host_async()
        return {name: jax.tree.map(self._new, curve).numbers() for name, curve in self.on_device.items()}

    def _new(self, curve: jax.Array) -> np.ndarray:
        """The new columns. They are cut out on this side: a CPU's arrays are seen without a copy, an accelerator's curves are
        kilobytes, and a slice on the devices takes a millisecond a curve, and a compilation for every number of epochs."""
        own = [shard for shard in curve.addressable_shards if shard.replica_id == 0]
        shards = sorted(own, key=lambda shard: shard.index[0].start or 0)
        columns = [np.asarray(shard.data)[:, self.start : self.stop] for shard in shards]
        return np.concatenate(columns)[: len(self.seeds)]


Listener = Callable[[Progress], None]
"""Called between chunks of epochs, and, while several rules are compiled at once, from several threads."""


def tell(listener: Listener, method: str, news: Any) -> None:
    """`listener.method(news)`, where it has such a method."""
    hear = getattr(listener, method, None)
    if hear is not None:
        hear(news)


class Listeners:
    """Several listeners as one: `listener=Listeners(print, TensorBoardLogger("logs"))`. Each hears everything, in order."""

    def __init__(self, *listeners: Listener):
        self.listeners = listeners

    def __call__(self, progress: Progress) -> None:
        for listener in self.listeners:
            listener(progress)

    def epochs(self, epochs: Epochs) -> None:
        for listener in self.listeners:
            tell(listener, "epochs", epochs)

    def finished(self, runs: Any) -> None:
        for listener in self.listeners:
            tell(listener, "finished", runs)


class Renamed:
    """Tells a listener everything, with an addition to the names of the rules: `Renamed(print, ", fold 2")`."""

    def __init__(self, listener: Listener, addition: str):
        self.listener, self.addition = listener, addition

    def __call__(self, progress: Progress) -> None:
        self.listener(progress._replace(rule=progress.rule + self.addition))

    def epochs(self, epochs: Epochs) -> None:
        tell(self.listener, "epochs", dataclasses.replace(epochs, rule=epochs.rule + self.addition))

    def finished(self, runs: Any) -> None:
        tell(self.listener, "finished", dataclasses.replace(runs, rule=runs.rule + self.addition))


def silent(progress: Progress) -> None:
    """Tells nobody."""


PAUSE = 0.1
"""Seconds between two states of a line, at least."""


class OneLine:
    """A listener that keeps one line up to date: which rule, in which phase, how far, and its loss.

    In a notebook `train` and `compare` have it by themselves; beside a logger it is
    `listener=Listeners(OneLine(), TensorBoardLogger("logs"))`. Elsewhere than in a notebook it writes to standard error.
    """

    def __init__(self) -> None:
        self._began, self._due, self._seen, self._display = time.monotonic(), 0.0, ("", ""), None
        if _kernel() is not None:
            display = importlib.import_module("IPython.display").display
            self._display = display({"text/plain": "…"}, raw=True, display_id=True)

    def __call__(self, progress: Progress) -> None:
        now, seen = time.monotonic(), (progress.rule, progress.phase)
        if now < self._due and seen == self._seen and progress.done < progress.total:
            return
        self._due, self._seen = now + PAUSE, seen
        words = ": ".join(seen)
        words += f" {100 * progress.done / progress.total:.0f} %" if progress.done else ""
        words += f", loss {progress.loss:.4g}" if progress.loss == progress.loss else ""
        words = " ".join(f"{words} ({now - self._began:.0f} s)".split())
        if self._display is None:
            sys.stderr.write(f"\r{words[:79]:<79}")
            sys.stderr.flush()
        else:
            self._display.update({"text/plain": words}, raw=True)

    def finished(self, runs: Any) -> None:
        if self._display is None:
            sys.stderr.write("\n")


_lines: dict[int, OneLine] = {}


def _takes_one(function: Any) -> bool:
    """Whether it can be called with one argument, as far as it tells."""
    try:
        inspect.signature(function).bind(None)
    except TypeError:
        return False
    except ValueError:  # a built-in function, which does not tell
        pass
    return True


def or_one_line(listener: Listener | None) -> Listener:
    """The listener; where it is None, one line in a notebook, which everything in one cell shares, and `silent` elsewhere."""
    if listener is not None:
        if not callable(listener) or isinstance(listener, type) or not _takes_one(listener):
            raise UserError(
                f"`listener` is called with a Progress, as a function or a logger of ascribe.loggers is; got {shown(listener)}."
            )
        return listener
    kernel = _kernel()
    if kernel is None:
        return silent
    if kernel.execution_count not in _lines:
        _lines.clear()
        _lines[kernel.execution_count] = OneLine()
    return _lines[kernel.execution_count]


def _kernel() -> Any:
    """IPython's shell, where it is that of a notebook; nothing is imported to find out."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return shell if getattr(shell, "kernel", None) is not None else None
