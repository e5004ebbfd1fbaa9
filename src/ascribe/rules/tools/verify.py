"""Is a rule really active? (Wrappers that silently did backpropagation have fooled people.)"""

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.random as jr
import numpy as np

from ascribe import losses
from ascribe.errors import names_in_words
from ascribe.measures import LOSS_RATIO
from ascribe.metrics import gradient_alignment
from ascribe.networks import Network, foreign
from ascribe.rules import hooks, registry
from ascribe.rules.backpropagation import Backpropagation
from ascribe.rules.base import AbstractRule, Batch, network_of
from ascribe.rules.rounding import gradient_and_terms
from ascribe.rules.terms import INSIDE
from ascribe.types import Key

from .same_computation import numbered
from .value_and_credit import as_batch

SAME_ANGLE, SAME_RATIO = 1e-3, 1e-5
"""Degrees, and the distance of a norm ratio from 1, up to which two measured gradients count as one: single precision."""
SAME_LOSS = 0.01
"""The distance from 1 up to which the ratio of two losses counts as 1; where dropout is drawn otherwise it is on both sides."""
KEPT = 64
"""How many answers are kept, so that a training with other numbers is not traced again."""
REFERENCE = "reference"
"""The scope in which backpropagation is traced beside a rule."""


@dataclasses.dataclass(frozen=True)
class Verification:
    """What `verify` found: whether the rule's gradient differs from backpropagation's, and per layer by how much.

    `angles` (degrees) and `norm_ratios` are by synaptic layer, `"total"` over all parameters; NaN where backpropagation's
    gradient is at the floor of its arithmetic (`rules.gradient_and_terms`). `differs` lists the layers,
    synaptic or not, of which some parameter's gradient is another one.
    """

    rule: str
    angles: dict[str, float]
    norm_ratios: dict[str, float]
    differs: tuple[str, ...]

    def __bool__(self) -> bool:
        """True where the rule is active: some layer's gradient is not backpropagation's."""
        return bool(self.differs)

    def __str__(self) -> str:
        still = [name for name, ratio in self.norm_ratios.items() if ratio == 0 and name != "total"]
        lines = [
            f"{self.rule} "
            + (f"differs from backpropagation in {', '.join(self.differs)}" if self.differs else "is backpropagation here")
            + (f"; its gradient is zero in {', '.join(still)}" if still else "")
        ]
        for name, degrees in self.angles.items():
            ratio = self.norm_ratios[name]
            told = "angle not measurable" if math.isnan(ratio) else f"angle {degrees:7.3f}°, norm ratio {ratio:.4g}"
            lines.append(f"  {name:>12}: {told}")
        return "\n".join(lines)


def verify(
    rule: AbstractRule | type[AbstractRule] | str,
    network: Any,
    batch: Any,
    *,
    loss: str | losses.Loss | None = None,
    key: Key | None = None,
) -> Verification:
    """Is the rule, or the one of that name, really active? Compares its gradient with backpropagation's on one batch, layer
    by layer. (`train` and `compare` say in the notes of a rule where it is not.)

    Two gradients count as the same when they agree to 1e-5 relative to the layer's largest entry (1e-10 in float64). The
    lowest layers of a rule that only changes the way back differ; its last layer never does.

    **Arguments:** `network`: also a model of another library (`networks.from_model`); `batch`: as `as_batch` takes it.
    """
    network = foreign.wrapped(network)
    made, batch = registry.made(rule), as_batch(network, batch, loss)
    network = network.located(batch.inputs.shape[1:])
    with hooks.blamed(registry.name_of(made), made):
        anew = object() if hooks.is_own(made) else None  # a user's code may read other values than when it was traced
        found = _gradients(made, network, batch, jr.key(0) if key is None else key, anew)
    ours, theirs, terms = jax.device_get(found)
    angles = gradient_alignment(ours.unstacked, theirs.unstacked, terms.unstacked)
    found = {name: float(value) for name, value in angles.items()}
    names = {"total": "", **{name: f"/{name}" for name in network.synaptic}}
    return Verification(
        type(made).__name__,
        {name: found[f"gradient_angle{suffix}"] for name, suffix in names.items()},
        {name: found[f"gradient_norm_ratio{suffix}"] for name, suffix in names.items()},
        tuple(name for name, leaves in _weighted(network) if not _same(leaves(ours), leaves(theirs))),
    )


