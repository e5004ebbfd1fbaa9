"""The database of experiments: SQLite in a file of its own, or a server that SQLAlchemy knows, such as PostgreSQL.

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

from ascribe.addresses import HIDDEN, SQLITE, passwords, secret, sqlite_file, told
from ascribe.checksums import CHECKSUM
from ascribe.errors import UserError, how_to_install
from ascribe.files import path_of

from .folder import DATABASE
from .lock import FolderLock
from .migrations import MIGRATIONS, SCHEMA
from .tables import KINDS, payloads, row_checksum, schema, sealed_row, tables

PART = 2**26
"""Bytes of one part of a payload: servers and SQLite have limits for a single value."""

LOCK = 0x61736372  # "ascr"

WAIT = 60.0
"""Seconds to wait for another process that writes, and for a server that is away."""

BEGINNING = 1.0
"""Seconds that a file may be empty: SQLite begins a new one so, for an instant."""


def address_of(place: str | Path) -> str:
    """The address of a store: a folder or an SQLite file by its path, a server by its URL.

    **Raises:** `UserError` for a URL of a database that is not supported.
    """
    text = str(place)
    if not isinstance(place, str) or "://" not in text:
        path = path_of(place, "a store")
        path = path if path.suffix in (".sqlite", ".db") else path / DATABASE
        return f"{SQLITE}{path.absolute()}"
    kind, _, rest = text.partition("://")
    if text.startswith(SQLITE):
        path_of(sqlite_file(text), "a store")
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
        self._new_folders: list[Path] = []
        self._lock: FolderLock | None = None
        file = self.file = Path(self.address.removeprefix(SQLITE))
        """Where it is, if it is a file."""
        with self.told():
            if self.in_file:
                if not file.is_file() and not create:
                    raise self._none_here()
                if _stays_empty(file):
                    raise UserError(
                        f"the store {self.place!r} is empty, cut short: put back a copy of it, or remove it and begin anew."
                    )
                self._new_folders = [folder for folder in (file.parent, *file.parent.parents) if not folder.exists()]
                file.parent.mkdir(parents=True, exist_ok=True)
                self._lock = FolderLock(file.parent)
            # A connection for each transaction: none is left open by a store that nobody closes, or outlives its server.
            waiting = {"timeout": WAIT} if self.in_file else {}
            # A path is no URL: it may have a question mark.
            address = sqlalchemy.engine.URL.create("sqlite", database=str(file)) if self.in_file else self.address
            self.engine = sql.create_engine(address, poolclass=sql.NullPool, connect_args=waiting)
            if self.in_file:
                sqlalchemy.event.listen(self.engine, "connect", _pragmas)
                sqlalchemy.event.listen(self.engine, "begin", _begin)
            self._reader = self.engine
            if not self.in_file:  # as SQLite does: every query of a transaction sees one state
                self._reader = self.engine.execution_options(isolation_level="REPEATABLE READ")
            self._writer = self.engine.execution_options(write=True)
            self._prepare(create)

    @property
    def address_without_password(self) -> str:
        """The address as it may be sent to other machines; of a file, its path."""
        if self.in_file:
            return str(self.file)
        url = sqlalchemy.engine.make_url(self.address)
        query = {name: value for name, value in url.query.items() if not secret(name)}
        parts = (url.drivername, url.username, None, url.host, url.port, url.database)
        return sqlalchemy.engine.URL.create(*parts, query=query).render_as_string(hide_password=False)

    def _none_here(self) -> UserError:
        return UserError(
            f"{self.place!r} holds no store of ascribe: name a folder that compare or discover wrote, or its {DATABASE}."
        )

    def _prepare(self, create: bool) -> None:
        with self._transaction() as connection:
            names = sql.inspect(connection).get_table_names()
            if names and schema.name not in names:
                raise UserError(f"{self.place!r} is a database of something else: choose another store.")
            if not names:
                if not create:
                    raise self._none_here()
                tables.create_all(connection)
                connection.execute(self._insertion(schema).on_conflict_do_nothing(), {"version": SCHEMA})
                self.made = True
                return
            found = connection.execute(sql.select(schema.c.version)).scalars().all()
            if len(found) != 1 or found[0] < 1:
                number = found[0] if len(found) == 1 else f"{len(found)} numbers"
                raise UserError(
                    f"the store {self.place!r} is damaged (its schema is {number}, not one from 1 to {SCHEMA}): put back a "
                    f"copy of it, or choose another."
                )
            if found[0] > SCHEMA:
                raise UserError(
                    f"the store {self.place!r} was written by a newer version of ascribe (schema {found[0]}; this one reads "
                    f"{SCHEMA}): upgrade ascribe."
                )
            for number in range(found[0], SCHEMA):
                for step in MIGRATIONS[number]:
                    if callable(step):
                        step(self.damaged, connection)
                    else:
                        connection.execute(sql.text(step))
                connection.execute(schema.update().values(version=number + 1))

    def _insertion(self, table: sql.Table) -> Any:
        """An insertion that may say what happens where the row is there already."""
        return (sqlite if self.in_file else postgresql).insert(table)

    def insert(self, connection: sql.Connection, table: sql.Table, values: Mapping[str, Any]) -> bool:
        """A whole row, where there is none of its name; returns whether there was none."""
        row = self._insertion(table).on_conflict_do_nothing().execution_options(preserve_rowcount=True)
        return connection.execute(row, sealed_row(table, values)).rowcount > 0

    def put(self, connection: sql.Connection, table: sql.Table, values: Mapping[str, Any]) -> None:
        """A whole row, instead of the one of its name."""
        insertion, names = self._insertion(table), [column.name for column in table.primary_key]
        rest = {name: insertion.excluded[name] for name in KINDS[table] if name not in names}
        connection.execute(insertion.on_conflict_do_update(index_elements=names, set_=rest), sealed_row(table, values))

    def change(self, connection: sql.Connection, table: sql.Table, name: str, values: Mapping[str, Any]) -> None:
        """Other values in the row of that name, if there is one.

        **Raises:** `UserError` where the row is not what was written.
        """
        (key,) = table.primary_key
        found = connection.execute(sql.select(table).where(key == name)).one_or_none()
        if found is not None:
            row = sealed_row(table, {**self.checked(table, found), **values})
            new = {column: row[column] for column in (*values, CHECKSUM)}
            connection.execute(table.update().where(key == name).values(new))

    def checked(self, table: sql.Table, found: Any) -> dict[str, Any]:
        """The values of a row of that table, which may be a part of `found`, without their checksum.

        **Raises:** `UserError` where they are not what was written.
        """
        row = {column.name: found._mapping[column] for column in table.columns}
        if row.pop(CHECKSUM) != row_checksum(row):
            raise self.damaged(table, row)
        return row

    def damaged(self, table: sql.Table, row: Mapping[str, Any]) -> UserError:
        """That this row is not what was written."""
        name = " ".join(str(row[column.name])[:16] for column in table.primary_key)
        return UserError(
            f"the store {self.place!r} is damaged (in {table.name}, the row {name!r} is not what was written): put back a copy "
            f"of it, choose another, or remove what is damaged with `ascribe runs delete`."
        )

    @contextlib.contextmanager
    def told(self) -> Iterator[None]:
        """What goes wrong in the database is told in one sentence."""
        try:
            yield
        except UserError:
            raise
        except (SQLAlchemyError, sqlite3.Error, OSError, UnicodeDecodeError) as error:  # a damaged file's own words
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
        if any(words in reason for words in ("readonly", "read-only", "unable to open")):
            return f"the store {self.place!r} cannot be written to ({reason}): name it, or a copy, where you may write."
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
        content = {name: np.asarray(array, order="C") for name, array in arrays.items()}
        data = safetensors.numpy.save(content, {"head": json.dumps(head)})
        parts = [data[start : start + PART] for start in range(0, len(data), PART)]
        self.erase(connection, owner, kind)
        for number, part in enumerate(parts):
            row = {"owner": owner, "kind": kind, "part": number, "parts": len(parts), "data": part}
            connection.execute(payloads.insert(), row | {CHECKSUM: hashlib.sha256(part).hexdigest()})

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
        if not _whole(rows):
            raise UserError(
                f"the store {self.place!r} is damaged: the {kind} of {owner[:12]} are not those that were written; "
                f"`ascribe runs delete` removes them."
            )
        data = b"".join(row.data for row in rows)
        try:
            length = int.from_bytes(data[:8], "little")
            head = json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["head"])
            arrays = safetensors.numpy.load(data)  # in an order that is another one each time
            return {name: arrays[name] for name in sorted(arrays)}, head
        except (safetensors.SafetensorError, ValueError, KeyError, TypeError) as error:
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
    deadline = time.monotonic() + WAIT
    while True:  # SQLite does not wait by itself where two change the mode of a new file at once
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            break
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.close()


def _begin(connection: sql.Connection) -> None:
    """Who writes takes the lock at once: one that reads first might find its state outdated."""
    write = connection.get_execution_options().get("write")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def _whole(rows: list[Any]) -> bool:
    """Whether all parts of a payload are there, as they were written."""
    places = all((row.part, row.parts) == (place, len(rows)) for place, row in enumerate(rows))
    bytes_ = all(isinstance(row.data, bytes) for row in rows)  # SQLite says of each value of which kind it is
    return places and bytes_ and all(hashlib.sha256(row.data).hexdigest() == row.checksum for row in rows)


def _stays_empty(file: Path) -> bool:
    """Whether there is a file without content (SQLite takes a single byte for none) which nobody is beginning just now."""
    deadline = time.monotonic() + BEGINNING
    while file.is_file() and file.stat().st_size < 2:
        if time.monotonic() > deadline:
            return True
        time.sleep(0.02)
    return False
