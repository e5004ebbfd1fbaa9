"""Runs in a database, finished and under way: what `ascribe.training` keeps its work in."""

import contextlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sql

from ascribe.errors import UserError
from ascribe.training import LossLandscape
from ascribe.training.keeping import About, Checkpoint, Kept

from .book import TOGETHER, Book, now, numbers_of
from .export import data_frame, free_file, rows_of, write_rows
from .landscape import put_together, taken_apart
from .lock import FolderLock
from .tables import agreements, runs, states


class Store(Book):
    """Runs by their content: whoever asks for the same run again gets it from here.

    `Store("folder")` keeps `folder/ascribe.sqlite`, `Store("file.sqlite")` that file, `Store("postgresql://host/name")` a
    database that many processes may use at once (extra `postgresql`). `stop()` ends the work at the next occasion.

    **Raises:** `UserError` where it cannot be opened, is no store, is damaged, or was written by a newer version.
    """

    def __init__(self, place: str | Path, *, create: bool = True, versions: Mapping[str, str] | None = None):
        super().__init__(place, create=create, versions=versions)
        self._stopping = False

    keeps = True

    @property
    def stopping(self) -> bool:
        """Whether `stop` was called."""
        return self._stopping

    def stop(self) -> None:
        """Everything under way is kept at the next occasion, and ends."""
        self._stopping = True

    def finished(self, keys: Sequence[str]) -> dict[str, Kept]:
        """Those of the runs that are finished, with their arrays.

        **Raises:** `UserError` where what is kept is damaged.
        """
        found: dict[str, Kept] = {}
        with self.reading() as connection:
            for start in range(0, len(keys), TOGETHER):
                some = list(keys[start : start + TOGETHER])
                for one in connection.execute(sql.select(runs).where(runs.c.key.in_(some))):
                    row = self.checked(runs, one)
                    key = row["key"]
                    curves = self.read(connection, key, "curves")
                    if curves is None:
                        raise UserError(f"the store {self.place!r} is damaged: the run {key[:12]} has no curves.")
                    networks = self.read(connection, key, "networks")
                    leaves, maps = (None, None) if networks is None else (_listed(networks[0]), _maps(networks[0]))
                    scores = None if row["scores"] is None else numbers_of(json.loads(row["scores"]))
                    found[key] = Kept(curves[0], row["diverged_at"], leaves, scores, row["seconds"], maps)
        return found

    def finish(self, done: Mapping[str, tuple[About, Kept]]) -> None:
        """Keeps finished runs in one transaction. A run that another process has finished meanwhile stays as it is."""
        with self.writing() as connection:
            first = self._next(connection, runs)
            for number, (key, (about, kept)) in enumerate(done.items(), first):
                texts = {"hyperparameters": about.hyperparameters, "context": about.context, "versions": self.versions}
                values = {
                    **about._asdict(),
                    **{name: json.dumps(value) for name, value in texts.items()},
                    "key": key,
                    "data": about.context["data"]["name"],
                    "network": about.context["network"],
                    "status": "diverged" if kept.diverged_at >= 0 else "finished",
                    "diverged_at": kept.diverged_at,
                    "seconds": kept.seconds,
                    "finished": now(),
                    "number": number,
                }
                new = self.insert(connection, runs, values)
                if new:
                    self.write(connection, key, "curves", kept.curves)
                self._join(connection, about.rule, key)
                if kept.networks is not None and (new or self.read(connection, key, "networks") is None):
                    self.write(connection, key, "networks", _named(kept.networks, kept.class_maps))
            self._touch(connection)

    def outdated(self, rule: str, epochs: int, context: Mapping[str, Any]) -> list[Any]:
        """The finished runs of a rule that are the same by all that is told of them but were made by other code: the seed, the
        learning rate and the hyper-parameters of each."""
        wanted, found = _without_source(json.dumps(context)), []
        with self.reading() as connection:
            query = sql.select(runs).where(runs.c.rule == rule, runs.c.epochs == epochs).order_by(runs.c.number)
            for one in connection.execute(query):
                row = self.checked(runs, one)
                told = _without_source(row["context"])
                if told[0] == wanted[0] and told[1] != wanted[1]:
                    found.append([row["seed"], row["learning_rate"], json.loads(row["hyperparameters"])])
        return found

    def score(self, scores: Mapping[str, Mapping[str, float]]) -> None:
        """Keeps the test scores of finished runs."""
        with self.writing() as connection:
            for key, values in scores.items():
                text = json.dumps({name: float(value).hex() for name, value in values.items()})
                self.change(connection, runs, key, {"scores": text})

    def checkpoint(self, key: str) -> Checkpoint | None:
        """The last state of these runs.

        **Raises:** `UserError` where it is damaged.
        """
        with self.reading() as connection:
            found = self._owned(connection, key, "state")
        if found is None:
            return None
        arrays, head = found
        return Checkpoint(int(head["epoch"]), _listed(arrays), float(head["seconds"]), _maps(arrays))

    def save(self, key: str, checkpoint: Checkpoint) -> None:
        """Keeps the state of these runs instead of an earlier one, in one transaction."""
        with self.writing() as connection:
            head = {"epoch": checkpoint.epoch, "seconds": checkpoint.seconds}
            self.write(connection, key, "state", _named(checkpoint.leaves, checkpoint.class_maps), head)
            self._own(connection, key, checkpoint.epoch)

    def landscape(self, key: str) -> LossLandscape | None:
        """The loss landscape under that key.

        **Raises:** `UserError` where it is damaged.
        """
        with self.reading() as connection:
            found = self._owned(connection, key, "landscape")
        return None if found is None else put_together(*found)

    def keep_landscape(self, key: str, landscape: LossLandscape) -> None:
        """Keeps a loss landscape, in one transaction."""
        with self.writing() as connection:
            self.write(connection, key, "landscape", *taken_apart(landscape))
            self._own(connection, key, landscape.epochs)

    def _own(self, connection: sql.Connection, key: str, epoch: int) -> None:
        """What is kept under that key belongs to the experiment under way."""
        row = {"key": key, "experiment": self.experiment, "epoch": epoch, "updated": now()}
        self.put(connection, states, row)
        self._touch(connection)

    def _owned(self, connection: sql.Connection, key: str, kind: str) -> tuple[dict[str, np.ndarray], Any] | None:
        """What is kept under that key, of which there is a state too, or neither."""
        state = connection.execute(sql.select(states).where(states.c.key == key)).one_or_none()
        found = self.read(connection, key, kind)
        if state is not None:
            self.checked(states, state)
        if (state is None) != (found is None):
            raise self.damaged(states, {"key": key})
        return found

    def forget(self, key: str) -> None:
        """No state of these runs is kept any more."""
        with self.writing() as connection:
            self.erase(connection, key, "state")
            connection.execute(states.delete().where(states.c.key == key))

    def agreed(self, name: str, value: int) -> int:
        """The value under that name; this one where there is none yet."""
        with self.writing() as connection:
            query = sql.select(agreements)
            if self.insert(connection, agreements, {"name": name, "value": value}):
                self._check(connection, agreements, query)  # a damaged name is no new one
            row = connection.execute(query.where(agreements.c.name == name)).one()
            return self.checked(agreements, row)["value"]

    def curves(self, key: str) -> dict[str, np.ndarray]:
        """The curves of a run, `(epochs,)` each."""
        found = self.finished([key])
        if key not in found:
            raise UserError(f"the store {self.place!r} has no run {key!r}: `ascribe runs show` lists them.")
        return found[key].curves

    def table(self, experiment: str | None = None, *, curves: bool = False) -> list[dict[str, Any]]:
        """One row a run, with `curves` one row an epoch of a run; every row has the same columns, in this order, and the same
        store always gives the same rows.

        `key`, `rule`, `phase`, `data`, `network`, `seed`, `learning_rate`; what tuning set of the rule's other numbers, as
        `hyperparameter:NAME`, by name; `epochs` (of the run), `status`, `diverged_at` (the epoch, from 0; -1 for a run that
        finished), `seconds`; the test scores, by name; with `curves` then `epoch` (from 0) and the curves, by name. None where
        a run has no such number. With runs of cross-validation there is a column `fold` after `data`, from 1.
        """
        runs = self.runs(experiment)
        return rows_of(runs, (self.curves(run["key"]) for run in runs) if curves else None)

    def to_frame(self, experiment: str | None = None, *, curves: bool = False) -> Any:
        """`table` as a pandas data frame (extra `tables`)."""
        return data_frame(self.table(experiment, curves=curves))

    def export(self, path: str | Path, experiment: str | None = None, *, overwrite: bool = False) -> int:
        """`table` with its curves in one file, `.csv`, `.json` (a list of objects) or `.parquet` (extra `tables`); returns the
        number of rows. A number that is none, such as the loss of a run that has diverged, is an empty cell or null. Written
        whole or not at all.

        **Raises:** `UserError` for another kind of file, where there is one already unless `overwrite`, and where it cannot be
        written.
        """
        file = free_file(path, overwrite=overwrite)
        rows = self.table(experiment, curves=True)
        write_rows(file, rows)
        return len(rows)

    def empty(self) -> bool:
        """Whether no run and no state of one is kept."""
        with self.reading() as connection:
            counts = [connection.execute(sql.select(sql.func.count()).select_from(table)) for table in (runs, states)]
            return not any(count.scalar_one() for count in counts)

    def remove_if_unused(self) -> None:
        """Closes the store, and removes its file, and the folders for it, where this object has made them, nothing is kept in
        it and nobody else has it open."""
        self.close()
        if not (self.made and self.in_file and self.file.is_file()):
            return
        with FolderLock(self.file.parent) as lock:
            if lock.alone() and self.empty():
                self.close()
                for end in ("", "-wal", "-shm"):
                    Path(f"{self.file}{end}").unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # somebody else has put something there
            for folder in self._new_folders:
                folder.rmdir()


def _without_source(context: str) -> tuple[dict[str, Any], list[Any]]:
    """What is told of a run beside the code that made it; and the code: the hash of its source, which the oldest runs do not
    have, and the file of the rule, if it is a user's."""
    told = json.loads(context)
    rule = told.get("rule")
    return told, [told.pop("source", None), rule.pop("source", None) if isinstance(rule, dict) else None]


_MAP = "class map "
"""How the names of class maps begin, which are kept beside leaves."""


def _named(leaves: Sequence[np.ndarray], maps: Mapping[int, np.ndarray] | None = None) -> dict[str, np.ndarray]:
    named = {f"{number:06d}": leaf for number, leaf in enumerate(leaves)}
    return named | {f"{_MAP}{epoch}": one for epoch, one in (maps or {}).items()}


def _listed(arrays: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    return [arrays[name] for name in sorted(arrays) if not name.startswith(_MAP)]


def _maps(arrays: Mapping[str, np.ndarray]) -> dict[int, np.ndarray] | None:
    found = {int(name.removeprefix(_MAP)): one for name, one in arrays.items() if name.startswith(_MAP)}
    return dict(sorted(found.items())) or None
