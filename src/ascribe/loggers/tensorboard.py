"""Curves for TensorBoard, while they are drawn."""

import itertools
import time
import urllib.parse
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ascribe.checks import at_least, flag
from ascribe.errors import UserError, needed
from ascribe.files import path_of
from ascribe.training import Epochs, Progress, Runs

from .common import picked
from .records import framed

FILE = "events.out.tfevents.ascribe"


class TensorBoardLogger:
    """A listener that writes TensorBoard's event files, a folder a run: `FOLDER/RULE/seed-3`.

    `ascribe.compare(data, listener=TensorBoardLogger("logs"))`, beside it `tensorboard --logdir logs`. Every curve is a
    scalar by its own name, with the epoch (from 1) as its step; the final scores follow at the last one; seed, learning
    rate and tuned numbers are hyperparameters (the dashboard HParams). A folder that is there already is never written
    into: a second `backpropagation` goes to `backpropagation-2`. Files are open only while a chunk is written, so there is
    nothing to close. TensorFlow is not needed, and no port is opened.

    **Arguments:**

    - `folder`: where the runs' folders go; made if it is missing;
    - `points`: about how many points a curve gets at most (TensorBoard itself shows 1,000);
    - `tuning`: whether the candidates of tuning are written too, as `FOLDER/tuning/RULE/…`.

    **Raises:** `UserError` without the extra `tensorboard`, and where the folder cannot be made. A file that cannot be
    written later is a warning, and the end of the log: it must never cost the numbers.
    """

    def __init__(self, folder: str | Path, *, points: int = 1000, tuning: bool = False):
        self.folder = path_of(folder, "a folder for TensorBoard")
        self.points, self.tuning = at_least(1, "points", points), flag("tuning", tuning)
        modules = ("compat.proto.event_pb2", "compat.proto.summary_pb2", "plugins.hparams.summary_v2")
        event, summary, hparams = (needed(f"tensorboard.{name}", "tensorboard", "this logger") for name in modules)
        self._event, self._summary, self._hparams = event.Event, summary.Summary, hparams.hparams_pb
        self._folders: dict[tuple[str, str], Path] = {}
        self._broken = False
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"{str(folder)!r} is no folder to log into ({error.strerror}): choose another.") from error

    def __call__(self, progress: Progress) -> None:
        """Progress alone is no news here."""

    def epochs(self, epochs: Epochs) -> None:
        """Appends what a chunk of epochs added to every curve."""
        if self._broken or epochs.phase not in (("training", "tuning") if self.tuning else ("training",)):
            return
        chosen = picked(epochs, self.points)
        if not chosen and epochs.start > 0:
            return
        try:
            found = {}
            for run, name in enumerate(_names(epochs)):
                folder = self._folder_of(epochs, name) / name
                folder.mkdir(exist_ok=True)
                head = self._head(epochs, run, folder) if epochs.start == 0 else ()
                values = {tag: curve[run].tolist() for tag, curve in epochs.curves.items()}
                rows = (
                    self._scalars(epoch + 1, {tag: curve[epoch - epochs.start] for tag, curve in values.items()})
                    for epoch in chosen
                )
                found[folder] = [*head, *rows]
            self._append(found)
        except OSError as error:
            self._give_up(error)

    def finished(self, runs: Runs) -> None:
        """Appends the final scores, at the last epoch."""
        folder = self._folders.pop((runs.rule, "training"), None)
        if self._broken or folder is None:
            return
        epochs = runs.curves["train_loss"].shape[1]
        try:
            found = {}
            for run, seed in enumerate(runs.seeds):
                scores = {name: float(values[run]) for name, values in runs.scores.items()}
                if runs.diverged[run]:
                    scores["diverged_at"] = float(runs.diverged_at[run] + 1)
                found[folder / f"seed-{seed}"] = [self._scalars(epochs, scores)]
            self._append(found)
        except OSError as error:
            self._give_up(error)

    def _folder_of(self, epochs: Epochs, name: str) -> Path:
        """The folder of the rule's runs in this phase; a new one where a run of that name was begun before."""
        key = (epochs.rule, epochs.phase)
        folder = self._folders.get(key)
        if folder is None or (epochs.start == 0 and (folder / name).exists()):
            parent = self.folder if epochs.phase == "training" else self.folder / epochs.phase
            folder = self._folders[key] = _fresh(parent, epochs.rule)
        return folder

    def _head(self, epochs: Epochs, run: int, folder: Path) -> tuple[Any, Any]:
        """The two events that a run's file begins with: the format, and what sets the run apart."""
        about = {"rule": epochs.rule, "seed": epochs.seeds[run], "learning_rate": epochs.learning_rates[run]}
        about |= {name: float(value) for name, value in epochs.hyperparameters[run].items()}
        now = time.time()
        summary = self._hparams(about, trial_id=str(folder.relative_to(self.folder)), start_time_secs=now)
        return self._event(wall_time=now, file_version="brain.Event:2"), self._event(wall_time=now, summary=summary)

    def _scalars(self, step: int, values: Mapping[str, float]) -> Any:
        found = [self._summary.Value(tag=tag, simple_value=value) for tag, value in values.items()]
        return self._event(wall_time=time.time(), step=step, summary=self._summary(value=found))

    def _append(self, events: Mapping[Path, list[Any]]) -> None:
        """The events of several folders at once."""
        records = iter(framed([event.SerializeToString() for these in events.values() for event in these]))
        for folder, these in events.items():
            with (folder / FILE).open("ab") as file:
                file.write(b"".join(itertools.islice(records, len(these))))

    def _give_up(self, error: OSError) -> None:
        self._broken = True
        reason = error.strerror or error
        warnings.warn(f"no more is logged in {str(self.folder)!r} ({reason}); training goes on.", stacklevel=4)


def _names(epochs: Epochs) -> list[str]:
    """A name for every run: its seed, and while rates and others are tuned, those too."""
    if epochs.phase == "training":
        return [f"seed-{seed}" for seed in epochs.seeds]
    both = zip(epochs.learning_rates, epochs.hyperparameters, epochs.seeds, strict=True)
    tuned = lambda rate, others: {"learning_rate": rate, **others}.items()
    return [
        ",".join(f"{_file_name(name)}={value:.8g}" for name, value in tuned(rate, others)) + f",seed-{seed}"
        for rate, others, seed in both
    ]


def _fresh(parent: Path, rule: str) -> Path:
    """Makes the first of `RULE`, `RULE-2`, … that is not there yet."""
    for name in _numbered(_file_name(rule)):
        try:
            (parent / name).mkdir(parents=True)
            return parent / name
        except FileExistsError:
            continue
    raise AssertionError


def _numbered(name: str) -> Iterator[str]:
    yield name
    yield from (f"{name}-{number}" for number in itertools.count(2))


def _file_name(name: str) -> str:
    """The name without what a path must not hold, `./mine.py:Rule` as `.%2Fmine.py%3ARule`."""
    quoted = urllib.parse.quote(name, safe=" =,+@()")
    return quoted.replace(".", "%2E") if not quoted.strip(".") else quoted
