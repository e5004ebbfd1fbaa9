"""The contract of a rule, on one screen.

A rule answers one question: given a network and a batch, which way should each trainable number move? The answer points
uphill, so that any Optax optimizer descends it.
"""

import dataclasses
from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Generic, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from ascribe.datasets import Dataset
from ascribe.errors import UserError, shown
from ascribe.losses import Loss
from ascribe.networks import Network
from ascribe.types import Array, Float, Int, Key, PyTree, Scalar, Shaped


def hyperparameter(default: float, interval: str = "(-inf, inf)") -> Any:
    """An array field for a number that can be swept: 2, 2.0 and a NumPy 2.0 become the same kind of leaf, so that none of
    them compiles once more. A number outside `interval` (as in `"[0, 1)"`; the field's metadata has it) is refused where it
    enters, by the field's name."""
    low, high = (float(end) for end in interval[1:-1].split(","))

    def convert(value: Any) -> Array:
        try:
            if isinstance(value, bool | np.bool_):
                raise TypeError
            array = jnp.asarray(value, float)
        except (TypeError, ValueError, OverflowError) as error:
            raise UserError(f"{wanted()}; got {shown(value)}.") from error
        # Under `jit` and `vmap` a field is a tracer, which has no number to look at, and the values of several runs have an
        # axis: both are made of numbers that were looked at when they came in one by one.
        if array.ndim == 0 and not isinstance(array, Tracer):
            number = float(array)
            above = number > low or (interval[0] == "[" and number == low)
            below = number < high or (interval[-1] == "]" and number == high)
            if not (above and below):
                raise UserError(f"{wanted()}; got {number:g}.")
        return array

    names: list[str] = []  # of the field, once its class is there (`AbstractRule.__init_subclass__`)
    wanted = lambda: f"`{names[0]}` is a number in {interval}" if names else f"a number in {interval} is wanted"
    return eqx.field(converter=convert, default=default, metadata={"interval": interval, "names": names})


class Batch(eqx.Module):
    """What a rule is asked about.

    `inputs`: `(batch, …)`; `targets`: labels `(batch,)` or numbers `(batch, outputs)`; `loss`: what judges the outputs;
    `indices`: `(batch,)`, which training examples these are; `network_state`: the normalization statistics that the
    forward pass starts from (None: the initial ones).
    """

    inputs: Float[Array, "batch ..."]
    targets: Shaped[Array, "batch ..."]
    loss: Loss = eqx.field(static=True)
    indices: Int[Array, " batch"] | None = None
    network_state: PyTree = None


class Trainables(eqx.Module):
    """A network and what is trained beside it, each part under a label that may have its own optimizer.

    `auxiliary`: activations of training examples, arrays `(layers, examples, …)`: the loop hands the rule the rows of the
    batch's examples only, and leaves all others as they are. `feedback`: any tree of weights that the rule has beside the
    network, such as learned feedback or a classifier for each layer. A rule that trains nothing but the network uses the bare
    `Network` instead.
    """

    network: Network
    auxiliary: PyTree = None
    feedback: PyTree = None


class Credit(eqx.Module):
    """A rule's answer: the `loss` before the step, `gradients` in the trainables' own tree (uphill), the rule's new
    `state` and the network's new `network_state` (normalization statistics)."""

    loss: Scalar
    gradients: PyTree
    state: PyTree = None
    network_state: PyTree = None


class LimitingCase(eqx.Module):
    """A rule where it equals something known: "where `condition`, it is `equals`", as in "where B = W, it is backpropagation";
    an empty condition is always met. The numbers of `ours` are those of `theirs` then, leaf by leaf, to rounding."""

    condition: str = eqx.field(static=True)
    equals: str = eqx.field(static=True)
    ours: PyTree
    theirs: PyTree


Trained = TypeVar("Trained", bound=Network | Trainables)
State = TypeVar("State")

TOLD: dict[str, Callable[[Any], str]] = {}
"""How a notebook shows a rule: filled by the registry, which knows the names of rules and imports this module."""


