"""What is compiled once, for all tabs: the learner of every rule, and of the control."""

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ascribe import training
from ascribe.datasets import Dataset
from ascribe.errors import UserError
from ascribe.experiments import controls
from ascribe.rules import AbstractRule
from ascribe.training import NetworkSource, Recipe, Setup, loop

from .learner import Learner

CONTROL = "frozen"
COMPILING = "ascribe-compiling"
"""What the threads' names begin with."""


def recipes(data: Dataset, chosen: Mapping[str, AbstractRule], source: NetworkSource, setup: Setup) -> dict[str, Recipe]:
    """What every rule trains, and the control where it means something: all on the same batches.

    **Raises:** `UserError` where a rule cannot train this network, or forces batches of another size.
    """
    found = {name: training.complete(training.honor(rule, name, source, data, setup)) for name, rule in chosen.items()}
    sizes = {recipe.setup.batch_size for recipe in found.values()}
    if len(sizes) > 1:
        told = ", ".join(f"{name} {recipe.setup.batch_size}" for name, recipe in found.items())
        raise UserError(
            f"all rules learn from the same batches here, and these want other sizes ({told}): leave some out, or choose the "
            f"batch size that they force."
        )
    same = next(iter(found.values())).setup
    asked = Setup(batch_size=same.batch_size, optimizer=setup.optimizer, loss=setup.loss, learning_rate=setup.learning_rate)
    return found | controls.recipes((CONTROL,), source, data, asked, found)[0]


class Bench:
    """The learners, while and after they are compiled, several at a time."""

    def __init__(self, recipes: Mapping[str, Recipe]):
        placed: dict[Any, loop.Data] = {}
        self.learners = {name: Learner(recipe, placed) for name, recipe in recipes.items()}
        self.problems: dict[str, str] = {}
        self._ready: list[str] = []
        self._changed, self._ended = threading.Condition(), False
        self._threads = ThreadPoolExecutor(min(len(self.learners), training.devices.cores()), COMPILING)

    def begin(self) -> None:
        """Compiles, in threads of its own."""
        for name in self.learners:
            self._threads.submit(self._compile, name)

    def end(self, seconds: float) -> None:
        """Compiles nothing more, and waits at most so long for what is being compiled, which cannot be stopped."""
        self._ended = True
        with self._changed:
            self._changed.notify_all()
        self._threads.shutdown(wait=False, cancel_futures=True)
        until = time.monotonic() + seconds
        while compiling() and time.monotonic() < until:
            time.sleep(0.02)

    def wait(self, stopped: Callable[[], bool], told: Callable[[list[str]], None]) -> bool:
        """Until all is compiled: whether that came true before `stopped`. `told` hears the names that are not ready yet, again
        whenever there are fewer."""
        last = None
        with self._changed:
            while not (stopped() or self._ended):
                left = [name for name in self.learners if name not in self._ready and name not in self.problems]
                if not left:
                    return True
                if left != last:
                    told(left)
                last = left
                self._changed.wait(0.2)
        return False

    def _compile(self, name: str) -> None:
        problem = ""
        try:
            if not self._ended:
                self.learners[name].compile(lambda: self._ended)
        except Exception as error:  # of one rule; the others learn all the same
            problem = (
                str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
            )
        with self._changed:
            if problem:
                self.problems[name] = problem
            else:
                self._ready.append(name)
            self._changed.notify_all()


def compiling() -> bool:
    """Whether this process compiles for a live playground, also for one that has ended."""
    return any(thread.name.startswith(COMPILING) for thread in threading.enumerate())
