"""`ascribe discover DATA`: learn a b-function."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from ascribe.setup import meanings

from . import options, run_as
from .console import show
from .data import tell
from .keeping import asked_to_go_on, begun_with, kept_in, together
from .options import ACTIVATIONS, NETWORKS, Data, Machines, Training, headed, option
from .sentences import Whole, either

SPARKS = "▁▂▃▄▅▆▇█"


@headed("Target network")
@dataclass(frozen=True, kw_only=True)
class TargetNetwork(Training):
    """The network whose activation's derivative is learned, and how it is trained."""

    network: str = option("64x64", f"Hidden layers as 64x64, or {either(NETWORKS[1:])}.")
    seeds: Whole = option(8, "Seeds of every candidate.")
    epochs: Whole = option(10, "Passes over the training examples, for every candidate and in the comparison.")
    optimizer: str = option("sgd", meanings()["optimizer"].help)
    learning_rate: float = option(0.01, "Of the target network; the search does not tune it.")


@headed("Search")
@dataclass(frozen=True, kw_only=True)
class Search:
    """Which functions are searched, how, and what the found one is compared with."""

    layer: str | None = option(
        None, "The activation layer whose derivative is learned, as relu2. Default: the last hidden one."
    )
    hidden: Whole = option(1, "Hidden neurons of the meta-network.")
    hidden_activation: str = option("tanh", f"The activation of its hidden neurons: {either(ACTIVATIONS)}.")
    bound: float = option(3.0, "How large each of its parameters may get.")
    evaluations: Whole = option(200, "Candidates in all.")
    batch: Whole = option(8, "Candidates that train at a time.")
    fresh_seeds: Whole = option(20, "Seeds of the comparison that follows the search.")
    tune: Whole = option(8, "Candidate rates of what is tuned in that comparison.")
    random_search: Annotated[bool, Parameter(negative="--no-random-search")] = option(
        True, "Search at random too, with the same budget."
    )
    transfer: str = option("auto", "Other data on which the found function is tried: a name or a file, or none.")
    seed: Whole = option(0, "Of the search.")


@dataclass(frozen=True, kw_only=True)
class Keeping(options.Keeping):
    """Where what comes out is kept."""

    out: Path | None = option(
        None, "Where the record, found.json and the page go. Default: ascribe-runs/discover-DATA-001, -002, ..."
    )


def discover(
    data: str,
    /,
    *,
    target_network: TargetNetwork = TargetNetwork(),
    search: Search = Search(),
    source: Data = Data(),
    keeping: Keeping = Keeping(),
    machines: Machines = Machines(),
) -> int:
    """Learn a b-function: what stands in place of an activation's derivative, by Bayesian optimization.

    It can be interrupted at any point: --resume goes on to the same result.

    Parameters
    ----------
    data
        A name (see `ascribe datasets`) or a file: CSV, TSV, TXT (also .gz), Excel, NPZ, Parquet or Feather; or text:FILE, to
        learn the next character of a text.
    """
    from ascribe.store import DISCOVERY, check_folder  # noqa: PLC0415 - late, so that --help is instant

    if keeping.out is not None:
        check_folder(keeping.out, overwrite=keeping.overwrite, resume=keeping.resume, record=DISCOVERY)

    from ascribe import datasets, training  # noqa: PLC0415
    from ascribe.experiments.discover import discover as run  # noqa: PLC0415
    from ascribe.experiments.discover import experiment_of  # noqa: PLC0415
    from ascribe.experiments.discovery import save  # noqa: PLC0415

    from . import command_line  # noqa: PLC0415

    dataset = datasets.load(data, **source.options())
    training.use_all_cores()
    settings = {**vars(target_network), **vars(search)}
    settings["transfer"] = None if search.transfer == "none" else search.transfer
    with (
        machines.cluster() as settings["cluster"],
        kept_in(keeping, name=f"discover-{dataset.name}", experiment=experiment_of(dataset)) as (where, kept, lines),
    ):
        tell(lines, dataset)

        def after_round(kind: str, tried: Any) -> None:
            curve = search_curve(tried)
            lines.say(
                f"{kind}: {len(tried)} of {search.evaluations}, best area {tried.values[tried.best]:.4g}, its loss {curve}"
            )

        told = {"listener": lines, "after_round": after_round, "command": command_line()}
        found = run(dataset, **settings, **told, store=kept)
        lines.say("drawing the page")
        page = save(found, **where)
    _print(found, page, keeping.json_output)
    return 0


def go_on(tokens: Sequence[str]) -> int:
    """`discover --resume`: with the options that the search was begun with, and over them those that are given now."""
    now = asked_to_go_on(tokens)
    return run_as("discover", together("discover", now, begun_with(now, "discover")))


def search_curve(tried: Any) -> str:
    """The best candidate's training loss, epoch by epoch, as a line of blocks."""
    from ascribe.search import learned_curve  # noqa: PLC0415

    curve = learned_curve(tried, tried.best)
    low, high = float(min(curve)), float(max(curve))
    if not low < high:
        return SPARKS[0] * len(curve)
    places = [int((value - low) / (high - low) * (len(SPARKS) - 1)) for value in curve.tolist()]
    return "".join(SPARKS[place] for place in places)


def _print(found: Any, page: Path, as_json: bool) -> None:
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    from ascribe import report, store  # noqa: PLC0415

    if as_json:
        record = json.loads((page.parent / store.DISCOVERY).read_text(encoding="utf-8"))
        print(json.dumps({**record, "page": str(page), "out": str(page.parent)}, allow_nan=False))
        return
    cells = report.discovery.cells(found.table())
    for setting in dict.fromkeys(row[0] for row in cells):
        table = Table(box=None, pad_edge=False, title=setting, title_justify="left")
        for column in report.discovery.COLUMNS[1:]:
            table.add_column(column, justify="left" if column == "rule" else "right", no_wrap=True)
        for row in cells:
            if row[0] == setting:
                table.add_row(*(Text(cell) for cell in row[1:]))
        show(table, "")
    for sentence in report.discovery.findings(found):
        show(Text(sentence), highlight=False)
    show(f"rule: {page.parent / 'found.json'}", soft_wrap=True, highlight=False, markup=False)
    show(f"page: {page}", soft_wrap=True, highlight=False, markup=False)
