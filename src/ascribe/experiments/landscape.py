"""`landscape`: the loss over a plane through the weights of one layer, with the paths that rules take on it.

All layers but one are frozen, so that every rule walks through the same space from the same start, on the same surface: what
differs is only which way it goes.

Source: "Function changes in the Backpropagation equation is equivalent to an implicit learning rate", section 3.1 and figure
1b; a plane of principal components: Li et al. (2018), "Visualizing the loss landscape of neural nets", section 7.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from ascribe import losses, training
from ascribe.checks import at_least, not_negative, positive
from ascribe.datasets import DataLike, Dataset
from ascribe.errors import UserError
from ascribe.networks import BatchNorm, Network
from ascribe.rules import AbstractRule, Trainables, network_of
from ascribe.setup import described
from ascribe.training import (
    Driver,
    Experiment,
    Listener,
    LossLandscape,
    NetworkSource,
    Progress,
    Recipe,
    Rules,
    Setup,
    Specification,
)
from ascribe.training.evaluate import CHUNK, Examples, evaluate
from ascribe.training.examples import examples_of
from ascribe.training.freezing import check_layer
from ascribe.training.landscape import CLIMB
from ascribe.training.processes import alone
from ascribe.training.progress import or_one_line
from ascribe.types import Array, PyTree

from . import plane

MOST_EXAMPLES = 4096
"""On how many training examples, evenly spaced, the losses of a landscape are computed at most."""

AT_ONCE = 16
"""Points of the surface at a time on an accelerator. (A CPU is as fast with one, and takes less memory.)"""


def landscape(
    network: str | Network | Callable[..., Network],
    data: DataLike,
    rules: Rules,
    *,
    layer: str,
    seed: int = 0,
    optimizer: Any = "adam",
    learning_rate: float | Mapping[str, float] = 0.1,
    epochs: int = 100,
    batch_size: int | None = None,
    directions: Any = "principal",
    points: int = 41,
    margin: float = 0.2,
    loss: str | losses.Loss | None = None,
    listener: Listener | None = None,
) -> LossLandscape:
    """Trains one layer with every rule, from the same weights, and computes the loss over a plane through its weight space.

    The defaults are those of the source's figure 1b: Adam with a rate of 0.1, 100 epochs, each one step on all examples.

    **Arguments:**

    - `network`, `data`, `optimizer`, `epochs`, `loss`, `listener`: as in `train`;
    - `rules`: names or rules, or a mapping that gives them names of their own;
    - `layer`: the layer with weights that is trained (its bias, if any, with it); all others stay as `seed` made them;
    - `learning_rate`: of every rule, or a mapping from the rules' names;
    - `batch_size`: all examples by default;
    - `directions`: `"principal"`, the plane through the mean of all recorded weights along their first two principal
      components (weights where the loss is above `CLIMB` times the start's do not count: there a rule leads away), or two
      directions, arrays of the layer's
      numbers or of its weight's shape: then the plane goes through the start and they are made orthonormal;
    - `points`: along each side of the surface; `margin`: around the paths, as a share of their extent.

    A rule that needs another network or encoded inputs, trains activations or starts elsewhere has no path in this plane: it is
    left out, and `left_out` says why.

    **Raises:** `UserError` for anything that does not fit together, and where no rule is left.
    """
    alone("a loss landscape")
    data = training.check_data(data)
    named = training.named_rules(rules, data)
    rates = _rates(learning_rate, named)
    (seed,) = training.check_seeds([seed])
    points, margin = at_least(3, "points", points), not_negative("margin", margin)
    size = len(data.train) if batch_size is None else batch_size
    setup = Setup(optimizer=optimizer, epochs=epochs, batch_size=size, loss=loss, diagnostics=False, only=layer)
    network = training.network_for(network, data)
    template = training.template_of(network)
    start, _ = ravel_pytree(template[check_layer("layer", template, layer)])
    if not isinstance(directions, str) or directions != "principal":
        directions = plane.chosen_directions(directions, start.size, template[layer].weight.shape)
    recipes, left_out = _drawn(named, rates, network, data, setup)
    check_size(layer, template, len(recipes), setup.epochs)
    recipes = {name: training.complete(one) for name, one in recipes.items()}
    listener = or_one_line(listener)
    placed: dict[Any, Any] = {}
    walks: dict[str, _Walk] = {}
    surface: _Surface | None = None
    for name, one in recipes.items():
        driver = Driver(Experiment(one, placed=placed), listener=listener)
        surface = _Surface.make(driver.experiment, seed, layer) if surface is None else surface
        walk = surface.walk(driver, Specification(seed, one.setup.learning_rate))
        if isinstance(walk, str):
            left_out[name] = walk
        else:
            walks[name] = walk
    if surface is None or not walks:
        raise _nobody(left_out)

    low = {name: walk.losses <= CLIMB * walk.losses[0] for name, walk in walks.items()}
    recorded = np.concatenate([walk.weights[low[name]] for name, walk in walks.items()])
    if isinstance(directions, str):
        kind, origin, directions = "principal", recorded.mean(axis=0), plane.principal_directions(recorded)
        ends = np.sum([(walk.weights[-1] - walk.weights[0]) @ directions.T for walk in walks.values()], axis=0)
        directions = directions * np.where(ends < 0, -1.0, 1.0)[:, None]  # paths run to the right and upwards
    else:
        kind, origin = "chosen", next(iter(walks.values())).weights[0]
    axes = plane.axes((recorded - origin) @ directions.T, points, margin)
    title = f"loss surface of {layer}"
    listener(Progress(title, "computing", 0, points**2, float("nan")))
    values = surface.over(origin, directions, axes)
    listener(Progress(title, "computing", points**2, points**2, float("nan")))
    first = next(iter(recipes.values())).setup
    return LossLandscape(
        layer=layer,
        seed=seed,
        loss=surface.loss.name,
        optimizer=described(first.optimizer),
        epochs=setup.epochs,
        batch_size=min(setup.batch_size, len(data.train)),
        examples=surface.examples.inputs.shape[0],
        training_examples=len(data.train),
        kind=kind,
        learning_rates={name: recipes[name].setup.learning_rate for name in walks},
        trajectories={name: (walk.weights - origin) @ directions.T for name, walk in walks.items()},
        losses={name: walk.losses for name, walk in walks.items()},
        shown={name: int(np.flatnonzero(low[name])[-1]) + 1 for name in walks},
        diverged_at={name: walk.diverged_at for name, walk in walks.items() if walk.diverged_at is not None},
        left_out=left_out,
        notes=tuple(f"{name}: {note}" for name in walks for note in recipes[name].notes),
        origin=origin,
        directions=directions,
        axes=axes,
        surface=values,
        shares=plane.shares(recorded, directions),
    )


@dataclasses.dataclass(frozen=True)
class _Walk:
    """The weights of the layer before the first and after every epoch, `(steps, size)`, and the training loss there."""

    weights: np.ndarray
    losses: np.ndarray
    diverged_at: int | None


class _Surface(eqx.Module):
    """The training loss as a function of the one free layer, the others at their start.

    `above`: the free layer and what comes after it; `examples`: what the frozen layers before it make of the training
    examples, computed once. Batch normalization takes the statistics of these examples at every point, so that the loss depends
    on the weights alone; dropout is off.
    """

    network: Network
    above: Network
    examples: Examples
    loss: losses.Loss = eqx.field(static=True)
    layer: str = eqx.field(static=True)

    @classmethod
    def make(cls, experiment: Experiment, seed: int, layer: str) -> "_Surface":
        network = _first(
            training.devices.new_networks(experiment.recipe.source, experiment.mesh, jnp.asarray([seed], jnp.uint32))
        )
        data = examples_of(experiment.data, "train")
        most = CHUNK if _normalized(network.layers) else MOST_EXAMPLES
        count = data.inputs.shape[0]
        chosen = np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int))
        index, layers = network.holder(layer), network.layers
        _check_statistics(network)
        reached = _reached(layers[:index], data.inputs[chosen])
        few = Examples(reached, data.targets[chosen], data.target_scale)
        above = Network(layers[index:]).located(reached.shape[1:])
        return cls(network, above, few, experiment.recipe.loss, layer)

    def walk(self, driver: Driver, specification: Specification) -> _Walk | str:
        """The path of one rule; or in words, why it has none."""
        weights = []
        for state in driver.epochs(specification, "landscape"):
            if isinstance(state.trainables, Trainables) and jax.tree.leaves(state.trainables.auxiliary):
                return "it trains activations beside the weights"
            network = network_of(_first(state.trainables))
            if not weights and not _equal(network, self.network):
                return "it starts from weights of its own"
            weights.append(np.asarray(ravel_pytree(network[self.layer])[0]))
        path = np.stack(weights)
        found = np.asarray(self.values(jnp.asarray(path, self.network.dtype)), np.float64)
        finite = np.isfinite(path).all(axis=1) & np.isfinite(found)
        count = len(path) if finite.all() else int(np.argmin(finite))
        if count == 0:
            return "its loss is not finite at the start"
        return _Walk(path[:count].astype(np.float64), found[:count], None if count == len(path) else count)

    def over(self, origin: np.ndarray, directions: np.ndarray, axes: np.ndarray) -> np.ndarray:
        """The loss at every point of the grid, `(rows, columns)`; NaN where it is not finite."""
        columns, rows = np.meshgrid(axes[0], axes[1])
        points = np.stack([columns.ravel(), rows.ravel()], axis=1)
        grid, *within = (jnp.asarray(array, self.network.dtype) for array in (points, origin, directions))
        values = np.asarray(self.values(grid, tuple(within)), np.float64)
        return np.where(np.isfinite(values), values, np.nan).reshape(rows.shape)

    @eqx.filter_jit
    def values(self, points: Array, within: tuple[Array, ...] | None = None) -> Array:
        """The training loss at every point, `(points,)`, in one compiled program.

        `points`: weights of the layer `(points, size)`, or coordinates `(points, 2)` in the plane `within` (its origin and
        directions).
        """
        site = next((one for one in self.network.sites if one.name == self.layer), None)
        free = lambda one: one.first if site is None else jax.tree.leaves(one.first)[site.leaf]
        layer_of = ravel_pytree(free(self.above))[1]

        def at(where: Array) -> Array:
            vector = where if within is None else within[0] + where @ within[1]
            network = eqx.tree_at(free, self.above, layer_of(vector))
            states = _statistics(network.layers, self.examples.inputs[:]) if _normalized(network.templates) else None
            return evaluate(network, states, self.examples, self.loss)["loss"]

        at_once = None if self.above.convolutional or jax.default_backend() == "cpu" else AT_ONCE
        return jax.lax.map(at, points, batch_size=at_once)


def _normalized(layers: Sequence[Any]) -> bool:
    return any(isinstance(layer, BatchNorm) for layer in layers)


def _check_statistics(network: Network) -> None:
    for name, layer in zip(network.names, network.templates, strict=True):
        if not isinstance(layer, BatchNorm) and jax.tree.leaves(layer.initial_state()):
            raise UserError(
                f"a loss landscape wants a network whose loss depends on its weights alone; the layer {name} keeps statistics "
                f"inside: build it without batch normalization, or with LayerNorm."
            )


def _own_statistics(layer: Any, x: Array) -> PyTree:
    """The mean and variance that a batch normalization takes in training when `x` is its batch; None for other layers."""
    axes = tuple(range(x.ndim - 1))
    return (jnp.mean(x, axis=axes), jnp.var(x, axis=axes)) if isinstance(layer, BatchNorm) else None


def _statistics(layers: Sequence[Any], x: Array) -> tuple[PyTree, ...]:
    """The normalization statistics of every layer on the examples `x`, all at once."""
    states = []
    for layer in layers:
        states.append(_own_statistics(layer, x))
        x, _ = layer(x, states[-1], training=False)
    return tuple(states)


@eqx.filter_jit
def _reached(layers: Sequence[Any], inputs: Array) -> Array:
    """What these layers make of the examples, a chunk at a time unless statistics are taken of all of them."""
    count = inputs.shape[0]
    chunk = count if _normalized(layers) else min(CHUNK, count)
    padded = jnp.pad(inputs, [(0, -count % chunk)] + [(0, 0)] * (inputs.ndim - 1))

    def through(x: Array) -> Array:
        for layer in layers:
            x, _ = layer(x, _own_statistics(layer, x), training=False)
        return x

    found = jax.lax.map(through, padded.reshape(-1, chunk, *inputs.shape[1:]))
    return found.reshape(-1, *found.shape[2:])[:count]


def _first(tree: PyTree) -> PyTree:
    """The first run of arrays with an axis of runs in front."""
    return jax.tree.map(lambda leaf: leaf[0], tree)


def _equal(ours: Network, theirs: Network) -> bool:
    pairs = zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True)
    return all(np.array_equal(np.asarray(a), np.asarray(b)) for a, b in pairs)


def _rates(given: float | Mapping[str, float], named: Mapping[str, AbstractRule]) -> dict[str, float]:
    if not isinstance(given, Mapping):
        return dict.fromkeys(named, positive("learning_rate", given))
    missing, unknown = ([name for name in a if name not in b] for a, b in ((named, given), (given, named)))
    if missing or unknown:
        word = f"it lacks {missing[0]}" if missing else f"it has {unknown[0]!r}, which is not among them"
        raise UserError(f"a mapping of learning rates has every rule by its name ({', '.join(named)}): {word}.")
    return {name: positive("learning_rate", given[name]) for name in named}


def outsider(recipe: Recipe, given: NetworkSource) -> str | None:
    """Why a rule with this recipe has no path in the weight space of the network `given`; None if it has one."""
    if recipe.encoding:
        return "it needs inputs of its own"
    return None if recipe.source is given else "it needs a network of its own"


def _drawn(
    named: Mapping[str, AbstractRule], rates: Mapping[str, float], network: NetworkSource, data: Dataset, setup: Setup
) -> tuple[dict[str, Recipe], dict[str, str]]:
    """The recipes of the rules that have a path, and why the others have none."""
    drawn: dict[str, Recipe] = {}
    left_out: dict[str, str] = {}
    for name, rule in named.items():
        try:
            recipe = training.honor(rule, name, network, data, dataclasses.replace(setup, learning_rate=rates[name]))
        except UserError as error:  # it refuses the network
            left_out[name] = str(error).rstrip(".")
            continue
        why = outsider(recipe, network)
        if why is None:
            drawn[name] = recipe
        else:
            left_out[name] = why
    if not drawn:
        raise _nobody(left_out)
    return drawn, left_out


def _nobody(left_out: Mapping[str, str]) -> UserError:
    reasons = "; ".join(f"{name}: {why}" for name, why in left_out.items())
    return UserError(f"no rule has a path in this network's weight space to be drawn ({reasons}).")


def check_size(layer: str, network: Network, rules: int, epochs: int) -> None:
    """A `UserError` where the layer is too small for a plane, or its recorded weights too large for the memory."""
    size = sum(leaf.size for leaf in jax.tree.leaves(network[layer]))
    if size < 2:
        raise UserError(f"the layer {layer} has one number and a plane needs two: choose a larger layer.")
    needed = 4 * 8 * size * rules * (epochs + 1)  # recorded, centered, and on the way
    free = training.devices.available_memory()
    if jax.default_backend() == "cpu" and needed > free:
        raise UserError(
            f"the paths of {rules} rules over {epochs} epochs through the {size:,} numbers of {layer} take "
            f"{needed / 2**30:.1f} GiB and this machine has {free / 2**30:.1f}: choose fewer epochs or a smaller layer."
        )
