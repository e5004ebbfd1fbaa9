"""Curves and scores for MLflow, while they are drawn."""

import dataclasses
import os
import re
import time
import warnings
from collections.abc import Callable, Hashable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any

import sqlalchemy.engine

import ascribe
from ascribe.addresses import SQLITE, sqlite_file
from ascribe.checks import at_least, flag
from ascribe.errors import UserError, needed
from ascribe.training import Epochs, Progress, Runs

from .common import picked

BATCH = 1000
"""Metrics that MLflow takes at a time."""
LONGEST = 500
"""Characters of a parameter's value that every MLflow server takes."""
PAUSE = 2.0
"""Seconds between two batches of a run: each costs a data base or a server some hundredths of one, whatever its size."""


@dataclasses.dataclass
class _Open:
    """A run that is being trained: its number in MLflow, and what is not yet sent."""

    number: str
    parameters: list[Any]
    metrics: list[Any]


class MLflowLogger:
    """A listener that makes one MLflow run of every run: parameters (rule, seed, learning rate, tuned numbers, network,
    data), curves as metrics with the epoch (from 1) as their step, and the final scores.

        with MLflowLogger("moons", tracking_uri="sqlite:///mlflow.db") as logger:
            ascribe.compare(data, listener=logger)

    One thread of its own sends them, every few seconds in one batch a run, so that training need not wait for a disk or a
    server; leaving the block waits until everything is there. A run that diverged is finished all the same, with the tag
    `ascribe.status`; runs that an error has cut short are marked as failed. No port is opened.

    **Arguments:**

    - `experiment`: the name of the MLflow experiment; made if it is missing;
    - `tracking_uri`: a data base (`mlflow.db` or `sqlite:///mlflow.db`, a path as it is) or a server (`http://…`); by default
      MLflow's own choice;
    - `points`: about how many points a curve gets at most (a data base takes about a third of a millisecond for each);
    - `layers`: whether curves of single layers (`gradient_angle/linear1`) are sent too, as `gradient_angle.linear1`;
    - `tuning`: whether the candidates of tuning become runs too, with the tag `ascribe.phase`.

    **Raises:** `UserError` without the extra `mlflow`, and where MLflow refuses the experiment. What fails later is a
    warning, and the end of the log: it must never cost the numbers.
    """

    def __init__(
        self,
        experiment: str,
        *,
        tracking_uri: str | None = None,
        points: int = 100,
        layers: bool = False,
        tuning: bool = False,
    ):
        self.points = at_least(1, "points", points)
        self.layers, self.tuning = flag("layers", layers), flag("tuning", tuning)
        # Without SQLAlchemy, MLflow knows no data base, and says so in words about something else.
        modules = ("mlflow", "mlflow.entities", "sqlalchemy")
        mlflow, self._entities, _ = (needed(name, "mlflow", "this logger") for name in modules)
        try:
            self._client = mlflow.MlflowClient(tracking_uri=None if tracking_uri is None else _address(tracking_uri))
            found = self._client.get_experiment_by_name(experiment)
            self._experiment = self._client.create_experiment(experiment) if found is None else found.experiment_id
        except UserError:
            raise
        except Exception as error:  # MLflow's own, those of a data base, those of a network
            raise UserError(f"MLflow cannot log the experiment {experiment!r}: {_first_sentence(error)}.") from error
        if found is not None and found.lifecycle_stage != "active":
            raise UserError(f"MLflow cannot log the experiment {experiment!r}: it is {found.lifecycle_stage}.")
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="ascribe-mlflow")
        self._open: dict[Hashable, _Open] = {}  # only the thread touches it
        self._sent = time.monotonic()
        self._failure: Exception | None = None
        self._closed = self._warned = False

    def __enter__(self) -> "MLflowLogger":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __call__(self, progress: Progress) -> None:
        """Progress alone is no news here."""

    def epochs(self, epochs: Epochs) -> None:
        """Sends what a chunk of epochs added to the curves."""
        if epochs.phase in (("training", "tuning") if self.tuning else ("training",)):
            self._later(self._send, epochs, _now())

    def finished(self, runs: Runs) -> None:
        """Sends the final scores and ends the runs."""
        self._later(self._finish, runs, _now())

    def close(self) -> None:
        """Waits until everything is sent; runs that are not finished are marked as failed."""
        if not self._closed:
            self._later(self._abandon)
            self._closed = True
            self._worker.shutdown(wait=True)
            self._complain()

    def _later(self, work: Callable[..., None], *given: Any) -> None:
        """The thread's next work; after a failure it has none."""
        if self._closed:
            raise UserError("this MLflowLogger is closed: make another one for more runs.")
        self._complain()

        def attempt() -> None:
            if self._failure is None:
                try:
                    work(*given)
                except Exception as error:
                    self._failure = error

        self._worker.submit(attempt)

    def _complain(self) -> None:
        if self._failure is not None and not self._warned:
            self._warned = True
            reason = _first_sentence(self._failure)
            warnings.warn(f"no more is logged in MLflow ({reason}); training goes on.", stacklevel=4)

    def _send(self, epochs: Epochs, now: int) -> None:
        chosen = picked(epochs, self.points)
        curves = {name: curve for name, curve in epochs.curves.items() if self.layers or "/" not in name}
        keys = list(_keys(epochs))
        for run, key in enumerate(keys):
            if epochs.start == 0:
                self._open[key] = self._begin(epochs, run, now)
            self._open[key].metrics += [
                self._metric(name, curve[run, epoch - epochs.start], now, epoch + 1)
                for name, curve in curves.items()
                for epoch in chosen
            ]
        if time.monotonic() - self._sent > PAUSE:
            for one in self._open.values():
                self._log(one)
            self._sent = time.monotonic()
        if epochs.phase == "tuning" and epochs.stop == epochs.total:
            for key in keys:
                self._end(self._open.pop(key), now)

    def _begin(self, epochs: Epochs, run: int, now: int) -> _Open:
        about = {"rule": epochs.rule, "seed": epochs.seeds[run], "learning_rate": epochs.learning_rates[run]}
        tags = {"ascribe.version": ascribe.__version__, "ascribe.phase": epochs.phase}
        name = f"{epochs.rule}, seed {epochs.seeds[run]}"
        found = self._client.create_run(self._experiment, start_time=now, tags=tags, run_name=name)
        return _Open(found.info.run_id, self._parameters(about | epochs.hyperparameters[run]), [])

    def _finish(self, runs: Runs, now: int) -> None:
        count = runs.curves["train_loss"].shape[1]
        about = {"network": runs.network, "data": runs.data.name, "loss": runs.loss, "optimizer": runs.optimizer}
        rates = map(float, runs.learning_rates)
        for run, (seed, rate) in enumerate(zip(runs.seeds, rates, strict=True)):
            key = _key(runs.rule, "training", seed, rate, runs.hyperparameters)
            if key not in self._open:  # told of its end alone
                continue
            one = self._open.pop(key)
            one.metrics += [self._metric(name, values[run], now, count) for name, values in runs.scores.items()]
            one.parameters += self._parameters(about | {"epochs": count})
            tags = {"ascribe.status": "diverged" if runs.diverged[run] else "finished"}
            self._end(one, now, tags | ({"ascribe.notes": "; ".join(runs.notes)} if runs.notes else {}))

    def _log(self, one: _Open, tags: Mapping[str, str] | None = None) -> None:
        """Sends what is not yet sent."""
        about = {
            "params": one.parameters,
            "tags": [self._entities.RunTag(name, value) for name, value in (tags or {}).items()],
        }
        for start in range(0, max(len(one.metrics), 1), BATCH):
            self._client.log_batch(one.number, metrics=one.metrics[start : start + BATCH], **about)
            about = {}
        one.parameters, one.metrics = [], []

    def _end(self, one: _Open, now: int, tags: Mapping[str, str] | None = None) -> None:
        self._log(one, tags)
        self._client.set_terminated(one.number, "FINISHED", now)

    def _abandon(self) -> None:
        while self._open:
            _, one = self._open.popitem()
            self._log(one)
            self._client.set_terminated(one.number, "FAILED")

    def _metric(self, name: str, value: Any, now: int, step: int) -> Any:
        return self._entities.Metric(_allowed(name), float(value), now, step)

    def _parameters(self, values: Mapping[str, Any]) -> list[Any]:
        return [self._entities.Param(_allowed(name), str(value)[:LONGEST]) for name, value in values.items()]


