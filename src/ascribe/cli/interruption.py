"""Ctrl-C, and the request of a cluster to end: what is under way is finished to the next occasion, and kept."""

import shlex
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
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


def stop_at_once(number: int, frame: FrameType | None) -> None:
    """The answer of work that keeps nothing on its way."""
    raise KeyboardInterrupt


@contextmanager
def stopping_at_a_signal(store: Any, lines: Lines, options: Mapping[str, str | None]) -> Iterator[None]:
    """The first signal ends the work at the next occasion, a second one at once; both say with which options to go on."""

    def answer(number: int, frame: FrameType | None) -> None:
        if store.stopping:
            raise KeyboardInterrupt
        store.stop()
        lines.say("finishing what is under way; once more ends it at once", anyway=True)

    try:
        with answering(answer):
            yield
    except KeyboardInterrupt as error:
        if store.empty():
            raise KeyboardInterrupt from None
        stopped = str(error) or "stopped at once"
        given = ([f"--{name}", *([] if value is None else [value])] for name, value in options.items())
        again = f"{shlex.join([word for words in given for word in words])} --resume"
        raise Interrupted(f"{stopped}; what was done is kept: go on with the same data and {again}") from None
