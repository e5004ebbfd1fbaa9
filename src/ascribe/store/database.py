"""The database of experiments: SQLite in a file of its own, or a server that SQLAlchemy knows, such as PostgreSQL.

experiments   what was asked for: configuration, command, versions, status
runs          one row a run, under its content key: rule, seed, rate, status, test scores, times
members       which runs belong to which experiment, in the order of its table
states        how far runs under way and searches are, which landscapes there are, and whose they are
payloads      arrays as safetensors, in parts, each with its checksum: curves, networks, states, landscapes
agreements    numbers that all who work on the same runs must share

Everything is written in transactions: a process that is killed leaves what was committed, and nothing else.
"""

import contextlib
import hashlib
import importlib.util
import json
import sqlite3
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy
import sqlalchemy as sql
import sqlalchemy.engine
import sqlalchemy.event
import sqlalchemy.exc
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DatabaseError, OperationalError, SQLAlchemyError

from ascribe.addresses import HIDDEN, passwords, secret, told
from ascribe.errors import UserError, how_to_install

from .folder import DATABASE
from .lock import FolderLock

SCHEMA = 1
PART = 2**26
"""Bytes of one part of a payload: servers and SQLite have limits for a single value."""

MIGRATIONS: dict[int, list[str]] = {}
"""From the schema of that number to the next: the statements."""

LOCK = 0x61736372  # "ascr"

WAIT = 60.0
"""Seconds to wait for another process that writes, and for a server that is away."""

tables = sql.MetaData()
schema = sql.Table("ascribe_schema", tables, sql.Column("version", sql.Integer, primary_key=True))
experiments = sql.Table(
    "experiments",
    tables,
    sql.Column("id", sql.String(32), primary_key=True),
    sql.Column("name", sql.Text, nullable=False),
    sql.Column("status", sql.String(16), nullable=False),
    sql.Column("created", sql.String(32), nullable=False),
    sql.Column("updated", sql.String(32), nullable=False),
    sql.Column("command", sql.Text),
    sql.Column("options", sql.Text),
    sql.Column("configuration", sql.Text),
    sql.Column("versions", sql.Text, nullable=False),
)
runs = sql.Table(
    "runs",
    tables,
    sql.Column("key", sql.String(64), primary_key=True),
    sql.Column("rule", sql.Text, nullable=False),
    sql.Column("phase", sql.String(16), nullable=False),
    sql.Column("data", sql.Text, nullable=False),
    sql.Column("network", sql.Text, nullable=False),
    sql.Column("seed", sql.BigInteger, nullable=False),
    sql.Column("learning_rate", sql.Double, nullable=False),
    sql.Column("hyperparameters", sql.Text, nullable=False),
    sql.Column("epochs", sql.Integer, nullable=False),
    sql.Column("status", sql.String(16), nullable=False),
    sql.Column("diverged_at", sql.Integer, nullable=False),
    sql.Column("scores", sql.Text),
    sql.Column("seconds", sql.Double, nullable=False),
    sql.Column("context", sql.Text, nullable=False),
    sql.Column("versions", sql.Text, nullable=False),
    sql.Column("finished", sql.String(32), nullable=False),
)
members = sql.Table(
    "members",
    tables,
    sql.Column("experiment", sql.String(32), primary_key=True),
    sql.Column("run", sql.String(64), primary_key=True, index=True),
    sql.Column("label", sql.Text, nullable=False),
    sql.Column("place", sql.Integer, nullable=False),
)
payloads = sql.Table(
    "payloads",
    tables,
    sql.Column("owner", sql.String(64), primary_key=True),
    sql.Column("kind", sql.String(16), primary_key=True),
    sql.Column("part", sql.Integer, primary_key=True),
    sql.Column("parts", sql.Integer, nullable=False),
    sql.Column("checksum", sql.String(64), nullable=False),
    sql.Column("data", sql.LargeBinary, nullable=False),
)
states = sql.Table(
    "states",
    tables,
    sql.Column("key", sql.String(64), primary_key=True),
    sql.Column("experiment", sql.String(32), index=True),
    sql.Column("epoch", sql.Integer, nullable=False),
    sql.Column("updated", sql.String(32), nullable=False),
)
agreements = sql.Table(
    "agreements",
    tables,
    sql.Column("name", sql.String(96), primary_key=True),
    sql.Column("value", sql.BigInteger, nullable=False),
)


