"""The store of an experiment: opened, its end recorded, and what the numbers in it were made with."""

import importlib.metadata
import platform
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import jax

import ascribe
from ascribe.errors import UserError
from ascribe.store import Store
from ascribe.training import NOTHING, Keeper, devices, processes
from ascribe.training.processes import shared


def open_store(place: str | Path | Keeper | None) -> Keeper:
    """The store of that place, where it is not open yet; `NOTHING` where nothing is kept."""
    if place is None:
        return NOTHING
    keeper = place if isinstance(place, Keeper) else shared(lambda: Store(place, versions=versions()))
    if isinstance(keeper, Store):
        keeper.versions = versions()
    return keeper


@contextmanager
def recorded_end(keeper: Keeper) -> Iterator[None]:
    """Where the work ends before its end, the store says so."""
    try:
        yield
    except BaseException as error:
        with suppress(UserError):  # such as: the disk is full, which the error says already
            keeper.end("interrupted" if isinstance(error, KeyboardInterrupt) else "failed")
            keeper.close()
        raise


def warn_outdated(count: int) -> None:
    """One sentence where so many runs are trained although a store has them."""
    if count and processes.number() == 0:
        warnings.warn(
            f"the store has {count} of these runs as other code made them: since then, what decides a run has changed in "
            f"ascribe, in a rule, or in JAX, Equinox or Optax. What is there stays there, and is trained anew.",
            stacklevel=4,
        )


def versions() -> dict[str, str]:
    """What the numbers were made with."""
    packages = {name: importlib.metadata.version(name) for name in ("jax", "jaxlib", "equinox", "optax", "numpy")}
    machine = {"devices": f"{devices.count()} × {jax.devices()[0].device_kind}", "cores": str(devices.cores())}
    return {"ascribe": ascribe.__version__, "python": platform.python_version(), **packages, **machine}