def notes(
    rule: AbstractRule,
    network: Network,
    batch: Batch,
    curves: Mapping[str, np.ndarray],
    *,
    only: str | None = None,
    key: Key | None = None,
) -> tuple[str, ...]:
    """What runs of a rule say of themselves where it is backpropagation: in all layers, in some, or inside a layer whose inner
    weights it cannot reach; where its gradient points the other way, or is zero; and where its loss is another one.

    A gradient is backpropagation's where it is computed in the same way, which a trace shows (`same_computation.py`; nothing
    is compiled), or where the `curves`, `(runs, epochs)` each, measured an angle of 0 and a norm ratio of 1 in every epoch of
    every run. The highest layer with weights is not named alone: its error is the loss's own in most rules.

    **Arguments:** `batch`: may be of shapes alone; `only`: the one layer that is trained, or None for all.
    """
    if type(rule).__call__ is Backpropagation.__call__:
        return ()
    network = network.located(batch.inputs.shape[1:])
    layers = [name for name, _ in _weighted(network)]
    trained = layers if only is None else [only]
    try:
        found = _traced(rule, network, batch, jr.key(0) if key is None else key)
    except Exception:  # a rule that wants all examples at once, say: a note must never cost the numbers
        found = Traced()
    equal, inside = set(found.equal), set(found.inside)
    told = (
        []
        if found.steady
        else ["it draws numbers while it is traced, once for all steps and other ones in the next process: draw from `key`"]
    )
    equal |= {name for name in network.synaptic if _measured_equal(curves, f"/{name}")}
    if equal.issuperset(trained) or (only is None and _measured_equal(curves, "")):
        return (*told, "backpropagation's own gradients in every layer")
    exact = [name for name in trained if name in equal]
    if any(name != layers[-1] for name in exact):
        told.append(f"backpropagation's own gradients in {names_in_words(exact)}")
    within = [name for name in network.names if name in inside and name not in exact]
    if within:
        told.append(f"the error goes back as in backpropagation inside {names_in_words(within)}")
    angles = _finite(curves, "gradient_angle")
    if only is None and len(angles) and angles.min() > 90:
        mean = float(angles.mean())
        told.append(f"its gradient points away from backpropagation's ({mean:.0f} degrees): is the sign wrong?")
    still = [name for name in trained if _measured_zero(curves, f"/{name}")]
    if still:
        told.append(f"its gradient is zero in {names_in_words(still)}: is it cut off there (stop_gradient)?")
    ratios = _finite(curves, LOSS_RATIO)
    if len(ratios) and (ratios.min() > 1 + SAME_LOSS or ratios.max() < 1 - SAME_LOSS):
        told.append(
            f"the loss that it returns is {ratios.mean():.3g} times the batch's mean: its training loss and loss area do not "
            f"compare"
        )
    return tuple(told)


@dataclasses.dataclass(frozen=True)
class Traced:
    """What a trace shows: the layers whose gradient is computed as backpropagation's is (`equal`), those that the error passes
    through `inside`, and whether a second trace computes the same (`steady`)."""

    equal: frozenset[str] = frozenset()
    inside: frozenset[str] = frozenset()
    steady: bool = True


def _traced(rule: AbstractRule, network: Network, batch: Batch, key: Key) -> Traced:
    """What a trace shows. Numbers change nothing of it: what differs in them alone is traced once."""
    leaves, structure = jax.tree.flatten((rule, network, batch))
    asked = (
        structure,
        *(f"{leaf.dtype}{leaf.shape}" if hasattr(leaf, "dtype") else (type(leaf), leaf) for leaf in leaves),
    )
    try:
        if asked in _answers:
            return _answers[asked]
    except TypeError:  # a leaf that has no hash
        return _trace(rule, network, batch, key)
    while len(_answers) >= KEPT:
        _answers.pop(next(iter(_answers)))
    _answers[asked] = found = _trace(rule, network, batch, key)
    return found


def _trace(rule: AbstractRule, network: Network, batch: Batch, key: Key) -> Traced:
    (arrays, given), fixed = eqx.partition((rule, batch), lambda leaf: eqx.is_array(leaf) or hasattr(leaf, "dtype"))

    own = hooks.is_own(rule)

    def gradients(arrays: Any, given: Any, network: Network) -> tuple[Network, Network, Network | None]:
        rule, batch = eqx.combine((arrays, given), fixed)
        ours, theirs = _both(rule, batch, key=key, network=network)
        return ours, theirs, _ours(rule, batch, key=key, network=network)[0] if own else None

    (ours, theirs, again), scopes = numbered(gradients, arrays, given, network)
    equal = {name for name, leaves in _weighted(network) if leaves(ours) == leaves(theirs)}
    paths = [scope.split("/") for scope in scopes]
    parts = {part for path in paths if REFERENCE not in path for part in path}
    inside = frozenset(part.removeprefix(INSIDE) for part in parts if part.startswith(INSIDE))
    return Traced(frozenset(equal), inside, again is None or jax.tree.leaves(again) == jax.tree.leaves(ours))


