"""`ascribe datasets`: what there is."""

import json
from dataclasses import asdict
from typing import Annotated

from cyclopts import Parameter

from .console import listing, show
from .options import Json


def datasets(
    *,
    json_output: Annotated[
        Json, Parameter(help="Print one JSON object instead, with descriptions, whole sources and addresses.")
    ] = False,
) -> int:
    """List the data sets with their task, size, source and license. Files of your own (CSV, Excel, NPZ, Parquet,
    Feather) work by their path, and text:FILE is the next character of a text. Below them are the transforms of inputs, which
    work with all data (`compare --transform`).
    """
    from rich.table import Table  # noqa: PLC0415 - late, so that --help is instant

    from ascribe import datasets as library  # noqa: PLC0415

    cards = library.cards()
    if json_output:
        found = [{"name": name, **asdict(card)} for name, card in cards.items()]
        transforms = [{"name": name, "description": does} for name, does in library.TRANSFORMS.items()]
        print(json.dumps({"datasets": found, "transforms": transforms}))
        return 0
    table = Table(box=None, pad_edge=False, expand=True)
    for column, ratio in (("data set", None), ("task", None), ("size", 18), ("source", 28), ("license", 19)):
        table.add_column(column, ratio=ratio, no_wrap=ratio is None)
    for name, card in cards.items():
        # The citation alone; who collected or copied the data is in the JSON.
        table.add_row(name, card.task, card.size, card.source.split(";")[0].rstrip("."), card.license)
    show(table, "", listing(("transform", "what becomes of the inputs"), library.TRANSFORMS.items()))
    return 0
