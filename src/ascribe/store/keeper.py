"""Experiments and their runs in a database: what `ascribe.training` keeps its work in."""

import contextlib
import datetime
import io
import json
import math
import secrets
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sql

from ascribe.arguments import flag
from ascribe.errors import UserError, how_to_install
from ascribe.files import csv_text, path_of, short, write_whole
from ascribe.training import LossLandscape
from ascribe.training.keeping import About, Checkpoint, Kept

from .database import Database, agreements, experiments, members, payloads, runs, states
from .landscape import put_together, taken_apart
from .lock import FolderLock

FIRST = ("key", "rule", "phase", "data", "network", "seed", "learning_rate")
LATER = ("epochs", "status", "diverged_at", "seconds")
"""The columns of tables, before and after those of hyper-parameters."""
HYPERPARAMETER = "hyperparameter:"
"""How the columns of a rule's numbers begin."""
TOGETHER = 500
"""Keys in one query: databases limit their number."""


class Store(Database):
    """Runs by their content: whoever asks for the same run again gets it from here.

    `Store("folder")` keeps `folder/ascribe.sqlite`, `Store("file.sqlite")` that file, `Store("postgresql://host/name")` a
    database that many processes may use at once (extra `postgresql`). `stop()` ends the work at the next occasion.

    **Raises:** `UserError` where it cannot be opened, is no store, is damaged, or was written by a newer version.
    """

    def __init__(self, place: str | Path, *, create: bool = True, versions: Mapping[str, str] | None = None):
        super().__init__(place, create=create)
        self.versions = dict(versions or {})
        self.experiment: str | None = None
        """The experiment that is under way."""
        self._part: str | None = None
        self._placed = 0
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
                    found[key] = Kept(
                        curves[0],
                        row["diverged_at"],
                        None if networks is None else _listed(networks[0]),
                        None if row["scores"] is None else _numbers(json.loads(row["scores"])),
                        row["seconds"],
                        None if networks is None else _maps(networks[0]),
                    )
        return found

    def finish(self, done: Mapping[str, tuple[About, Kept]]) -> None:
        """Keeps finished runs in one transaction. A run that another process has finished meanwhile stays as it is."""
        with self.writing() as connection:
            first = self._next(connection, runs)
            for number, (key, (about, kept)) in enumerate(done.items(), first):
                context = dict(about.context)
                values = {
                    "key": key,
                    "rule": about.rule,
                    "phase": about.phase,
                    "data": context["data"]["name"],
                    "network": context["network"],
                    "seed": about.seed,
                    "learning_rate": about.learning_rate,
                    "hyperparameters": json.dumps(about.hyperparameters),
                    "epochs": about.epochs,
                    "status": "diverged" if kept.diverged_at >= 0 else "finished",
                    "diverged_at": kept.diverged_at,
                    "scores": None,
                    "seconds": kept.seconds,
                    "context": json.dumps(context),
                    "versions": json.dumps(self.versions),
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

    def _next(self, connection: sql.Connection, table: sql.Table) -> int:
        """The number of the next row: one more than any has."""
        return 1 + (connection.execute(sql.select(sql.func.max(table.c.number))).scalar() or 0)

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

    def begin(
        self,
        name: str,
        *,
        command: str | None = None,
        options: Sequence[Any] = (),
        resume: bool = False,
        again: bool = False,
    ) -> str:
        """Begins an experiment, or with `resume` goes on with the last one of that name that did not end, with `again` also
        where it did; returns its id. `options`: how it was asked for; to be resumed, those of the last one come first."""
        self._placed = 0
        last = next((one for one in self.experiments() if one["name"] == name), None) if resume else None
        if last is not None:
            self.runs(last["id"])  # whether they are what was written
        told = json.dumps([*(last["options"] if last else ()), *options])
        values = {"status": "running", "updated": now(), "command": command, "options": told}
        values["versions"] = json.dumps(self.versions)
        with self.writing() as connection:
            if last is not None and (again or last["status"] != "finished"):
                self.experiment = str(last["id"])
                self.change(connection, experiments, self.experiment, values)
            else:
                self.experiment = secrets.token_hex(8)
                row = {"id": self.experiment, "name": name, "created": now(), **values}
                row["number"] = self._next(connection, experiments)
                self.insert(connection, experiments, row)
        return self.experiment

    def end(self, status: str, *, configuration: Any = None, keys: Mapping[str, Sequence[str]] | None = None) -> None:
        """What became of the experiment under way: `"finished"`, `"interrupted"` or `"failed"`; for every rule's name the
        keys of its runs, in order. One that ends before anything was done leaves nothing."""
        if self.experiment is None:  # it has ended already
            return
        if self._part is not None and status == "finished":
            status, configuration = "running", None
        values: dict[str, Any] = {"status": status, "updated": now()}
        if configuration is not None:
            values["configuration"] = json.dumps(configuration)
        with self.writing() as connection:
            self.change(connection, experiments, self.experiment, values)
            for label, key in ((label, key) for label, some in (keys or {}).items() for key in some):
                self._join(connection, label, key, self._placed)
                self._placed += 1
            if status != "finished" and not self._has_work(connection):
                connection.execute(experiments.delete().where(experiments.c.id == self.experiment))
        if status == "finished":
            self.experiment = None

    @contextlib.contextmanager
    def part(self, name: str) -> Iterator[None]:
        """One comparison of several in an experiment, which goes on after it; its rules are told as `name: rule`."""
        self._part = name
        try:
            yield
        finally:
            self._part = None

    def _has_work(self, connection: sql.Connection) -> bool:
        counts = (
            sql.select(sql.func.count()).select_from(table).where(table.c.experiment == self.experiment)
            for table in (members, states)
        )
        return any(connection.execute(count).scalar_one() for count in counts)

    def _join(self, connection: sql.Connection, label: str, key: str, place: int = -1) -> None:
        """The run belongs to the experiment under way; `place`: of its row in the table, -1 while that is open."""
        label = label if self._part is None else f"{self._part}: {label}"
        row = {"experiment": self.experiment, "run": key, "label": label, "place": place}
        if self.experiment is not None:
            self.put(connection, members, row)

    def _touch(self, connection: sql.Connection) -> None:
        """The experiment under way has changed just now."""
        if self.experiment is not None:
            self.change(connection, experiments, self.experiment, {"updated": now()})

    def experiments(self) -> list[dict[str, Any]]:
        """All experiments, the latest first: id, name, status, times, command, options, configuration, versions, and how many
        runs they have."""
        count = sql.select(sql.func.count()).where(members.c.experiment == experiments.c.id).scalar_subquery()
        query = sql.select(experiments, count.label("runs")).order_by(experiments.c.number.desc(), experiments.c.id)
        with self.reading() as connection:
            rows = [self.checked(experiments, row) | {"runs": row.runs} for row in connection.execute(query)]
            self._check_strays(connection)
        for row in rows:
            del row["number"]
            for name in ("options", "configuration", "versions"):
                row[name] = None if row[name] is None else json.loads(row[name])
        return rows

    def runs(self, experiment: str | None = None) -> list[dict[str, Any]]:
        """One row a run, of one experiment in the order of its table, or of all: key, rule, phase, data, network, seed, rate,
        hyper-parameters, epochs, status, scores, seconds, versions, when it finished; of cross-validation the fold, from 1."""
        with self.reading() as connection:
            if experiment is None:
                found = connection.execute(sql.select(runs).order_by(runs.c.number, runs.c.key))
                rows = [self.checked(runs, row) for row in found]
            else:
                rows = self._of(connection, experiment)
        for row in rows:
            del row["number"]
            found = None if row["scores"] is None else _numbers(json.loads(row["scores"]))
            row["scores"] = None if found is None else {name: one for name, one in found.items() if "/" not in name}
            for name in ("hyperparameters", "context", "versions"):
                row[name] = json.loads(row[name])
            if "fold" in row["context"]["data"]:
                row["fold"] = row["context"]["data"]["fold"][0]
        return rows

    def _of(self, connection: sql.Connection, experiment: str) -> list[dict[str, Any]]:
        """The runs of an experiment in the order of its table, under the names that it gives their rules."""
        query = sql.select(members, runs).outerjoin(runs, members.c.run == runs.c.key)
        found = list(
            connection.execute(query.where(members.c.experiment == experiment).order_by(members.c.place, runs.c.number))
        )
        rows, lost = [], False
        for one in found:
            label = self.checked(members, one)["label"]
            if one._mapping[runs.c.key] is None:
                lost = True
            else:
                row = self.checked(runs, one)
                rows.append(row | {"rule": label or row["rule"]})
        if lost:  # gone with another experiment, or its key is damaged
            self._check(connection, runs, sql.select(runs))
        self._check_strays(connection)
        return rows

    def _check_strays(self, connection: sql.Connection) -> None:
        """Memberships in experiments that are not there may be damaged ones in those that are."""
        stray = sql.select(members).where(members.c.experiment.not_in(sql.select(experiments.c.id)))
        self._check(connection, members, stray)

    def _check(self, connection: sql.Connection, table: sql.Table, query: Any) -> None:
        """Whether all these rows are what was written."""
        for row in connection.execute(query):
            self.checked(table, row)

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
        first = [*FIRST]
        if any("fold" in run for run in runs):
            first.insert(first.index("data") + 1, "fold")
        leaves = sorted({name for run in runs for name in run["hyperparameters"]})
        scores = sorted({name for run in runs for name in run["scores"] or ()})
        rows = [
            {
                **{name: run.get(name) for name in first},
                **{HYPERPARAMETER + name: short(run["hyperparameters"].get(name)) for name in leaves},
                **{name: run[name] for name in LATER},
                **{name: (run["scores"] or {}).get(name) for name in scores},
            }
            for run in runs
        ]
        if not curves:
            return rows
        found = [self._in_epochs(run["key"]) for run in runs]
        names = sorted({name for one in found for name in one})
        return [
            {**row, "epoch": epoch, **{name: one[name][epoch] if name in one else None for name in names}}
            for row, one in zip(rows, found, strict=True)
            for epoch in range(row["epochs"])
        ]

    def _in_epochs(self, key: str) -> dict[str, list[float]]:
        """The curves of a run that have one number an epoch."""
        return {name: [short(value) for value in curve] for name, curve in self.curves(key).items() if curve.ndim == 1}

    def to_frame(self, experiment: str | None = None, *, curves: bool = False) -> Any:
        """`table` as a pandas data frame (extra `tables`)."""
        try:
            import pandas  # noqa: PLC0415 - an extra
        except ImportError as error:
            raise UserError(f"a data frame needs pandas: {how_to_install('tables')}.") from error
        return pandas.DataFrame(self.table(experiment, curves=curves))

    def export(self, path: str | Path, experiment: str | None = None, *, overwrite: bool = False) -> int:
        """`table` with its curves in one file, `.csv`, `.json` (a list of objects) or `.parquet` (extra `tables`); returns the
        number of rows. A number that is none, such as the loss of a run that has diverged, is an empty cell or null. Written
        whole or not at all.

        **Raises:** `UserError` for another kind of file, where there is one already unless `overwrite`, and where it cannot be
        written.
        """
        path = path_of(path, "an export")
        if path.suffix not in (".parquet", ".csv", ".json"):
            raise UserError(f"an export is a .parquet, .csv or .json file; got {path.name!r}.")
        if path.is_dir():
            raise UserError(f"an export is a file, but {str(path)!r} is a folder: name a file in it.")
        if path.exists() and not flag("overwrite", overwrite):
            raise UserError(
                f"there is a file {str(path)!r} already: choose another name, or replace it with `overwrite=True`."
            )
        if path.suffix == ".parquet":
            frame, buffer = self.to_frame(experiment, curves=True), io.BytesIO()
            frame.to_parquet(buffer, index=False)
            write_whole(path, buffer.getvalue())
            return len(frame)
        rows = [{name: _or_none(value) for name, value in row.items()} for row in self.table(experiment, curves=True)]
        if path.suffix == ".csv":
            text = csv_text([list(rows[0]), *(row.values() for row in rows)] if rows else [], end="\n")
        else:
            text = "[" + ",\n".join(json.dumps(row, allow_nan=False) for row in rows) + "]\n"
        write_whole(path, text.encode("utf-8"))
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

    def delete(self, experiment: str) -> int:
        """Removes an experiment, its unfinished work, and those of its runs that no other experiment has; returns how many
        runs went.

        **Raises:** `UserError` where there is no such experiment.
        """
        with self.writing() as connection:
            mine = list(
                connection.execute(sql.select(members.c.run).where(members.c.experiment == experiment)).scalars()
            )
            others = connection.execute(sql.select(members).where(members.c.experiment != experiment))
            elsewhere = {self.checked(members, row)["run"] for row in others}
            if not connection.execute(experiments.delete().where(experiments.c.id == experiment)).rowcount:
                raise UserError(
                    f"the store {self.place!r} has no experiment {experiment!r}: `ascribe runs list` shows them."
                )
            connection.execute(members.delete().where(members.c.experiment == experiment))
            under_way = sql.select(states.c.key).where(states.c.experiment == experiment)
            gone = list(connection.execute(under_way).scalars())
            connection.execute(states.delete().where(states.c.experiment == experiment))
            count = 0
            for start in range(0, len(mine), TOGETHER):
                alone = [key for key in mine[start : start + TOGETHER] if key not in elsewhere]
                count += connection.execute(runs.delete().where(runs.c.key.in_(alone))).rowcount
                gone += alone
            for start in range(0, len(gone), TOGETHER):
                connection.execute(payloads.delete().where(payloads.c.owner.in_(gone[start : start + TOGETHER])))
        return count


def now() -> str:
    """The time, in UTC."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")


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


def _or_none(value: Any) -> Any:
    """None for a number that files do not have."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _numbers(scores: Mapping[str, str]) -> dict[str, float]:
    """JSON has no NaN, and a decimal would lose nothing but trust: numbers are kept in hexadecimal."""
    return {name: float.fromhex(value) for name, value in scores.items()}
