"""What one tab watches: all rules in step, from one start and on the same batches, in a thread of their own."""

import queue
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from ascribe.errors import UserError
from ascribe.measures import score_name

from .bench import Bench
from .learner import Learner, Learning
from .messages import SPEEDS, USUAL_SPEED, Message
from .pictures import histogram, images

TRAINING = 0.1
"""Seconds of training between two frames, about; more where looking takes longer."""
DRAWN = 0.5
"""Seconds between two frames with pictures of weights, at least, while it plays."""
WAITING = 64
"""Messages that may wait, at most."""
FASTEST = len(SPEEDS) - 1


class Session:
    """The training of one tab.

    **Arguments:** `put`: is given what the page is told, from the session's thread: notes and frames, as plain JSON values.
    """

    def __init__(self, bench: Bench, put: Callable[[dict[str, Any]], None]):
        self._bench, self._put = bench, put
        self._messages: queue.Queue[Message | None] = queue.Queue(WAITING)
        self._stopped = threading.Event()
        self._learnings: dict[str, Learning] = {}
        self._seen: dict[str, Any] = {}
        self._rates = {name: float(one.recipe.setup.learning_rate) for name, one in bench.learners.items()}
        self._seed, self._speed, self._number = 0, USUAL_SPEED, 0
        self._playing, self._asked, self._owed, self._owed_at = False, 0, 0.0, 0.0
        self._at_once, self._drawn_at, self._framed_at, self._looking = 1, 0.0, 0.0, 0.0
        self._thread = threading.Thread(target=self._run, name="playground session", daemon=True)

    def start(self) -> None:
        """Begins; returns at once."""
        self._thread.start()

    def tell(self, message: Message) -> bool:
        """Whether there was room for what the page wants."""
        try:
            self._messages.put_nowait(message)
            return True
        except queue.Full:
            return False

    def stop(self) -> None:
        """Ends the thread after the program that it is in; returns at once."""
        self._stopped.set()
        try:
            self._messages.put_nowait(None)
        except queue.Full:
            return

    def join(self, timeout: float) -> bool:
        """Whether the thread has ended, at most `timeout` seconds later."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    @property
    def learners(self) -> dict[str, Learner]:
        """Those that could be compiled."""
        return {name: one for name, one in self._bench.learners.items() if name not in self._bench.problems}

    def _run(self) -> None:
        try:
            if not self._bench.wait(self._stopped.is_set, lambda left: self._put({"kind": "compiling", "left": left})):
                return
            self._put({"kind": "ready", "problems": dict(self._bench.problems)})
            if not self.learners:
                return
            self._begin()
            while not self._stopped.is_set():
                self._obey()
                count = self._due()
                if count:
                    self._train(count)
                    self._frame(now_and_then=True)
        except Exception as error:
            told = (
                str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
            )
            self._put({"kind": "ended", "why": told})
        finally:
            self._learnings.clear()

    def _begin(self) -> None:
        """Everything from the start that the seed decides."""
        self._learnings = {name: one.begin(self._seed, self._rates[name]) for name, one in self.learners.items()}
        self._steps = self._epoch = self._place = self._asked = 0
        self._number += 1
        first = next(iter(self.learners.values()))
        self._in_epoch, self._batches = first.steps_in_epoch, first.batches(self._seed, 0)
        self._frame(drawn=True)

    def _obey(self) -> None:
        """Does what was asked for; without anything else to do, waits for it."""
        busy = self._playing or self._asked
        try:
            message = self._messages.get(timeout=self._rest() if busy else None)
        except queue.Empty:
            return
        while message is not None and not self._stopped.is_set():
            self._act(message)
            try:
                message = self._messages.get_nowait()
            except queue.Empty:
                return

    def _act(self, message: Message) -> None:
        match message.do:
            case "play" | "pause":
                self._playing, self._asked, self._owed, self._owed_at = message.do == "play", 0, 0.0, time.monotonic()
                if self._playing:
                    self._say()
                else:
                    self._frame(drawn=True)
            case "step" | "epoch":
                self._playing = False
                begun = (self._place + self._asked) % self._in_epoch
                self._asked += 1 if message.do == "step" else self._in_epoch - begun
            case "rate":
                for name in self._rates if message.rule is None else [message.rule]:
                    self._rates[name] = message.value
                    if name in self._learnings:
                        self.learners[name].set_rate(self._learnings[name], message.value)
            case "speed":
                self._speed, self._owed, self._owed_at = message.value, 0.0, time.monotonic()
            case "seed":
                self._seed = message.value
                self._begin()
            case "restart":
                self._begin()

    def _rest(self) -> float:
        """Seconds until the next steps are due, those of one frame together."""
        if self._asked or self._speed == FASTEST:
            return 1e-4
        due = max((1 - self._owed) / SPEEDS[self._speed], TRAINING)
        return max(1e-4, due - (time.monotonic() - self._owed_at))

    def _due(self) -> int:
        """Steps to be done before the next frame, within this epoch."""
        most = min(self._at_once, self._in_epoch - self._place)
        if self._asked:
            return min(most, self._asked)
        if not self._playing or self._speed == FASTEST:
            return most if self._playing else 0
        now = time.monotonic()
        self._owed += SPEEDS[self._speed] * (now - self._owed_at)
        self._owed_at = now
        count = min(most, int(self._owed))
        self._owed = min(self._owed - count, 1.0)  # what cannot be done in time is not made up for later
        return count

    def _train(self, count: int) -> None:
        began = time.monotonic()
        for name, learner in self.learners.items():
            if self._stopped.is_set():
                return
            learner.advance(self._learnings[name], self._epoch, self._batches, self._place, count)
        self._steps += count
        self._place += count
        self._asked = max(0, self._asked - count)
        if self._place == self._in_epoch:
            self._epoch, self._place = self._epoch + 1, 0
            self._batches = next(iter(self.learners.values())).batches(self._seed, self._epoch)
        # Twice as many next time at most, for the first steps may have waited for something else.
        wanted = count * max(TRAINING, self._looking) / max(time.monotonic() - began, 1e-4)
        self._at_once = max(1, min(2 * self._at_once, int(wanted)))

    def _frame(self, *, drawn: bool = False, now_and_then: bool = False) -> None:
        """Tells the page how it stands; what is drawn of weights less often than numbers."""
        now = time.monotonic()
        if now_and_then and (self._playing or self._asked) and now - self._framed_at < max(TRAINING, self._looking):
            return
        drawn = drawn or now - self._drawn_at > DRAWN or not (self._playing or self._asked)
        found: dict[str, Any] = {}
        epoch = self._epoch - 1 if self._epoch and not self._place else self._epoch  # of the last step
        for name, learner in self.learners.items():
            if self._stopped.is_set():
                return
            found[name] = _told(learner, self._learnings[name], epoch, drawn=drawn)
        self._drawn_at = now if drawn else self._drawn_at
        self._framed_at = time.monotonic()
        self._looking = self._framed_at - now
        self._seen = {
            "kind": "frame",
            "run": self._number,
            "seed": self._seed,
            "step": self._steps,
            "epoch": self._epoch,
            "place": self._place,
            "rules": found,
        }
        self._say()

    def _say(self) -> None:
        """A frame of what was seen last."""
        self._put({**self._seen, "playing": self._playing})


def _told(learner: Learner, learning: Learning, epoch: int, *, drawn: bool) -> dict[str, Any]:
    """A run as the page has it; what is no number is None."""
    seen = learner.look(learning, epoch)
    measured, weights = seen["measured"], seen["weights"]
    score = learner.recipe.setup.score
    number = lambda value: float(value) if value is not None and np.isfinite(value) else None
    of_layers = lambda kind: [number(measured.get(f"{kind}/{name}")) for name in learner.template.synaptic]
    angles = of_layers("gradient_angle")  # without that of one layer, the angle of all says little
    told: dict[str, Any] = {
        "diverged": learning.diverged_at,
        "batches": number(learning.mean_loss()),
        "sample": [number(measured["sample_loss"]), number(measured.get(f"sample_{score}"))],
        "validation": [number(measured["validation_loss"]), number(measured.get(score_name("validation", str(score))))],
        "angle": None if None in angles else number(measured.get("gradient_angle")),
        "angles": angles,
        "ratios": of_layers("gradient_norm_ratio"),
        "active": [number(one) for one in seen["active"].values()],
    }
    if drawn:
        told["images"] = images(weights[learner.template.synaptic[0]], learner.recipe.data.input_shape)
        told["histograms"] = [histogram(one) for one in weights.values()]
    return told
