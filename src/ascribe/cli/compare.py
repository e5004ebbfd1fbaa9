"""`ascribe compare DATA`: the main job."""

import dataclasses
import itertools
import json
import os
import shlex
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cyclopts import CycloptsError

from ascribe.errors import UserError, shown
from ascribe.setup import CONTROLS, DEFAULT_CONTROLS

from . import given, known_as, options, run_as
from .console import aside, show
from .data import tell
from .dry_run import tell_plan
from .keeping import PASSING, asked_to_go_on, begun_with, kept_in, together
from .options import Data, headed, names, option
from .sentences import Whole, either


@headed("Comparison")
@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What is compared."""

    config: Path | None = option(
        None,
        "Run the command of this record again: a folder that compare wrote, or its record.json. Options that are given too, "
        "and DATA, take the place of the recorded ones; --out, --store, loggers and a scheduler are not taken over.",
    )
    rules: str | None = option(
        None,
        "Names with commas between (see `ascribe rules`), ./my_rule.py:MyRule for your own, with options as in "
        "fa:scale=0.5,forward-pass:inactive=all,natural=no; all: every rule that can do the task. Default: one of each kind "
        "that can, marked in `ascribe rules`.",
    )
    controls: str | None = option(
        None,
        f"What is trained beside the rules, for them to be above, with commas between: {either(CONTROLS)}, or none. frozen: "
        "hidden layers stay as they began; linear: there are none; noise: random directions of the gradients' norms. "
        f"Default: {','.join(DEFAULT_CONTROLS)}, where they mean something.",
    )
    folds: Whole | None = option(
        None,
        "K-fold cross-validation: divide all examples into so many parts, and tune and train every rule so many times, to "
        "test each part once. Not for data that come with a test part.",
    )
    landscape: str | None = option(
        None, "Draw the loss over the weights of this layer, such as linear2, with the path of every rule."
    )


@dataclass(frozen=True, kw_only=True)
@options.settings(*options.others())
class Training(options.Training):
    """How every rule trains."""


@headed("Tuning")
@dataclass(frozen=True, kw_only=True)
class Tuning:
    """What every rule may try before."""

    tune: Whole | None = option(
        None, "Candidates that every rule may try before; 0 for none. Default: 8, or 0 with --learning-rate."
    )
    tune_seeds: Whole = option(3, "Seeds per candidate.")
    rates: str | None = option(None, "The range in which the rate is tuned, as LOW:HIGH.")
    search: list[str] | None = option(
        None, "A further number of a rule to tune within the same budget, as RULE.NAME=LOW:HIGH; may be repeated."
    )

    def settings(self, learning_rate: float | None) -> dict[str, Any]:
        """The arguments of `ascribe.compare` that they stand for; `learning_rate`: the one that replaces tuning, if any."""
        if learning_rate is not None and self.rates is not None:
            raise UserError("--learning-rate switches tuning off and --rates steers it: give one of them.")
        if (self.rates is not None or self.search) and (self.tune == 0 or learning_rate is not None):
            raise UserError("--rates and --search steer tuning, which is off (--tune 0 or --learning-rate): leave them out.")
        return {"tune": self.tune, "tune_seeds": self.tune_seeds, "search": _ranges(self.rates, self.search or [])}


@dataclass(frozen=True, kw_only=True)
class Keeping(options.Keeping):
    """Where what comes out is kept, who else hears it, or only what would be done."""

    tensorboard: Path | None = option(
        None, "Write the curves of the final runs into this folder too, for TensorBoard, while they are computed."
    )
    mlflow: str | None = option(
        None,
        "Send them to MLflow too: a data base as mlflow.db or sqlite:///mlflow.db, or a server as http://HOST:5000.",
    )
    dry_run: bool = option(
        False,
        "Train nothing and write nothing: tell the data's target and task, the network, the rules, the runs to train, how "
        "long that may take, in how much memory, and where the results would go.",
    )


@dataclass(frozen=True, kw_only=True)
class Machines(options.Machines):
    """Where the training is done: in this process, on a cluster, or by several processes that run this command."""

    coordinator: str | None = option(
        None,
        "HOST:PORT of process 0, where this command is run by several processes that train together, on one machine or on "
        "many.",
    )
    processes: Whole | None = option(None, "How many processes there are; SLURM and Open MPI say so themselves.")
    process: Whole | None = option(None, "The number of this one, from 0. Process 0 alone writes and prints.")


TOGETHER = tuple(name for name in names(Machines) if name not in names(options.Machines))
"""The options of one of several processes."""
ELSEWHERE = ("config", *names(Keeping), *(name for name in names(Machines) if name != "workers"))
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
    comparison: Comparison = Comparison(),
    training: Training = Training(),
    tuning: Tuning = Tuning(),
    source: Data = Data(),
    keeping: Keeping = Keeping(),
    machines: Machines = Machines(),
) -> int:
    """Compare learning rules on a data set: equal tuning, many seeds, one page.

    Parameters
    ----------
    data
        A name (see `ascribe datasets`) or a file: CSV, TSV, TXT (also .gz), Excel, NPZ, Parquet or Feather; or text:FILE, to
        learn the next character of a text.
    """
    if data is None:
        raise UserError("compare wants DATA, the name of a set or a file, as in `ascribe compare moons`, or --config DIR.")
    from ascribe.store import check_folder  # noqa: PLC0415 - late, so that --help is instant

    if keeping.dry_run and machines.coordinator is not None:
        raise UserError("--dry-run is told by one process: leave --coordinator out.")
    number = _joined(machines.coordinator, machines.processes, machines.process)
    of_data = source.options()
    tuned = tuning.settings(training.learning_rate)
    if comparison.folds is not None and comparison.landscape is not None:
        raise UserError("--landscape is drawn of one division of the data, and --folds make several: give one of them.")
    if keeping.out is not None and number == 0:
        check_folder(keeping.out, overwrite=keeping.overwrite, resume=keeping.resume)

    from ascribe import datasets  # noqa: PLC0415
    from ascribe.training import use_all_cores  # noqa: PLC0415

    dataset = datasets.load(data, **of_data)
    use_all_cores()
    settings = {
        "rules": _rules(comparison.rules),
        "controls": _controls(comparison.controls),
        "folds": comparison.folds,
        "landscape": comparison.landscape,
        **vars(training),
        **tuned,
    }
    if number > 0:
        return _take_part(dataset, settings)
    if keeping.dry_run:
        elsewhere = machines.scheduler is not None or machines.workers is not None
        return tell_plan(dataset, settings, keeping.out, elsewhere=elsewhere, as_json=keeping.json_output)
    workforce = machines.cluster()
    with aside(keeping.json_output), workforce as settings["cluster"]:
        finished, page = _run(dataset, settings, keeping)
    _print(finished, page, keeping.json_output)
    return 0


def go_on(tokens: Sequence[str]) -> int:
    """`compare --resume`: with the options that the comparison was begun with, and over them those that are given now."""
    now = asked_to_go_on(tokens)
    number = _joined(*(now.get(name) for name in TOGETHER))
    begun = begun_with(now, "compare") if number == 0 else []
    if TOGETHER[0] in now:
        from ascribe.training.processes import told  # noqa: PLC0415

        begun = json.loads(told(json.dumps(begun).encode()))
    return run_as("compare", together("compare", now, begun, "devices_per_run", *TOGETHER))


def again(tokens: Sequence[str]) -> int:
    """`compare --config`: the recorded command, with other options where they are given."""
    now = given(tokens)
    path = now.pop("config")
    recorded = _recorded(path)
    against = (INSTEAD_OF.get(name, ()) for name, value in now.items() if (name, value) != ("tune", 0))
    for name in itertools.chain(ELSEWHERE, *against):
        recorded.pop(name, None)
    whole = recorded | now
    known_as("compare", {name: value for name, value in whole.items() if name not in PASSING})
    return run_as("compare", whole)


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


def _run(dataset: Any, settings: dict[str, Any], keeping: Keeping) -> tuple[Any, Path]:
    """The comparison, kept as it goes, and its page."""
    from ascribe.experiments.compare import compare as run  # noqa: PLC0415
    from ascribe.experiments.comparison import save  # noqa: PLC0415
    from ascribe.training.processes import shared  # noqa: PLC0415

    from . import command_line  # noqa: PLC0415
    from .loggers import heard_by  # noqa: PLC0415

    name = dataset.name
    with kept_in(keeping, name=name, experiment=name) as (where, kept, lines):
        tell(lines, dataset, settings["folds"])
        with heard_by(lines, name, keeping.tensorboard, keeping.mlflow) as listener:
            found = run(dataset, **settings, listener=listener, command=command_line(), store=shared(lambda: kept))
        lines.say("drawing the page")
        return found, save(found, **where)


def _print(comparison: Any, page: Path, as_json: bool) -> None:
    from rich.text import Text  # noqa: PLC0415

    from ascribe import report, statistics  # noqa: PLC0415

    rows = comparison.table()
    if as_json:
        content = {
            "table": report.to_records(rows),
            "controls": report.to_records(report.control_rows(comparison)),
            "hidden_credit": dataclasses.asdict(statistics.hidden_credit(comparison)),
            "page": str(page),
            "out": str(page.parent),
            "configuration": comparison.configuration,
        }
        print(json.dumps(content, allow_nan=False))
        return
    show(report.to_text(rows, comparison.reference, report.control_rows(comparison)))
    if said := report.above_constant(comparison, rows):
        show(Text(said), soft_wrap=True, highlight=False)
    show(Text(report.hidden_credit_told(comparison)), soft_wrap=True, highlight=False)
    for rule, why in (comparison.configuration.get("left_out") or {}).items():
        # A Text object, since a plain string would have its [brackets] read as markup.
        show(Text(f"left out: {rule}: {why}", style="dim"), soft_wrap=True, highlight=False)
    show(f"page: {page}", soft_wrap=True, highlight=False, markup=False)


def _rules(text: str | None) -> list[str] | str | None:
    """What --rules names; None without it."""
    from ascribe import rules  # noqa: PLC0415

    return text if text is None or text == "all" else rules.split_names(text)


def _controls(text: str | None) -> list[str] | None:
    """The names of the controls; None where nothing was said of them."""
    if text is None or text.strip() == "none":
        return None if text is None else []
    return [name.strip() for name in text.split(",") if name.strip()]


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
        name = _full_leaf(name.strip())
        if name in ranges:
            raise UserError(f"the range of {name} is given twice: give it once.")
        ranges[name] = _range("--search", interval)
    return ranges


def _full_leaf(name: str) -> str:
    """A rule's number as results name it; the rule may be written as for --rules, shortened or as a file."""
    from ascribe.rules import full_name  # noqa: PLC0415

    rule, dot, leaf = name.rpartition(".")
    if not rule or (":" in rule and ".py:" not in rule and "=" not in rule):  # `my_rule:MyRule`, as results name it
        return name
    with suppress(UserError):  # what is no rule is told with the names of those that take part
        return f"{full_name(rule)}{dot}{leaf}"
    return name