def _address(place: str) -> str:
    """The address as MLflow and SQLAlchemy read it; a path of an SQLite file is no URL, in which `%41` would be another name
    and `?` the end of it."""
    if place.startswith(SQLITE):
        file = sqlite_file(place)
    elif "://" not in place and place.endswith((".sqlite", ".db")):
        file = os.path.abspath(place)
    else:
        return place
    address = sqlalchemy.engine.URL.create("sqlite", database=file).render_as_string()
    if sqlalchemy.engine.make_url(address).database != file:  # SQLAlchemy 2.0 escapes nothing
        raise UserError(f"this version of SQLAlchemy has no address for the file {file!r}: choose another name for it.")
    return address


def _keys(epochs: Epochs) -> Iterator[Hashable]:
    for seed, rate, others in zip(epochs.seeds, epochs.learning_rates, epochs.hyperparameters, strict=True):
        yield _key(epochs.rule, epochs.phase, seed, rate, others)


def _key(rule: str, phase: str, seed: int, rate: float, others: Mapping[str, Any]) -> Hashable:
    return rule, phase, seed, rate, tuple(sorted((name, float(value)) for name, value in others.items()))


def _allowed(name: str) -> str:
    """The name in the letters that MLflow allows. A slash is a folder in some of its stores, and `gradient_angle` cannot be
    both a file and a folder."""
    return re.sub(r"[^A-Za-z0-9_\-. ]", "_", name.replace("/", "."))


def _first_sentence(error: Exception) -> str:
    return str(error).strip().split("\n")[0].rstrip(".") or type(error).__name__


def _now() -> int:
    """Milliseconds, as MLflow counts them."""
    return int(1000 * time.time())
