"""The book of a store: experiments, what was asked for and what became of it, and the runs that belong to each."""

import contextlib
import datetime
import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sql

from ascribe.errors import UserError

from .database import Database
from .tables import experiments, members, payloads, runs, states

TOGETHER = 500
"""Keys in one query: databases limit their number."""


class Book(Database):
    """The part of a `Store` that `ascribe runs` shows."""

    def __init__(self, place: str | Path, *, create: bool = True, versions: Mapping[str, str] | None = None):
        super().__init__(place, create=create)
        self.versions = dict(versions or {})
        self.experiment: str | None = None
        """The experiment that is under way."""
        self._part: str | None = None
        self._placed = 0

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
            found = None if row["scores"] is None else numbers_of(json.loads(row["scores"]))
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

    def delete(self, experiment: str) -> int:
        """Removes an experiment, its unfinished work, and those of its runs that no other experiment has; returns how many
        runs went.

        **Raises:** `UserError` where there is no such experiment.
        """
        with self.writing() as connection:
            mine = list(connection.execute(sql.select(members.c.run).where(members.c.experiment == experiment)).scalars())
            others = connection.execute(sql.select(members).where(members.c.experiment != experiment))
            elsewhere = {self.checked(members, row)["run"] for row in others}
            if not connection.execute(experiments.delete().where(experiments.c.id == experiment)).rowcount:
                raise UserError(
                    f"the store {self.place!r} has no experiment {experiment!r}: "
                    f"`ascribe runs list` with the name of the store shows them."
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

    def _next(self, connection: sql.Connection, table: sql.Table) -> int:
        """The number of the next row: one more than any has."""
        return 1 + (connection.execute(sql.select(sql.func.max(table.c.number))).scalar() or 0)


def now() -> str:
    """The time, in UTC."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")


def numbers_of(scores: Mapping[str, str]) -> dict[str, float]:
    """JSON has no NaN, and a decimal would lose nothing but trust: numbers are kept in hexadecimal."""
    return {name: float.fromhex(value) for name, value in scores.items()}
