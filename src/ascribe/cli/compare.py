"""`ascribe compare DATA`: the main job."""

import itertools
import json
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import CycloptsError, Parameter

from ascribe.errors import UserError, shown

from . import given, known_as
from .clusters import cluster
from .console import aside, show
from .data import data_options, tell
from .dry_run import tell_plan
from .keeping import PASSING, asked_to_go_on, begun_with, kept_in, together
from .sentences import Whole

TOGETHER = ("coordinator", "processes", "process")
"""The options of one of several processes."""
TLS = ("tls_ca", "tls_cert", "tls_key", "insecure")
ELSEWHERE = ("config", "out", "store", "tensorboard", "mlflow", "scheduler", *TLS, *TOGETHER, *PASSING)
"""The options that `--config` does not take over: where things are, and what changes nothing of what comes out."""
INSTEAD_OF = {
    "learning_rate": ("tune", "tune_seeds", "rates", "search"),
    **dict.fromkeys(("tune", "rates", "search"), ("learning_rate",)),
    "scheduler": ("workers",),
}
"""The recorded options that one of these, where it is typed, takes the place of, beside its own."""


def compare(
    data: str | None = None,
    /,
    *,
    config: Path | None = None,
    rules: str | None = None,
    network: str | None = None,
    activation: str = "relu",
    folds: Whole | None = None,
    seeds: Whole = 10,
    epochs: Whole = 50,
    batch_size: Whole = 32,
    tune: Whole | None = None,
    tune_seeds: Whole = 3,
    optimizer: str = "adam",
    learning_rate: float | None = None,
    rates: str | None = None,
    search: Annotated[list[str] | None, Parameter(negative=())] = None,
    select: Literal["last", "best-validation"] = "last",
    score: str | None = None,
    loss: str | None = None,
    only: str | None = None,
    landscape: str | None = None,
    target: str | None = None,
    task: str | None = None,
    missing: str | None = None,
    ignore: str | None = None,
    samples: Whole | None = None,
    noise: float | None = None,
    classes: str | None = None,
    transform: str | None = None,
    data_option: Annotated[list[str] | None, Parameter(negative=())] = None,
    data_seed: Whole = 0,
    coordinator: str | None = None,
    processes: Whole | None = None,
    process: Whole | None = None,
    devices_per_run: Whole = 1,
    out: Path | None = None,
    store: str | None = None,
    workers: Whole | None = None,
    scheduler: str | None = None,
    tls_ca: Path | None = None,
    tls_cert: Path | None = None,
    tls_key: Path | None = None,
    insecure: Annotated[bool, Parameter(negative=())] = False,
    tensorboard: Path | None = None,
    mlflow: str | None = None,
    resume: Annotated[bool, Parameter(negative=())] = False,
    overwrite: Annotated[bool, Parameter(negative=())] = False,
    dry_run: Annotated[bool, Parameter(negative=())] = False,
    quiet: Annotated[bool, Parameter(negative=())] = False,
    json_output: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> int:
    """Compare learning rules on a data set: equal tuning, many seeds, one page.

    Parameters
    ----------
    data
        A name (see `ascribe datasets`) or a file: CSV, TSV, TXT (also .gz), Excel, NPZ, Parquet or Feather.
    config
        Run the command of this record again: a folder that compare wrote, or its record.json. Options that are given too, and
        DATA, take the place of the recorded ones; --out, --store, loggers and a scheduler are not taken over.
    rules
        Names with commas between (see `ascribe rules`), ./my_rule.py:MyRule for your own, with options as in
        fa:scale=0.5,forward-pass:inactive=all,natural=no; default: all that can do the task, without the documents' own
        forms of rules, ...-as-published.
    network
        Hidden layers as 64x64, or linear, lenet, simplenet or simplenet/8, or a network or a factory of your own in a file, as
        ./my_network.py:make. Default: 64x64.
    activation
        Of the hidden layers: relu, tanh, logistic, arctan, leaky-relu, leaky-relu:slope=0.2, softplus, ...
    folds
        K-fold cross-validation: divide all examples into so many parts, and tune and train every rule so many times, to test
        each part once. Not for data that come with a test part.
    seeds
        Fresh seeds of the final runs, in every fold the same.
    epochs
        Passes over the training examples.
    batch_size
        Examples per step.
    tune
        Candidates that every rule may try before; 0 for none. Default: 8, or 0 with --learning-rate.
    tune_seeds
        Seeds per candidate.
    optimizer
        sgd, momentum, adam, adamw, rmsprop, rprop, adagrad, adadelta, lion, hypergradient-sgd, hypergradient-adam or
        hypergradient-adadelta.
    learning_rate
        The rate of every rule, without tuning.
    rates
        The range in which the rate is tuned, as LOW:HIGH.
    search
        A further number of a rule to tune within the same budget, as RULE.NAME=LOW:HIGH; may be repeated.
    select
        Test the network of the last epoch, or of the best on validation.
    score
        What tuning chooses by on validation, and the table orders and compares the rules by on test: accuracy,
        balanced_accuracy, macro_f1, auc, log_loss or loss; for regression rmse, r2 or loss. Default: accuracy, or rmse.
    loss
        squared-error, bernoulli-cross-entropy or categorical-cross-entropy.
    only
        Train this one layer, such as linear2, and leave all others as they began.
    landscape
        Draw the loss over the weights of this layer, such as linear2, with the path of every rule.
    target
        The target column of a file, by name or by number: 1 is the first, -1 the last. Default: the one called target, label,
        class or y; else the last.
    task
        binary, classification or regression, where a file leaves it open.
    missing
        refuse, drop or mean: what to do with missing values of a file.
    ignore
        Columns of a file to leave out, by name or number, with commas between.
    samples
        How many examples, where the data set can be made smaller or larger.
    noise
        The noise of a generated data set.
    classes
        Two or more classes to keep, as 3,8 or cat,dog, in files too; for spirals how many there are.
    transform
        What is done to the inputs, in that order, with commas between: unit-interval, split-signs, constant-one (see
        `ascribe datasets`).
    data_option
        A further option of the data set, as NAME=VALUE: standardize=yes, turns=2, dimensions=10, test_samples=500; how a file
        is written: header=no, separator=tab, decimal=,, thousands=., encoding=cp1252, missing_words=-99, skip=2, comment=#,
        sheet=2; may be repeated.
    data_seed
        Fixes the generated points and the split.
    coordinator
        HOST:PORT of process 0, where this command is run by several processes that train together, on one machine or on many.
    processes
        How many processes there are; SLURM and Open MPI say so themselves.
    process
        The number of this one, from 0. Process 0 alone writes and prints.
    devices_per_run
        How many devices (of CPUs, processes) divide every batch of a run; the others train other runs.
    out
        Where the record and the page go. Default: ascribe-runs/DATA-001, -002, ...
    store
        Where finished runs and the state of those under way are kept: postgresql://HOST/NAME, or an SQLite file. Default:
        ascribe.sqlite in --out.
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
    tensorboard
        Write the curves of the final runs into this folder too, for TensorBoard, while they are computed.
    mlflow
        Send them to MLflow too: a data base as mlflow.db or sqlite:///mlflow.db, or a server as http://HOST:5000.
    resume
        Go on with what --out (or --store) holds, with the options that it was begun with and those given now: only what is
        missing is computed.
    overwrite
        Replace an earlier record in --out, when the new one is finished.
    dry_run
        Train nothing and write nothing: tell the data's target and task, the network, the rules, the runs to train, how long
        that may take, in how much memory, and where the results would go.
    quiet
        Say nothing of how far it is.
    json_output
        Print one JSON object on standard output and nothing else there.
    """
    if data is None:
        raise UserError(
            "compare wants DATA, the name of a set or a file, as in `ascribe compare moons`, or --config DIR."
        )
    from ascribe.store import check_folder  # noqa: PLC0415 - late, so that --help is instant

    if dry_run and coordinator is not None:
        raise UserError("--dry-run is told by one process: leave --coordinator out.")
    number = _joined(coordinator, processes, process)
    of_data = data_options(
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
    if learning_rate is not None and rates is not None:
        raise UserError("--learning-rate switches tuning off and --rates steers it: give one of them.")
    if (rates is not None or search) and (tune == 0 or learning_rate is not None):
        raise UserError(
            "--rates and --search steer tuning, which is off (--tune 0 or --learning-rate): leave them out."
        )
    if folds is not None and landscape is not None:
        raise UserError("--landscape is drawn of one division of the data, and --folds make several: give one of them.")
    ranges = _ranges(rates, search or [])
    if out is not None and number == 0:
        check_folder(out, overwrite=overwrite, resume=resume)

    from ascribe import datasets, training  # noqa: PLC0415
    from ascribe import rules as library  # noqa: PLC0415

    dataset = datasets.load(data, seed=data_seed, **of_data)
    training.use_all_cores()
    settings = {
        "rules": None if rules is None else library.split_names(rules),
        "network": network or "64x64",
        "folds": folds,
        "activation": activation,
        "seeds": seeds,
        "epochs": epochs,
        "batch_size": batch_size,
        "tune": tune,
        "tune_seeds": tune_seeds,
        "optimizer": optimizer,
        "learning_rate": learning_rate,
        "search": ranges,
        "select": select,
        "score": score,
        "loss": loss,
        "only": only,
        "landscape": landscape,
        "devices_per_run": devices_per_run,
    }
    if number > 0:
        return _take_part(dataset, settings)
    if dry_run:
        return tell_plan(
            dataset, settings, out, elsewhere=scheduler is not None or workers is not None, as_json=json_output
        )
    loggers = tensorboard, mlflow
    workforce = cluster(scheduler, workers, (tls_ca, tls_cert, tls_key), insecure=insecure)
    with aside(json_output), workforce as settings["cluster"]:
        begin = {"resume": resume, "overwrite": overwrite, "quiet": quiet}
        comparison, page = _run(dataset, settings, loggers, out, store, begin)
    _print(comparison, page, json_output)
    return 0


def go_on(tokens: Sequence[str]) -> int:
    """`compare --resume`: with the options that the comparison was begun with, and over them those that are given now."""
    now = asked_to_go_on(tokens)
    number = _joined(*(now.get(name) for name in TOGETHER))
    begun = begun_with(now, "compare") if number == 0 else []
    if TOGETHER[0] in now:
        from ascribe.training.processes import told  # noqa: PLC0415

        begun = json.loads(told(json.dumps(begun).encode()))
    options = together("compare", now, begun, "devices_per_run", *TOGETHER)
    return compare(options.pop("data"), **options)


def again(tokens: Sequence[str]) -> int:
    """`compare --config`: the recorded command, with other options where they are given."""
    now = given(tokens)
    path = now.pop("config")
    recorded = _recorded(path)
    against = (INSTEAD_OF.get(name, ()) for name, value in now.items() if (name, value) != ("tune", 0))
    for name in itertools.chain(ELSEWHERE, *against):
        recorded.pop(name, None)
    whole = recorded | now
    data = whole.pop("data")
    known_as("compare", {"data": data} | {name: value for name, value in whole.items() if name not in PASSING})
    return compare(data, **whole)


def _recorded(path: Path) -> dict[str, Any]:
    """The arguments of the command that made a record.

    **Raises:** `UserError` where there is no record of a comparison by that name, or it has no command.
    """
    from ascribe.store import configuration  # noqa: PLC0415 - late, so that --help is instant

    command = configuration(path).get("command")
    if command is None:
        raise UserError(f"the record {str(path)!r} was made in Python: name one that `ascribe compare` wrote.")
    try:
        tokens = shlex.split(command)
        recorded = given(tokens[1:]) if tokens[:2] == ["ascribe", "compare"] else {}
    except (CycloptsError, ValueError, TypeError, AttributeError) as error:
        raise UserError(
            f"the command of the record {str(path)!r}, {shown(command)}, is none of this version: type it anew."
        ) from error
    if "data" not in recorded:
        raise UserError(
            f"the record {str(path)!r} is of another command, {shown(command)}: name one that `ascribe compare` wrote."
        )
    if "resume" in recorded:
        raise UserError(
            f"the record {str(path)!r} has the command of a --resume alone, as earlier versions wrote it: type the options "
            f"anew."
        )
    return recorded


def _joined(coordinator: str | None, processes: int | None, process: int | None) -> int:
    """The number of this process, when it has joined the others; 0 where it is alone."""
    if coordinator is None:
        if processes is not None or process is not None:
            raise UserError("--processes and --process are of those that meet at a --coordinator: name its HOST:PORT.")
        return 0
    from ascribe.training.processes import join_processes, joined, number  # noqa: PLC0415

    if not joined():
        join_processes(coordinator, processes, process)
        sys.stdout.flush()
        results = os.dup(1)
        os.dup2(2, 1)  # Gloo writes that it is connected on standard output, where nothing but results belongs
        sys.stdout = os.fdopen(results, "w", encoding=sys.stdout.encoding, errors=sys.stdout.errors)
    return number()


def _take_part(dataset: Any, settings: dict[str, Any]) -> int:
    """What every process but process 0 does: the same comparison, of which it writes and says nothing."""
    from ascribe.experiments.compare import compare as run  # noqa: PLC0415
    from ascribe.training.processes import Shared  # noqa: PLC0415

    from .interruption import answering  # noqa: PLC0415

    kept, told_twice = Shared(), iter((False,))

    def answer(*_: Any) -> None:
        if next(told_twice, True):
            raise KeyboardInterrupt
        kept.stop()

    with answering(answer):
        run(dataset, **settings, store=kept)
    return 0


def _run(
    dataset: Any,
    settings: dict[str, Any],
    loggers: tuple[Path | None, str | None],
    out: Path | None,
    place: str | None,
    begin: dict[str, bool],
) -> tuple[Any, Path]:
    """The comparison, kept as it goes, and its page."""
    from ascribe.experiments.compare import compare as run  # noqa: PLC0415
    from ascribe.experiments.comparison import save  # noqa: PLC0415
    from ascribe.training.processes import shared  # noqa: PLC0415

    from . import command_line  # noqa: PLC0415
    from .loggers import heard_by  # noqa: PLC0415

    name = dataset.name
    with kept_in(out, place, name=name, experiment=name, **begin) as (where, kept, lines):
        tell(lines, dataset, settings["folds"])
        with heard_by(lines, name, *loggers) as listener:
            comparison = run(dataset, **settings, listener=listener, command=command_line(), store=shared(lambda: kept))
        lines.say("drawing the page")
        return comparison, save(comparison, **where)


def _print(comparison: Any, page: Path, as_json: bool) -> None:
    from rich.text import Text  # noqa: PLC0415

    from ascribe import report  # noqa: PLC0415

    rows = comparison.table()
    if as_json:
        content = {
            "table": report.to_records(rows),
            "page": str(page),
            "out": str(page.parent),
            "configuration": comparison.configuration,
        }
        print(json.dumps(content, allow_nan=False))
        return
    show(report.to_text(rows, comparison.reference))
    for rule, why in (comparison.configuration.get("left_out") or {}).items():
        # A Text object, since a plain string would have its [brackets] read as markup.
        show(Text(f"left out: {rule}: {why}", style="dim"), soft_wrap=True, highlight=False)
    show(f"page: {page}", soft_wrap=True, highlight=False, markup=False)


def _range(option: str, text: str) -> tuple[float, float]:
    low, colon, high = text.partition(":")
    try:
        if not colon:
            raise ValueError
        return float(low), float(high)
    except ValueError as error:
        raise UserError(f"{option} is LOW:HIGH, two positive numbers as in 0.001:1; got {shown(text)}.") from error


def _ranges(rates: str | None, search: Sequence[str]) -> dict[str, tuple[float, float]]:
    """What is tuned in which range."""
    ranges = {} if rates is None else {"learning_rate": _range("--rates", rates)}
    for item in search:
        name, equals, interval = item.rpartition("=")  # a rule's own name may have one too
        if not equals:
            raise UserError(f"--search is RULE.NAME=LOW:HIGH; got {shown(item)}.")
        if name.strip() in ranges:
            raise UserError(f"the range of {name.strip()} is given twice: give it once.")
        ranges[name.strip()] = _range("--search", interval)
    return ranges
