"""The options that commands share, declared once, in groups: each group is a dataclass that knows what its options stand for.

A command takes a group as one argument, and cyclopts shows its fields as options under the group's heading. A command that has
further options of a group, or other defaults, takes a subclass.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Group, Parameter

from ascribe.errors import UserError
from ascribe.setup import Setup, meanings

from .data import data_options
from .sentences import Whole, either

HEADINGS = (
    *("Comparison", "Card", "Search", "Target network", "Training", "Tuning", "Data", "Simulation", "Neuron", "Network"),
    *("Page", "Live", "Results", "Machines"),
)
"""The headings of `--help`, in their order there."""
NETWORKS = (
    *("linear", "lenet", "simplenet", "simplenet/8", "resnet/8", "vit/4x64", "mixer/4x64"),
    *("transformer/2x64", "gru/64"),
)
ACTIVATIONS = (
    *("identity", "logistic", "arctan", "tanh", "threshold", "sign", "relu", "clipped-relu", "leaky-relu", "softplus"),
    *("gelu", "lif-rate"),
)
TRANSFORMS = ("unit-interval", "split-signs", "constant-one", "random-crop", "random-flip")
"""What `networks.build` knows, and the names in the library's tables, which need JAX or NumPy and so are too slow for `--help`:
a test compares them."""
SHARED = ("epochs", "batch_size", "optimizer", "loss")
"""The settings of a `Setup` that `discover` takes, too."""

Json = Annotated[bool, Parameter(name="--json", help="Print one JSON object on standard output and nothing else there.")]


def option(default: Any, told: str) -> Any:
    """A field that is an option: its default, and what `--help` says of it."""
    return field(default=default, metadata={"help": told})


def headed(heading: str) -> Parameter:
    """The decorator of a group of options that stand under a heading, each by its own name."""
    return Parameter(name="*", group=Group(heading, sort_key=HEADINGS.index(heading)))


def names(group: type) -> tuple[str, ...]:
    """The names of a group's options, as arguments."""
    return tuple(one.name for one in fields(group))


def settings(*names: str, kind: type[Setup] = Setup) -> Callable[[type], type]:
    """A decorator that gives a group of options these settings of a `Setup`, with its defaults: below `dataclass`."""
    declared = {one.name: one for one in fields(kind)}

    def add(group: type) -> type:
        for name in names:
            meaning, kept = meanings(kind)[name], declared[name]
            group.__annotations__[name] = meaning.option or (Whole if kept.type is int else kept.type)
            setattr(group, name, option(kept.default, meaning.help))
        return group

    return add


def others(kind: type[Setup] = Setup) -> tuple[str, ...]:
    """The settings with a text for `--help` that are none of `SHARED`."""
    return tuple(name for name, one in meanings(kind).items() if one.help and name not in SHARED)


@headed("Training")
@dataclass(frozen=True, kw_only=True)
@settings(*SHARED)
class Training:
    """How networks are trained; the fields are arguments of `ascribe.compare` and `ascribe.discover`."""

    network: str = option(
        "64x64",
        f"Hidden layers as 64x64, or {either(NETWORKS)} (depth x width; the last two for sequences, or images row by row), "
        "with options as in vit/4x64:patch=7, or a network, a factory or a model (Equinox, Flax NNX, PyTorch) "
        "of your own in a file, as ./my_network.py:make or ./model.py:Net:width=64.",
    )
    activation: str = option("relu", f"Of the hidden layers: {', '.join(ACTIVATIONS)}, or leaky-relu:slope=0.2.")
    seeds: Whole = option(10, "Fresh seeds of the final runs, in every fold the same.")
    learning_rate: float | None = option(None, "The rate of every rule, without tuning.")


