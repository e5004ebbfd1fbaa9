"""How an older store is brought to this version's schema."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import sqlalchemy as sql

from ascribe.checksums import CHECKSUM
from ascribe.errors import UserError

from .tables import KINDS, SEALED, sealed_row

SCHEMA = 2
"""The number of the schema that this version reads and writes."""

Damaged = Callable[[sql.Table, Mapping[str, Any]], UserError]
"""What is said of a row that is not what was written."""


def _numbered_and_sealed(damaged: Damaged, connection: sql.Connection) -> None:
    """Numbers and checksums for the rows of schema 1, which had none: all that can be asked of them is that they are of the
    right kind."""
    for table in SEALED:
        order = [table.c[name] for name in ORDER.get(table.name, ())]
        rows = [dict(row._mapping) for row in connection.execute(sql.select(table).order_by(*order))]
        for row in rows:
            if not _plausible(table, row):
                raise damaged(table, row)
        rows = [sealed_row(table, row | {"number": number}) for number, row in enumerate(rows, 1)]
        new = {name: sql.bindparam(f"new_{name}") for name in ("number", CHECKSUM) if name in table.c}
        which = [column == sql.bindparam(f"its_{column.name}") for column in table.primary_key]
        values = [
            {f"new_{name}": row[name] for name in new} | {f"its_{one.name}": row[one.name] for one in table.primary_key}
            for row in rows
        ]
        if values:
            connection.execute(table.update().where(*which).values(new), values)


def _plausible(table: sql.Table, row: Mapping[str, Any]) -> bool:
    """Whether every value is of its column's kind, and what should be JSON is."""
    try:
        for column in table.columns:
            value = row[column.name]
            if not (isinstance(value, KINDS[table][column.name]) or (value is None and column.nullable)):
                return False
            if column.name in JSON and value is not None and not isinstance(json.loads(value), JSON[column.name]):
                return False
        for score in json.loads(row.get("scores") or "{}").values():
            float.fromhex(score)
    except (ValueError, TypeError, RecursionError):
        return False
    return True


JSON = {
    "options": list,
    "configuration": object,
    "versions": dict,
    "hyperparameters": dict,
    "context": dict,
    "scores": dict,
}
"""The columns that hold JSON, and of what kind."""

ORDER = {"experiments": ("created", "id"), "runs": ("finished", "key")}
"""What their order was in schema 1."""

MIGRATIONS: dict[int, list[str | Callable[[Damaged, sql.Connection], None]]] = {
    1: [
        *(f"ALTER TABLE {table.name} ADD COLUMN {CHECKSUM} VARCHAR(64) DEFAULT '' NOT NULL" for table in SEALED),
        *(f"ALTER TABLE {name} ADD COLUMN number BIGINT DEFAULT 0 NOT NULL" for name in ("experiments", "runs")),
        *(f"CREATE INDEX ix_{name}_number ON {name} (number)" for name in ("experiments", "runs")),
        _numbered_and_sealed,
    ]
}
"""From the schema of that number to the next: statements, and functions of how a damaged row is told and of a connection."""
