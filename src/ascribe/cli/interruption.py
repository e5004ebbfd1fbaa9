"""Ctrl-C, and the request of a cluster to end: what is under way is finished to the next occasion, and kept."""

import shlex
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from ascribe.errors import Interrupted

from .progress import Lines


@contextmanager
def answering(answer: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Both signals are answered by this function, where this is the main thread."""
    mine = threading.current_thread() is threading.main_thread()
    before = {number: signal.signal(number, answer) for number in (signal.SIGINT, signal.SIGTERM)} if mine else {}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def stopping_at_a_signal(store: Any, lines: Lines, folder: Path, place: str | None) -> Iterator[None]:
    """The first signal ends the work at the next occasion, a second one at once; both say how to go on."""

    def answer(number: int, frame: FrameType | None) -> None:
        if store.stopping:
            raise KeyboardInterrupt
        store.stop()
        lines.say("finishing what is under way; once more ends it at once")

    try:
        with answering(answer):
            yield
    except KeyboardInterrupt as error:
        if store.empty():
            raise KeyboardInterrupt from None
        where = f" --store {shlex.quote(place)}" if place else ""
        stopped = str(error) or "stopped at once"
        again = f"--out {shlex.quote(str(folder))}{where} --resume"
        raise Interrupted(f"{stopped}; what was done is kept: go on with the same data and {again}") from None