def _weighted(network: Network) -> list[tuple[str, Callable[[Network], list[Any]]]]:
    """Everything of a network that has weights, by name, with what finds its leaves: layers (of a stack, the leaves of all its
    blocks), and the sites inside one."""
    found: list[tuple[str, Callable[[Network], list[Any]]]] = []
    for number, first in enumerate(network.starts):
        after = network.starts[number + 1] if number + 1 < len(network.starts) else len(network.names)
        whole = lambda network, number=number: jax.tree.leaves(network.parts[number])
        inner = [site for site in network.sites if site.layer == first]
        if inner:
            one = lambda network, site, whole=whole: [whole(network)[site.leaf]]
            found += [(site.name, functools.partial(one, site=site)) for site in inner]
        else:
            names = zip(network.names[first:after], network.templates[first:after], strict=True)
            found += [(name, whole) for name, layer in names if jax.tree.leaves(layer)]
    return found


def _finite(curves: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    values = curves.get(name, np.zeros(0))
    return values[np.isfinite(values)]


def _measured_equal(curves: Mapping[str, np.ndarray], suffix: str) -> bool:
    """Whether an angle of 0 and a norm ratio of 1 were measured in every epoch of every run."""
    angles, ratios = (_finite(curves, f"gradient_{what}{suffix}") for what in ("angle", "norm_ratio"))
    return bool(len(angles) and np.all(angles < SAME_ANGLE) and np.all(np.abs(ratios - 1) < SAME_RATIO))


def _measured_zero(curves: Mapping[str, np.ndarray], suffix: str) -> bool:
    """Whether a gradient of zero was measured in every epoch of every run, where backpropagation had one."""
    ratios = _finite(curves, f"gradient_norm_ratio{suffix}")
    return bool(len(ratios) and np.all(ratios == 0))


_answers: dict[Any, Traced] = {}


@eqx.filter_jit
def _gradients(rule: AbstractRule, network: Network, batch: Batch, key: Key, anew: Any) -> tuple[Network, Network, Network]:
    """The rule's gradient where it begins, backpropagation's there, and the terms of that one; `anew`: not what it was before
    where it is traced anew."""
    ours, start, batch = _ours(rule, batch, key=key, network=network)
    exact, terms = gradient_and_terms(start, batch, key=jr.split(key)[1])
    return ours, exact.gradients, terms


def _both(rule: AbstractRule, batch: Batch, *, key: Key, network: Network) -> tuple[Network, Network]:
    """The two gradients, backpropagation's traced in a scope of its own."""
    ours, start, batch = _ours(rule, batch, key=key, network=network)
    with jax.named_scope(REFERENCE):
        theirs = Backpropagation()(start, None, batch, key=jr.split(key)[1]).gradients
    return ours, theirs


def _ours(rule: AbstractRule, batch: Batch, *, key: Key, network: Network) -> tuple[Network, Network, Batch]:
    """The rule's gradient, the network that it begins with, and the batch with the network's state."""
    if batch.network_state is None:
        batch = dataclasses.replace(batch, network_state=network.initial_state())
    keys = jr.split(key)  # taken apart as in `_both`, so that a trace shows the same randomness
    init_key, step_key = keys[0], keys[1]
    trainables = hooks.trainables(rule, network, batch, key=init_key)
    state = hooks.init(rule, network, batch, key=init_key)
    gradients = hooks.credit(rule, trainables, state, batch, key=step_key).gradients
    return network_of(gradients), network_of(trainables), batch


def _same(ours: list[Any], theirs: list[Any]) -> bool:
    """Whether two gradients of one layer agree, weight, bias and all."""
    pairs = list(zip(ours, theirs, strict=True))
    if not pairs:
        return True
    pairs = [(np.asarray(a), np.asarray(b)) for a, b in pairs]
    tolerance = (1e-10 if pairs[0][1].dtype == np.float64 else 1e-5) * max(np.max(np.abs(b)) for _, b in pairs)
    return all(bool(np.all(np.abs(a - b) <= tolerance)) for a, b in pairs)
