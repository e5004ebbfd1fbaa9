"""What the terminal shows while an experiment runs: a live line a rule, on standard error."""

import sys
import time
from collections.abc import Sequence
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

from ascribe import training


class Lines:
    """A listener. On a terminal every rule has a bar; elsewhere (a log file) it has one line when it begins a phase."""

    def __init__(self) -> None:
        console = Console(stderr=True)
        self._live = console.is_terminal
        self._bars = Progress(
            TextColumn("{task.description:<28}"),
            TextColumn("{task.fields[phase]:<10}"),
            BarColumn(),
            TextColumn("loss {task.fields[loss]:>8}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not self._live,
        )
        self._tasks: dict[str, TaskID] = {}
        self._phases: dict[str, str] = {}
        self._first: list[str] = []
        self._began = time.monotonic()

    def __enter__(self) -> "Lines":
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def __call__(self, progress: training.Progress) -> None:
        self._begin()
        if not self._live:
            if self._phases.get(progress.rule) != progress.phase:
                self.say(f"{progress.rule}: {progress.phase}")
            self._phases[progress.rule] = progress.phase
            return
        if progress.rule not in self._tasks:
            self._tasks[progress.rule] = self._bars.add_task(progress.rule, phase="", loss="", total=progress.total)
        loss = "" if progress.loss != progress.loss else f"{progress.loss:.4g}"
        self._bars.update(
            self._tasks[progress.rule],
            phase=progress.phase,
            completed=progress.done,
            total=progress.total,
            loss=loss,
        )

    def begin_with(self, sentences: Sequence[str]) -> None:
        """What is said before the first word of what follows."""
        self._first = [*sentences]

    def _begin(self) -> None:
        sentences, self._first = self._first, []
        for sentence in sentences:
            self.say(sentence)

    def say(self, sentence: str) -> None:
        """One line, whatever the terminal."""
        self._begin()
        if self._live:
            self._bars.console.print(Text(sentence), style="dim")  # whose [brackets] are no markup
        else:
            # One write: rules are compiled in threads, whose lines must not run into each other.
            sys.stderr.write(f"[{time.monotonic() - self._began:6.1f} s] {sentence}\n")
            sys.stderr.flush()