class AbstractRule(eqx.Module, Generic[Trained, State]):
    """A learning rule, `AbstractRule[Trained, State]` to the type checker: `Trained` is what it trains, a `Network` or
    `Trainables`; `State` what it keeps from step to step, a tree of arrays, or None.

    Numbers that may be swept are fields made by `hyperparameter(default)`: arrays, so that a new value does not recompile. What
    changes the program (a kind, a depth) is `eqx.field(static=True)`.

    Only `__call__` must be written. The class attributes describe the rule: `tasks` it can do, and `forced` settings,
    `{"optimizer": …, "learning_rate": …, "batch_size": …}` (an optimizer for `auxiliary` or `feedback` alone is a mapping),
    `wants_plain_steps`, where its update is no gradient and learns by its size, which optimizers such as Adam take away.
    `encoding` and `adapt` say what inputs and what network it needs. `ascribe.train` and `ascribe.compare` honor all of them,
    and flag such a rule in its `notes`. All other hooks are called while JAX traces the run.
    """

    tasks: ClassVar[tuple[str, ...]] = ("binary", "classification", "regression")
    forced: ClassVar[Mapping[str, Any]] = {}
    wants_plain_steps: ClassVar[bool] = False

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for name, value in vars(cls).items():
            if isinstance(value, dataclasses.Field):  # until the class is a dataclass, a moment later
                value.metadata.get("names", []).append(name)

    def encoding(self, data: Dataset) -> tuple[str, ...]:
        """The transforms that the inputs need before the rule can use them, names of `datasets.TRANSFORMS`.

        **Arguments:** `data`: the experiment's, as it is.
        """
        return ()

    def adapt(self, network: Network, data: Dataset) -> Network:
        """The network that the rule needs in place of the experiment's. A `UserError` where there is none: `compare` without a
        list of rules then leaves this one out, and says why.

        **Arguments:** `network`: the experiment's; `data`: its data in the rule's `encoding`.
        """
        return network

    def trainables(self, network: Network, data: Batch, *, key: Key) -> Trained:
        """What is trained: the network itself, or `Trainables` with more beside it.

        **Arguments:** `network`: with the parameters that every rule meets for this seed; `data`: all training examples as one
        batch; `key`: the run's randomness for this hook.
        """
        return network  # pyright: ignore[reportReturnType] - a rule of `Trainables` has its own

    def init(self, network: Network, data: Batch, *, key: Key) -> State:
        """The rule's state before the first step, such as fixed feedback weights; None for a rule that keeps nothing.

        **Arguments:** as in `trainables`, with another `key`.
        """
        return None  # pyright: ignore[reportReturnType] - a rule with a state has its own

    @abstractmethod
    def __call__(self, trainables: Trained, state: State, batch: Batch, *, key: Key) -> Credit:
        """The credit of every trainable number for one batch.

        **Arguments:** `trainables`: of auxiliaries the rows of the batch's examples; `state`: as `init` made it and the steps
        before left it; `batch`: inputs, targets and their loss; `key`: another one for every step.
        """

    def after_update(self, trainables: Trained, state: State) -> tuple[Trained, State]:
        """What the rule does after the optimizer's step, such as a decoupled decay.

        **Arguments:** `trainables`: as the optimizer left them; `state`: the credit's.
        """
        return trainables, state

    def after_epoch(self, trainables: Trained, state: State, data: Batch, *, epoch: Int[Array, ""]) -> tuple[Trained, State]:
        """What the rule does between two epochs, such as a refit; after the last one there is `finish`.

        **Arguments:** `trainables`, `state`: as the epoch left them; `data`: all training examples; `epoch`: the one that
        ended, from 0.
        """
        return trainables, state

    def metrics(self, trainables: Trained, state: State, batch: Batch, *, before: Trained, after: Trained) -> dict[str, Array]:
        """Numbers of the rule's own, measured after every epoch; each name becomes a curve, and names like
        `activated_share/relu1` one panel of a figure.

        **Arguments:** `trainables`, `state`: after the epoch; `batch`: the probe batch; `before`: the trainables when the
        epoch began; `after`: what one more step, on the probe batch, would make of them.
        """
        return {}

    def notes(self, curves: Mapping[str, np.ndarray]) -> tuple[str, ...]:
        """What the table should say of finished runs.

        **Arguments:** `curves`: theirs by name, `(runs, epochs)` each, the rule's own among them.
        """
        return ()

    def predictor(self, trainables: Trained, state: State) -> Network:
        """The network that answers new inputs, at any moment of the training: by default the trained one, by its forward pass.
        A rule that predicts in another way, such as by a goodness of every label or by a classifier of its own, returns a
        network of another structure, whose layers have a `config` like all others, so that a file can keep it. Validation after
        every epoch, test scores, models, estimators and class maps all ask it.

        **Arguments:** `trainables`, `state`: of the moment that is asked about.
        """
        return network_of(trainables)

    def finish(self, trainables: Trained, state: State, data: Batch) -> Network:
        """The network that answers new inputs, made once after the last epoch: other numbers in the structure of `predictor`'s
        (`adapt` chooses another structure to train, before training).

        **Arguments:** `trainables`, `state`: of the last epoch, or of the best one; `data`: all training examples.
        """
        return self.predictor(trainables, state)

    def feedback(self, trainables: Trained, state: State) -> dict[str, Array]:
        """The weights that carry the error back in place of W, by layer name, in W's shape; empty if there are none.

        **Arguments:** `trainables`, `state`: of the moment that is asked about.
        """
        return {}

    def limiting_case(self, network: Network, batch: Batch, *, key: Key) -> LimitingCase | None:
        """The condition under which the rule equals something known, and both sides of that on this batch; None where there is
        none. The rule's card checks it (`ascribe.card`).

        **Arguments:** `network`: one that the rule takes; `batch`: some examples; `key`: randomness for whatever is drawn.
        """
        return None

    @property
    def finishes(self) -> bool:
        """Whether the rule has a `finish` of its own: then scores before it are recorded too."""
        return type(self).finish is not AbstractRule.finish

    @property
    def predicts(self) -> bool:
        """Whether the rule has a `predictor` of its own: then another network than the trained one answers."""
        return type(self).predictor is not AbstractRule.predictor

    @property
    def acts_between_epochs(self) -> bool:
        """Whether the rule has an `after_epoch` of its own: then its state after 50 epochs is not one of 100 at its 50th."""
        return type(self).after_epoch is not AbstractRule.after_epoch

    def __repr__(self) -> str:
        """With the values of single numbers."""

        def told(leaf: Any) -> Any:
            known = eqx.is_inexact_array(leaf) and not leaf.ndim and not isinstance(leaf, Tracer)
            return float(str(np.asarray(leaf))) if known else leaf  # the shortest digits of its type

        pairs = [(field.name, jax.tree.map(told, getattr(self, field.name))) for field in dataclasses.fields(self)]
        return f"{type(self).__name__}({', '.join(f'{name}={eqx.tree_pformat(value, width=10**6)}' for name, value in pairs)})"

    def _repr_html_(self) -> str:
        return TOLD["html"](self)


def network_of(trainables: Network | Trainables) -> Network:
    """The network inside a rule's trainables."""
    return trainables if isinstance(trainables, Network) else trainables.network