@headed("Data")
@dataclass(frozen=True, kw_only=True)
class Data:
    """Which examples, and how a file is read."""

    target: str | None = option(
        None,
        "The target column of a file, by name or by number: 1 is the first, -1 the last; several of numbers with commas "
        "between. Default: the one called target, label, class or y; else the last.",
    )
    task: str | None = option(None, "binary, classification or regression, where a file leaves it open.")
    missing: str | None = option(
        None, "refuse, drop or mean: what to do with missing values of a file; drop and mean leave out rows without a target."
    )
    ignore: str | None = option(None, "Columns of a file to leave out, by name or number, with commas between.")
    samples: Whole | None = option(None, "How many examples, where the data set can be made smaller or larger.")
    noise: float | None = option(None, "The noise of a generated data set.")
    classes: str | None = option(
        None, "Two or more classes to keep, as 3,8 or cat,dog, in files too; for spirals how many there are."
    )
    transform: str | None = option(
        None,
        f"What is done to the inputs, in that order, with commas between: {', '.join(TRANSFORMS)} (see `ascribe datasets`).",
    )
    data_option: list[str] | None = option(
        None,
        "A further option of the data set, as NAME=VALUE: standardize=yes, turns=2, dimensions=10, test_samples=500; of "
        "sequences bits=12, symbols=8, delay=20, length=50, of a text window=32; how a file is written: header=no, "
        "separator=tab, decimal=,, thousands=., encoding=cp1252, missing_words=-99, skip=2, comment=#, sheet=2; may be "
        "repeated.",
    )
    data_seed: Whole = option(0, "Fixes the generated points and the split.")

    def options(self) -> dict[str, Any]:
        """The keyword arguments of `datasets.load`.

        **Raises:** `UserError` for one that is given twice, or cannot be read.
        """
        own = dict(vars(self))
        seed, transforms, further = (own.pop(name) for name in ("data_seed", "transform", "data_option"))
        return {"seed": seed, **data_options(**own, transforms=transforms, further=further)}


@headed("Results")
@dataclass(frozen=True, kw_only=True)
class Keeping:
    """Where what comes out is kept, and what is said meanwhile."""

    out: Path | None = option(None, "Where the record and the page go. Default: ascribe-runs/DATA-001, -002, ...")
    store: str | None = option(
        None,
        "Where finished runs and the state of those under way are kept: a folder, an SQLite file, or "
        "postgresql://HOST/NAME. Default: ascribe.sqlite in --out.",
    )
    resume: bool = option(
        False,
        "Go on with what --out (or --store) holds, with the options that it was begun with and those given now: only what is "
        "missing is computed.",
    )
    overwrite: bool = option(False, "Replace an earlier record in --out, when the new one is finished.")
    quiet: bool = option(False, "Say nothing of how far it is.")
    json_output: Json = False


@headed("Machines")
@dataclass(frozen=True, kw_only=True)
class Machines:
    """Where the training is done, if not in this process."""

    workers: Whole | None = option(None, "Train in so many processes of this machine, which share its cores.")
    scheduler: str | None = option(
        None, "Train on the workers of this Dask scheduler: its address as tls://HOST:8786, or its file."
    )
    tls_ca: Path | None = option(
        None,
        "For that scheduler: the certificate of the authority that signed its own (a PEM file). Default: Dask's configuration.",
    )
    tls_cert: Path | None = option(None, "For that scheduler: a certificate of that authority for this process.")
    tls_key: Path | None = option(None, "The key of that certificate, where the certificate's file does not hold it.")
    insecure: bool = option(
        False, "Talk in the open to a scheduler on another host: whoever is on the way can run code on all machines."
    )

    def cluster(self) -> AbstractContextManager[Any]:
        """The cluster that was asked for; None where none was."""
        if self.scheduler is not None and self.workers is not None:
            raise UserError("--scheduler names workers that run already and --workers starts some: give one of them.")
        tls = {name: getattr(self, name) for name in ("tls_ca", "tls_cert", "tls_key")}
        given = {name: str(path) for name, path in tls.items() if path is not None}
        if self.scheduler is None and (given or self.insecure):
            raise UserError("--tls-ca, --tls-cert, --tls-key and --insecure are about a scheduler: name it with --scheduler.")
        if self.scheduler is None and self.workers is None:
            return nullcontext()
        from ascribe.cluster import Cluster  # noqa: PLC0415 - late, so that --help is instant

        return Cluster(self.scheduler, workers=self.workers, insecure=self.insecure, **given)
