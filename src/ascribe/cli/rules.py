"""`ascribe rules`: what there is, one line each."""

import json
from typing import Annotated

from cyclopts import Parameter

from .console import show
from .options import Json


def rules(*, json_output: Annotated[Json, Parameter(help="Print one JSON object instead.")] = False) -> int:
    """List the learning rules, one line each, with the tasks they can do and their source."""
    from rich.table import Table  # noqa: PLC0415 - late, so that --help is instant

    from ascribe import rules as library  # noqa: PLC0415

    rows = []
    for name in library.names():
        entry, rule = library.describe(name), library.get(name)
        rows.append({"name": name, "description": entry.description, "tasks": rule.tasks, "source": entry.source})
    if json_output:
        print(json.dumps({"rules": rows}))
        return 0
    table = Table(box=None, pad_edge=False)
    table.add_column("rule", no_wrap=True)
    for column in ("what it does", "tasks", "source"):
        table.add_column(column)
    for row in rows:
        tasks = "all" if len(row["tasks"]) == 3 else ", ".join(row["tasks"])
        table.add_row(row["name"], row["description"], tasks, row["source"])
    show(table)
    return 0
