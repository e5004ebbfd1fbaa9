"""`ascribe discover DATA`: learn a b-function."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from .clusters import cluster
from .console import show
from .data import data_options, tell
from .keeping import asked_to_go_on, begun_with, kept_in, together
from .sentences import Whole

SPARKS = "▁▂▃▄▅▆▇█"


def discover(
    data: str,
    /,
    *,
    network: str = "64x64",
    layer: str | None = None,
    hidden: Whole = 1,
    hidden_activation: str = "tanh",
    bound: float = 3.0,
    evaluations: Whole = 200,
    batch: Whole = 8,
    seeds: Whole = 8,
    optimizer: str = "sgd",
    learning_rate: float = 0.01,
    epochs: Whole = 10,
    batch_size: Whole = 32,
    loss: str | None = None,
    activation: str = "relu",
    fresh_seeds: Whole = 20,
    tune: Whole = 8,
    random_search: Annotated[bool, Parameter(negative="--no-random-search")] = True,
    transfer: str = "auto",
    samples: Whole | None = None,
    transform: str | None = None,
    target: str | None = None,
    task: str | None = None,
    missing: str | None = None,
    ignore: str | None = None,
    noise: float | None = None,
    classes: str | None = None,
    data_option: Annotated[list[str] | None, Parameter(negative=())] = None,
    data_seed: Whole = 0,
    seed: Whole = 0,
    out: Path | None = None,
    store: str | None = None,
    workers: Whole | None = None,
    scheduler: str | None = None,
    tls_ca: Path | None = None,
    tls_cert: Path | None = None,
    tls_key: Path | None = None,
    insecure: Annotated[bool, Parameter(negative=())] = False,
    resume: Annotated[bool, Parameter(negative=())] = False,
    overwrite: Annotated[bool, Parameter(negative=())] = False,
    quiet: Annotated[bool, Parameter(negative=())] = False,
    json_output: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> int:
    """Learn a b-function: what stands in place of an activation's derivative, by Bayesian optimization.

    It can be interrupted at any point: --resume goes on to the same result.

    Parameters
    ----------
    data
        A name (see `ascribe datasets`) or a file: CSV, TSV, TXT (also .gz), Excel, NPZ, Parquet or Feather.
    network
        The target network: hidden layers as 64x64, or lenet, simplenet or simplenet/8.
    layer
        The activation layer whose derivative is learned, as relu2. Default: the last hidden one.
    hidden
        Hidden neurons of the meta-network.
    hidden_activation
        The activation of its hidden neurons: tanh, logistic, relu, ...
    bound
        How large each of its parameters may get.
    evaluations
        Candidates in all.
    batch
        Candidates that train at a time.
    seeds
        Seeds of every candidate.
    optimizer
        Of the target network, as in compare.
    learning_rate
        Of the target network; the search does not tune it.
    epochs
        Passes over the training examples, for every candidate and in the comparison.
    batch_size
        Examples per step.
    loss
        squared-error, bernoulli-cross-entropy or categorical-cross-entropy.
    activation
        Of the target network's hidden layers.
    fresh_seeds
        Seeds of the comparison that follows the search.
    tune
        Candidate rates of what is tuned in that comparison.
    random_search
        Search at random too, with the same budget.
    transfer
        Other data on which the found function is tried: a name or a file, or none.
    samples
        How many examples, where the data set can be made smaller or larger.
    transform
        What is done to the inputs, as in compare.
    target
        The target column of a file, by name or by number: 1 is the first, -1 the last.
    task
        binary, classification or regression, where a file leaves it open.
    missing
        refuse, drop or mean: what to do with missing values of a file.
    ignore
        Columns of a file to leave out, by name or number, with commas between.
    noise
        The noise of a generated data set.
    classes
        Two or more classes to keep, as in compare.
    data_option
        A further option of the data set, as NAME=VALUE, as in compare; may be repeated.
    data_seed
        Fixes the generated points and the split.
    seed
        Of the search.
    out
        Where the record, found.json and the page go. Default: ascribe-runs/discover-DATA-001, -002, ...
    store
        Where runs are kept: a folder, an SQLite file, or postgresql://HOST/NAME. Default: in --out.
    workers
        Train in so many processes of this machine, which share its cores.
    scheduler
        Train on the workers of this Dask scheduler: its address as tls://HOST:8786, or its file.
    tls_ca
        For that scheduler: the certificate of the authority that signed its own (a PEM file). Default: Dask's configuration.
    tls_cert
        For that scheduler: a certificate of that authority for this process.
    tls_key
        The key of that certificate, where the certificate's file does not hold it.
    insecure
        Talk in the open to a scheduler on another host: whoever is on the way can run code on all machines.
    resume
        Go on with what --out (or --store) holds, with the options that it was begun with and those given now: only what is
        missing is computed.
    overwrite
        Replace an earlier record in --out, when the new one is finished.
    quiet
        Say nothing of how far it is.
    json_output
        Print one JSON object on standard output and nothing else there.
    """
    from ascribe.store import DISCOVERY, check_folder  # noqa: PLC0415 - late, so that --help is instant

    if out is not None:
        check_folder(out, overwrite=overwrite, resume=resume, record=DISCOVERY)

    from ascribe import datasets, training  # noqa: PLC0415
    from ascribe.experiments.discover import discover as run  # noqa: PLC0415
    from ascribe.experiments.discover import experiment_of  # noqa: PLC0415
    from ascribe.experiments.discovery import save  # noqa: PLC0415

    from . import command_line  # noqa: PLC0415

    given = data_options(
        target=target,
        task=task,
        missing=missing,
        ignore=ignore,
        samples=samples,
        noise=noise,
        classes=classes,
        transforms=transform,
        further=data_option,
    )
    dataset = datasets.load(data, seed=data_seed, **given)
    training.use_all_cores()
    begin = {"experiment": experiment_of(dataset), "resume": resume, "overwrite": overwrite, "quiet": quiet}
    with (
        cluster(scheduler, workers, (tls_ca, tls_cert, tls_key), insecure=insecure) as workers_there,
        kept_in(out, store, name=f"discover-{dataset.name}", **begin) as (where, kept, lines),
    ):
        tell(lines, dataset)

        def after_round(kind: str, tried: Any) -> None:
            curve = search_curve(tried)
            lines.say(
                f"{kind}: {len(tried)} of {evaluations}, best area {tried.values[tried.best]:.4g}, its loss {curve}"
            )

        found = run(
            dataset,
            network=network,
            layer=layer,
            hidden=hidden,
            hidden_activation=hidden_activation,
            bound=bound,
            evaluations=evaluations,
            batch=batch,
            seeds=seeds,
            optimizer=optimizer,
            learning_rate=learning_rate,
            epochs=epochs,
            batch_size=batch_size,
            loss=loss,
            activation=activation,
            fresh_seeds=fresh_seeds,
            tune=tune,
            random_search=random_search,
            transfer=None if transfer == "none" else transfer,
            seed=seed,
            listener=lines,
            after_round=after_round,
            command=command_line(),
            store=kept,
            cluster=workers_there,
        )
        lines.say("drawing the page")
        page = save(found, **where)
    _print(found, page, json_output)
    return 0


def go_on(tokens: Sequence[str]) -> int:
    """`discover --resume`: with the options that the search was begun with, and over them those that are given now."""
    now = asked_to_go_on(tokens)
    options = together("discover", now, begun_with(now, "discover"))
    return discover(options.pop("data"), **options)


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
