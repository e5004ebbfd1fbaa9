"""The tables of a store's database:

experiments   what was asked for: configuration, command, versions, status
runs          one row a run, under its content key: rule, seed, rate, status, test scores, times
members       which runs belong to which experiment, in the order of its table
states        how far runs under way and searches are, which landscapes there are, and whose they are
payloads      arrays as safetensors, in parts, each with its checksum: curves, networks, states, landscapes
agreements    numbers that all who work on the same runs must share

Every row has a checksum, which is compared when it is read: the SHA-256 of a payload's bytes, or of the JSON list of the row's
values in the order of their columns. Experiments and runs are numbered as they come, whatever the clock says.
"""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sql

from ascribe.checksums import CHECKSUM, checksum

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
    sql.Column("number", sql.BigInteger, nullable=False, index=True),
    sql.Column(CHECKSUM, sql.String(64), nullable=False),
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
    sql.Column("number", sql.BigInteger, nullable=False, index=True),
    sql.Column(CHECKSUM, sql.String(64), nullable=False),
)
members = sql.Table(
    "members",
    tables,
    sql.Column("experiment", sql.String(32), primary_key=True),
    sql.Column("run", sql.String(64), primary_key=True, index=True),
    sql.Column("label", sql.Text, nullable=False),
    sql.Column("place", sql.Integer, nullable=False),
    sql.Column(CHECKSUM, sql.String(64), nullable=False),
)
payloads = sql.Table(
    "payloads",
    tables,
    sql.Column("owner", sql.String(64), primary_key=True),
    sql.Column("kind", sql.String(16), primary_key=True),
    sql.Column("part", sql.Integer, primary_key=True),
    sql.Column("parts", sql.Integer, nullable=False),
    sql.Column(CHECKSUM, sql.String(64), nullable=False),
    sql.Column("data", sql.LargeBinary, nullable=False),
)
states = sql.Table(
    "states",
    tables,
    sql.Column("key", sql.String(64), primary_key=True),
    sql.Column("experiment", sql.String(32), index=True),
    sql.Column("epoch", sql.Integer, nullable=False),
    sql.Column("updated", sql.String(32), nullable=False),
    sql.Column(CHECKSUM, sql.String(64), nullable=False),
)
agreements = sql.Table(
    "agreements",
    tables,
    sql.Column("name", sql.String(96), primary_key=True),
    sql.Column("value", sql.BigInteger, nullable=False),
    sql.Column(CHECKSUM, sql.String(64), nullable=False),
)
SEALED = (experiments, runs, members, states, agreements)
"""The tables whose rows have a checksum of all their values."""
KINDS = {table: {column.name: column.type.python_type for column in table.columns} for table in SEALED}
"""What Python calls the values of their columns."""


def sealed_row(table: sql.Table, values: Mapping[str, Any]) -> dict[str, Any]:
    """A whole row, every value of its column's kind, with their checksum."""
    given = ((name, kind, values.get(name)) for name, kind in KINDS[table].items())
    row = {name: None if value is None else kind(value) for name, kind, value in given}
    return {**row, CHECKSUM: row_checksum(row)}


def row_checksum(row: Mapping[str, Any]) -> str:
    """That of the JSON list of its values, in the order of their columns."""
    return checksum([value for name, value in row.items() if name != CHECKSUM])
