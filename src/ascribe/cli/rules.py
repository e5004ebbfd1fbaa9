"""`ascribe rules`: what there is, one line each."""

import json
from typing import Annotated

from cyclopts import Parameter

from .console import listing, show
from .options import Json


def rules(*, json_output: Annotated[Json, Parameter(help="Print one JSON object instead.")] = False) -> int:
    """List the learning rules, one line each, with the tasks they can do and their source.

    * marks those that `ascribe compare` takes by default.
    """
    from ascribe import rules as library  # noqa: PLC0415 - late, so that --help is instant

    rows = []
    for name in library.names():
        entry, rule = library.describe(name), library.get(name)
        rows.append({"name": name, "description": entry.description, "tasks": rule.tasks, "source": entry.source})
        rows[-1]["by_default"] = name in library.default_names()
    if json_output:
        print(json.dumps({"rules": rows}))
        return 0
    tasks = lambda row: "all" if len(row["tasks"]) == 3 else ", ".join(row["tasks"])
    mark = lambda row: row["name"] + (" *" if row["by_default"] else "")
    told = [(mark(row), row["description"], tasks(row), row["source"]) for row in rows]
    show(listing(("rule", "what it does", "tasks", "source"), told))
    show("* in every comparison that names no rules; --rules all takes them all")
    return 0
