"""`ascribe datasets`: what there is, one line each."""

import json
from dataclasses import asdict
from typing import Annotated

from cyclopts import Parameter


def datasets(*, json_output: Annotated[bool, Parameter(name="--json", negative=())] = False) -> int:
    """List the data sets, one line each, with their source. Files of your own (CSV, NPZ, Parquet) work by their path.

    Parameters
    ----------
    json_output
        Print one JSON object instead.
    """
    from rich.console import Console  # noqa: PLC0415 - late, so that --help is instant
    from rich.table import Table  # noqa: PLC0415

    from ascribe import datasets as library  # noqa: PLC0415

    cards = library.cards()
    if json_output:
        print(json.dumps({"datasets": [{"name": name, **asdict(card)} for name, card in cards.items()]}))
        return 0
    table = Table("data set", "what it is", "source", "license", box=None, pad_edge=False)
    for name, card in cards.items():
        table.add_row(name, card.description, card.source, card.license)
    Console().print(table)
    return 0
