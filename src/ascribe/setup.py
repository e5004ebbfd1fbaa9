"""How something is trained, as one value: `Setup`.

A setting is declared once, as a field that says what it means to the rest of the package (`Setting`): whether it decides what a
run becomes, and so belongs to the run's key; whether records tell it; in which words a page does; what the command line's help
says. Identity of runs, records, sentences, what several processes must have in common, merging and options are made from the
fields.

No JAX here: the command line and the report read it too. What needs the tables of optimizers and losses, the data or the
network, is checked where these come together (`training/recipe.py`).
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from typing import Any, Literal

from .checks import at_least, flag, plain, positive
from .errors import UserError, shown
from .measures import CLASS_MEASURES, NUMBER_MEASURES

OPTIMIZERS = (
    *("sgd", "momentum", "adam", "adamw", "rmsprop", "rprop", "adagrad", "adadelta", "lion"),
    *("hypergradient-sgd", "hypergradient-adam", "hypergradient-adadelta"),
)
LOSSES = ("squared-error", "bernoulli-cross-entropy", "categorical-cross-entropy")
"""The names of `training.optimizers.OPTIMIZERS` and of `losses.LOSSES`, for whom these are too heavy to import."""
SELECT = ("last", "best-validation")
CONTROLS = {
    "frozen": "hidden layers stay as they began, and the last layer with weights alone learns, by its exact gradient",
    "linear": "a network without hidden layers, trained by backpropagation",
    "noise": "in place of every gradient a random direction of the same norm, layer by layer",
}
"""What a comparison can have beside its rules, for them to be above, and what each is (`experiments/controls.py`)."""
DEFAULT_CONTROLS = ("frozen", "linear")
LARGEST = 2**31 - 1


@dataclasses.dataclass(frozen=True)
class Setting:
    """What a field of `Setup` means.

    - `help`: of the option of the command line; none where it is empty; `option`: its type, where it is another than the
      field's;
    - `check`: the value as it is kept, of the option's name and the value that was given; raises `UserError`;
    - `decides`: whether it decides what a run becomes, so that runs are told apart by it;
    - `of_run`: whether it stands beside the seed in every run's own key, and not among what the runs of a rule have in common;
    - `compiled`: whether the compiled programs depend on it;
    - `recorded`: whether records and stores tell it;
    - `words`: how a page tells it, as " for {} epochs"; nothing where the value is none.
    """

    help: str = ""
    option: Any = None
    check: Callable[[str, Any], Any] = lambda name, value: value
    decides: bool = True
    of_run: bool = False
    compiled: bool = True
    recorded: bool = True
    words: str = ""


def means(**meaning: Any) -> dict[str, Setting]:
    """The metadata of a field of `Setup`."""
    return {"setting": Setting(**meaning)}


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"


def _epochs(name: str, value: Any) -> int:
    count = at_least(1, name, value)
    if count > LARGEST:
        raise UserError(f"`{name}` is {LARGEST} at most; got {shown(value)}: choose fewer.")
    return count


def _selection(name: str, value: Any) -> str:
    if not isinstance(value, str) or value not in SELECT:
        raise UserError(f"`{name}` is {' or '.join(SELECT)}; got {value!r}.")
    return value


def _draws(name: str, value: Any) -> int:
    count = at_least(0, name, value)
    if count == 1:
        raise UserError(f"`{name}` is 0 or 2 or more draws, since one has no variance; got 1: take 16.")
    return count


@dataclasses.dataclass(frozen=True)
class Setup:
    """How something is trained: what `train`, `compare`, `discover` and the estimators are asked for, checked where that needs
    nothing else. Two of them are equal where all settings are.

    - `optimizer`: a name, a factory `learning_rate -> optax.GradientTransformation`, or a mapping of the labels `network`,
      `auxiliary`, `feedback` to either;
    - `select`: the network that is tested, of the `"last"` epoch or of the `"best-validation"` one;
    - `score`: the measure that says which is the best; None for the task's main one;
    - `loss`: a name or a `losses.Loss`; None for the task's own;
    - `diagnostics`: whether gradient angles are measured after every epoch;
    - `quality`: draws of the rule's credit after every epoch, each with its own batch, whose signal-to-noise ratio and bias are
      recorded; 0 for none;
    - `only`: the one synaptic layer of the network that is trained, by its name, or `"first"` or `"last"` of them where no
      layer has that name; None for all (what is trained beside the network is not concerned);
    - `devices_per_run`: how many devices divide every batch of a run;
    - `augmentations`, `black`: what is done to the images of the batches that are learned from, and the stored value of a black
      pixel, one a channel, for those that pad: both come with the data.

    **Raises:** `UserError` for a value that a setting cannot have.
    """

    epochs: int = field(
        default=50,
        metadata=means(check=_epochs, of_run=True, words=" for {} epochs", help="Passes over the training examples."),
    )
    batch_size: int = field(
        default=32,
        metadata=means(
            check=lambda name, value: at_least(1, name, value), words=" in batches of {}", help="Examples per step."
        ),
    )
    optimizer: Any = field(default="adam", metadata=means(words=" with {}", option=str, help=f"{_listed(OPTIMIZERS)}."))
    learning_rate: int | float = field(default=1e-3, metadata=means(check=positive, of_run=True, compiled=False))
    loss: Any = field(default=None, metadata=means(option=str | None, help=f"{_listed(LOSSES)}."))
    select: str = field(
        default="last",
        metadata=means(
            option=Literal["last", "best-validation"],
            check=_selection,
            help="Test the network of the last epoch, or of the best on validation.",
        ),
    )
    score: str | None = field(
        default=None,
        metadata=means(
            help="What tuning chooses by on validation, and the table orders and compares the rules by on test: "
            f"{_listed(CLASS_MEASURES)}; for regression {_listed(NUMBER_MEASURES)}. Default: {CLASS_MEASURES[0]}, or "
            f"{NUMBER_MEASURES[0]}."
        ),
    )
    only: str | None = field(
        default=None,
        metadata=means(
            words=", its layer {} alone",
            help="Train this one layer, such as linear2, or first or last, and leave all others as they began.",
        ),
    )
    diagnostics: bool = field(default=True, metadata=means(check=flag, recorded=False))
    quality: int = field(
        default=0,
        metadata=means(
            check=_draws,
            recorded=False,
            help="Draws of every rule's credit after every epoch, each with its own batch, for curves of its signal-to-noise "
            "ratio and bias; 0 for none. Each costs two gradients.",
        ),
    )
    devices_per_run: int = field(
        default=1,
        metadata=means(
            decides=False,
            compiled=False,
            recorded=False,
            help="How many devices (of CPUs, processes) divide every batch of a run; the others train other runs.",
        ),
    )
    augmentations: tuple[str, ...] = field(default=(), metadata=means(recorded=False))
    black: tuple[float, ...] = field(default=(), metadata=means(recorded=False))

    def __post_init__(self) -> None:
        for name, meaning in meanings(type(self)).items():
            object.__setattr__(self, name, meaning.check(name, getattr(self, name)))

    def __hash__(self) -> int:
        return hash(tuple(_hashable(value) for value in vars(self).values()))

    def common(self) -> dict[str, Any]:
        """Every setting that decides what a run becomes and is the same for all runs of a rule: beside seed, rate and number of
        epochs, what tells runs apart."""
        return {name: vars(self)[name] for name, one in meanings(type(self)).items() if one.decides and not one.of_run}

    def recorded(self) -> dict[str, Any]:
        """What a record tells, as plain JSON values."""
        return {name: described(vars(self)[name]) for name, one in meanings(type(self)).items() if one.recorded}

    def agreed(self) -> dict[str, Any]:
        """What all processes that train together are given alike, as plain JSON values."""
        return {name: described(value) for name, value in vars(self).items()}

    def compiled(self) -> "Setup":
        """The part that compiled programs depend on: everything else has its default."""
        names = [name for name, one in meanings(type(self)).items() if not one.compiled]
        defaults = {field.name: field.default for field in dataclasses.fields(self)}
        return dataclasses.replace(self, **{name: defaults[name] for name in names})


def meanings(kind: type[Setup] = Setup) -> dict[str, Setting]:
    """What every field of `Setup`, or of a kind of it, means."""
    return {field.name: field.metadata["setting"] for field in dataclasses.fields(kind)}


def told(recorded: Mapping[str, Any], kind: type[Setup] = Setup) -> str:
    """What a record says of its training, in words to be put behind a sentence: " for 50 epochs in batches of 32 with adam"."""
    pairs = ((one.words, recorded.get(name)) for name, one in meanings(kind).items() if one.words)
    return "".join(words.format(in_words(value)) for words, value in pairs if value)


def deciding(recorded: Mapping[str, Any], kind: type[Setup] = Setup) -> dict[str, Any]:
    """The settings of a record that say whether runs of two comparisons were trained alike; a record of an earlier version has
    the default of what it does not know. The learning rate, which is each rule's own, is none of them."""
    fields = {field.name: field.default for field in dataclasses.fields(kind)}
    names = [name for name, one in meanings(kind).items() if one.recorded and one.decides and name != "learning_rate"]
    return {name: recorded.get(name, fields[name]) for name in names}


def described(value: Any) -> Any:
    """A setting as a plain JSON value: mappings and sequences by their entries, objects by their name."""
    if isinstance(value, Mapping):
        return {label: described(one) for label, one in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [described(one) for one in value]
    value = plain(value)
    if value is None or isinstance(value, str | int | float):
        return value
    name = getattr(value, "name", None)
    return name if isinstance(name, str) else getattr(value, "__name__", repr(value))


def in_words(value: Any) -> str:
    """A setting as text: itself, or its name when it is a table with one, or its entries."""
    if isinstance(value, Mapping):
        return str(value["name"]) if "name" in value else ", ".join(f"{key} {entry}" for key, entry in value.items())
    return "" if value is None else str(value)


def _hashable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return tuple((label, _hashable(one)) for label, one in value.items())
    return tuple(map(_hashable, value)) if isinstance(value, list | tuple) else value