def address_of(place: str | Path) -> str:
    """The address of a store: a folder or an SQLite file by its path, a server by its URL.

    **Raises:** `UserError` for a URL of a database that is not supported.
    """
    text = str(place)
    if "://" not in text:
        path = Path(place)
        path = path if path.suffix in (".sqlite", ".db") else path / DATABASE
        return f"sqlite:///{path.absolute()}"
    kind, _, rest = text.partition("://")
    if kind == "sqlite":
        return text
    if kind not in ("postgresql", "postgres", "postgresql+psycopg"):
        wanted = "a store is a folder, an SQLite file, sqlite:///FILE or postgresql://HOST/NAME"
        raise UserError(f"{wanted}; got {told(text)!r}.")
    if importlib.util.find_spec("psycopg") is None:
        raise UserError(f"a PostgreSQL store needs psycopg: {how_to_install('postgresql')}.")
    address = f"postgresql+psycopg://{rest}"
    try:
        host = sqlalchemy.engine.make_url(address).host or ""
    except (ValueError, sqlalchemy.exc.ArgumentError):
        host = "@"
    if "@" in host:
        raise UserError(
            f"{told(text)!r} is no address of a server: write postgresql://USER:PASSWORD@HOST:PORT/NAME, and in a password "
            f"%40 for @, %2F for / and %3A for a colon."
        )
    return address


class NotLetIn(UserError):  # noqa: N818 - a sentence, as its base
    """A server that wants a password, which is missing or another one."""


