"""What the terminal shows while an experiment runs: a live line a rule, on standard error."""

import sys
import threading
import time
from collections.abc import Sequence
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

from ascribe import training

from .console import duration

TRAINING = ("searching", "tuning", "training")
"""The phases that count epochs."""
PAUSE = 5.0
"""Seconds between two lines of one phase, where they stay: in a log file."""


class Lines:
    """A listener. On a terminal every rule has a bar; elsewhere (a pipe, a log file) it has a line when it begins a phase, with
    how much there is to do, and one every few seconds with how far it is. With `quiet` there is neither."""

    def __init__(self, *, quiet: bool = False) -> None:
        console = Console(stderr=True)
        self._quiet, self._live = quiet, console.is_terminal
        self._bars = Progress(
            TextColumn("{task.description:<28}"),
            TextColumn("{task.fields[phase]:<10}"),
            BarColumn(),
            TextColumn("loss {task.fields[loss]:>8}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=quiet or not self._live,
        )
        self._tasks: dict[str, TaskID] = {}
        self._phases: dict[str, _Phase] = {}
        self._first: list[str] = []
        self._began = self._told = time.monotonic()
        self._ended = threading.Event()
        self._clock = threading.Thread(target=self._tick, name="ascribe-progress", daemon=True)

    def __enter__(self) -> "Lines":
        self._bars.start()
        if not (self._live or self._quiet):
            self._clock.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._bars.stop()
        self._ended.set()

    def __call__(self, progress: training.Progress) -> None:
        if self._quiet:
            return
        self._begin()
        if not self._live:
            self._note(progress)
            return
        if progress.rule not in self._tasks:
            self._tasks[progress.rule] = self._bars.add_task(progress.rule, phase="", loss="", total=progress.total)
        loss = "" if progress.loss != progress.loss else f"{progress.loss:.4g}"
        self._bars.update(
            self._tasks[progress.rule], phase=progress.phase, completed=progress.done, total=progress.total, loss=loss
        )

    def _note(self, progress: training.Progress) -> None:
        phase = self._phases.get(progress.rule)
        if phase is None or phase.name != progress.phase:
            phase = self._phases[progress.rule] = _Phase(progress)
            many = f", {progress.total} epochs over all its runs" if progress.phase in TRAINING else ""
            self.say(f"{progress.rule}: {progress.phase}{many}")
        phase.latest = progress

    def _tick(self) -> None:
        """Says every few seconds how far it is, also while nothing is heard, as from a compiler."""
        while not self._ended.wait(PAUSE / 5):
            if time.monotonic() - self._told > PAUSE:
                state = self._state()
                if state:
                    self.say(state)

    def _state(self) -> str:
        """How far the work is that was begun and is not done."""
        phases = dict(self._phases)
        under_way = {rule: phase for rule, phase in phases.items() if 0 < phase.latest.done < phase.latest.total}
        if len(under_way) == 1:
            ((rule, phase),) = under_way.items()
            loss = "" if phase.latest.loss != phase.latest.loss else f", loss {phase.latest.loss:.4g}"
            return f"{rule}: {phase.name} {_how_far([phase])}{loss}"
        if under_way:  # on the workers of a cluster
            return f"{len(under_way)} rules at once: {_how_far([*under_way.values()])}"
        compiling = [rule for rule, phase in phases.items() if phase.name == "compiling"]
        since = time.monotonic() - min((phases[rule].began for rule in compiling), default=0.0)
        return f"compiling for {since:.0f} s: {', '.join(compiling)}" if compiling else ""

    def begin_with(self, sentences: Sequence[str]) -> None:
        """What is said before the first word of what follows."""
        self._first = [*sentences]

    def _begin(self) -> None:
        sentences, self._first = self._first, []
        for sentence in sentences:
            self.say(sentence)

    def say(self, sentence: str, *, anyway: bool = False) -> None:
        """One line, whatever the terminal; `anyway`: also where it is to be quiet."""
        if self._quiet and not anyway:
            return
        self._begin()
        if self._live:
            self._bars.console.print(Text(sentence), style="dim")  # whose [brackets] are no markup
        else:
            # One write: rules are compiled in threads, whose lines must not run into each other.
            self._told = time.monotonic()
            sys.stderr.write(f"[{self._told - self._began:6.1f} s] {sentence}\n")
            sys.stderr.flush()


class _Phase:
    """A rule's phase since it began."""

    def __init__(self, first: training.Progress) -> None:
        self.name, self.first, self.latest = first.phase, first, first
        self.began = time.monotonic()


def _how_far(phases: list[_Phase]) -> str:
    """How far these are, and when they will be done if the rest is as fast as what was heard of."""
    begun, done, total = (
        sum(counts) for counts in zip(*((one.first.done, one.latest.done, one.latest.total) for one in phases), strict=True)
    )
    words = f"{100 * done / total:.0f} % of {total}"
    if done > begun:
        left = (time.monotonic() - min(one.began for one in phases)) / (done - begun) * (total - done)
        words += f", about {duration(left)} left of this"
    return words