class Database:
    """A store, opened: made where there is none, brought to this version's schema where it is older.

    **Raises:** `UserError` where it cannot be opened, is no store, is damaged, or was written by a newer version.
    """

    def __init__(self, place: str | Path, *, create: bool = True):
        self.address = address_of(place)
        self.place = told(str(place))  # in errors: no password
        self.in_file = self.address.startswith("sqlite")
        self.made = False
        """Whether there was none before."""
        self._lock: FolderLock | None = None
        file = self.file = Path(self.address.removeprefix("sqlite:///"))
        """Where it is, if it is a file."""
        if self.in_file and not file.is_file() and not create:
            raise UserError(
                f"{self.place!r} holds no store of ascribe: name a folder that compare or discover wrote, or its {DATABASE}."
            )
        with self.told():
            if self.in_file:
                file.parent.mkdir(parents=True, exist_ok=True)
                self._lock = FolderLock(file.parent)
            # A connection for each transaction: none is left open by a store that nobody closes, or outlives its server.
            waiting = {"timeout": WAIT} if self.in_file else {}
            self.engine = sql.create_engine(self.address, poolclass=sql.NullPool, connect_args=waiting)
            if self.in_file:
                sqlalchemy.event.listen(self.engine, "connect", _pragmas)
                sqlalchemy.event.listen(self.engine, "begin", _begin)
            self._reader = self.engine
            if not self.in_file:  # as SQLite does: every query of a transaction sees one state
                self._reader = self.engine.execution_options(isolation_level="REPEATABLE READ")
            self._writer = self.engine.execution_options(write=True)
            self._prepare()

    @property
    def address_without_password(self) -> str:
        """The address as it may be sent to other machines."""
        if self.in_file:
            return self.address
        url = sqlalchemy.engine.make_url(self.address)
        query = {name: value for name, value in url.query.items() if not secret(name)}
        parts = (url.drivername, url.username, None, url.host, url.port, url.database)
        return sqlalchemy.engine.URL.create(*parts, query=query).render_as_string(hide_password=False)

    def _prepare(self) -> None:
        with self._transaction() as connection:
            names = sql.inspect(connection).get_table_names()
            if names and schema.name not in names:
                raise UserError(f"{self.place!r} is a database of something else: choose another store.")
            if not names:
                tables.create_all(connection)
                connection.execute(self.insert(schema, {"version": SCHEMA}).on_conflict_do_nothing())
                self.made = True
                return
            version = connection.execute(sql.select(sql.func.max(schema.c.version))).scalar() or 0
            if version > SCHEMA:
                raise UserError(
                    f"the store {self.place!r} was written by a newer version of ascribe (schema {version}; this one reads "
                    f"{SCHEMA}): upgrade ascribe."
                )
            for number in range(version, SCHEMA):
                for statement in MIGRATIONS[number]:
                    connection.execute(sql.text(statement))
                connection.execute(schema.update().values(version=number + 1))

    def insert(self, table: sql.Table, values: Any) -> Any:
        """An insertion that may say what happens where the row is there already."""
        kind = sqlite if self.in_file else postgresql
        return kind.insert(table).values(values)

    @contextlib.contextmanager
    def told(self) -> Iterator[None]:
        """What goes wrong in the database is told in one sentence."""
        try:
            yield
        except UserError:
            raise
        except (SQLAlchemyError, sqlite3.Error, OSError) as error:
            kind = NotLetIn if _not_let_in(error) else UserError
            raise kind(self._sentence(error)) from error

    def _sentence(self, error: Exception) -> str:
        reason = " ".join(str(getattr(error, "orig", None) or error).split()).rstrip(".")
        for password in passwords(self.address):
            reason = reason.replace(password, HIDDEN)
        if "is full" in reason or "No space" in reason:
            return f"the store {self.place!r} cannot grow, the disk is full: make room and go on; what was kept stays."
        if "not a database" in reason or "malformed" in reason:
            return f"the store {self.place!r} is damaged ({reason}): choose another folder, or a copy of it."
        if "locked" in reason:
            return f"the store {self.place!r} is in use by another process for more than {WAIT:.0f} s: try again."
        kind = "cannot be reached" if not self.in_file and isinstance(error, DatabaseError) else "cannot be used"
        return f"the store {self.place!r} {kind} ({reason})."

    @contextlib.contextmanager
    def reading(self) -> Iterator[sql.Connection]:
        """One state of the database, whoever writes meanwhile."""
        with self.told(), self._connected(self._reader) as connection, connection.begin():
            yield connection

    @contextlib.contextmanager
    def writing(self) -> Iterator[sql.Connection]:
        """A transaction: all of it, or nothing."""
        with self.told(), self._transaction() as connection:
            yield connection

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sql.Connection]:
        """One writes at a time, so that none finds what it read a moment ago changed."""
        with self._connected(self._writer) as connection, connection.begin():
            if not self.in_file:  # SQLite's own lock is `_begin`'s
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCK})")
            yield connection

    def _connected(self, engine: sql.Engine) -> sql.Connection:
        """A connection; a server that is away, such as one that is started anew, is waited for."""
        deadline = time.monotonic() + WAIT
        while True:
            try:
                return engine.connect()
            except OperationalError as error:
                if self.in_file or _not_let_in(error) or time.monotonic() > deadline:
                    raise
                time.sleep(0.5)

    def close(self) -> None:
        """Lets go of all connections, and of the folder."""
        self.engine.dispose()
        if self._lock is not None:
            self._lock.close()

    def write(
        self, connection: sql.Connection, owner: str, kind: str, arrays: Mapping[str, np.ndarray], head: Any = None
    ) -> None:
        """Arrays and plain JSON values instead of what was under that name."""
        content = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        data = safetensors.numpy.save(content, {"head": json.dumps(head)})
        parts = [data[start : start + PART] for start in range(0, len(data), PART)]
        self.erase(connection, owner, kind)
        rows = [
            {
                "owner": owner,
                "kind": kind,
                "part": number,
                "parts": len(parts),
                "checksum": hashlib.sha256(part).hexdigest(),
                "data": part,
            }
            for number, part in enumerate(parts)
        ]
        for row in rows:
            connection.execute(payloads.insert(), row)

    def erase(self, connection: sql.Connection, owner: str, kind: str) -> None:
        """Nothing under that name."""
        connection.execute(payloads.delete().where(payloads.c.owner == owner, payloads.c.kind == kind))

    def read(self, connection: sql.Connection, owner: str, kind: str) -> tuple[dict[str, np.ndarray], Any] | None:
        """The arrays and the head; None where there are none.

        **Raises:** `UserError` where they are not what was written.
        """
        query = sql.select(payloads).where(payloads.c.owner == owner, payloads.c.kind == kind)
        rows = list(connection.execute(query.order_by(payloads.c.part)))
        if not rows:
            return None
        whole = len(rows) == rows[0].parts
        if not whole or any(hashlib.sha256(row.data).hexdigest() != row.checksum for row in rows):
            raise UserError(
                f"the store {self.place!r} is damaged: the {kind} of {owner[:12]} are not those that were written; "
                f"`ascribe runs delete` removes them."
            )
        data = b"".join(row.data for row in rows)
        try:
            length = int.from_bytes(data[:8], "little")
            head = json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["head"])
            return safetensors.numpy.load(data), head
        except (safetensors.SafetensorError, ValueError, KeyError) as error:
            raise UserError(f"the store {self.place!r} is damaged: the {kind} of {owner[:12]}: {error}.") from error


def _not_let_in(error: Exception) -> bool:
    """Whether a server answered that the password is missing or another one: it would say so again."""
    original = getattr(error, "orig", None)
    attempt = getattr(original, "pgconn", None)  # psycopg's, of a connection that was not made
    asked = attempt is not None and (attempt.needs_password or attempt.used_password)
    return asked or str(getattr(original, "sqlstate", None) or "").startswith("28")


def _pragmas(connection: Any, _: Any) -> None:
    """Readers do not wait for a writer, and a killed process costs nothing that was committed. Python's module begins no
    transactions of its own: `_begin` does."""
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.close()


def _begin(connection: sql.Connection) -> None:
    """Who writes takes the lock at once: one that reads first might find its state outdated."""
    write = connection.get_execution_options().get("write")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
