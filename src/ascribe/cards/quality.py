"""How good an estimate of the gradient a rule's credit is, layer by layer: bias, variance, signal-to-noise ratio."""

import dataclasses
from typing import Any

import numpy as np
from scipy.special import stdtrit

from ascribe import losses, training
from ascribe.checks import at_least
from ascribe.datasets import DataLike
from ascribe.networks import Network
from ascribe.setup import Setup

LEVEL = 0.95
"""The level of the intervals."""

Interval = tuple[float, float]


@dataclasses.dataclass(frozen=True)
class LayerQuality:
    """The credit c of one layer as an estimate of the gradient g.

    - `norm`: ‖E c‖; `reference_norm`: ‖E g‖;
    - `bias`: ‖E (c - g)‖ / ‖E g‖, with its 95 % interval `bias_interval`: where that begins at 0, no bias was found;
    - `rule_variance`: the mean over batches of tr Cov c, over the rule's own randomness (and dropout's);
    - `batch_variance`: tr Cov, over batches, of the mean over that randomness;
    - `snr`: ‖E c‖² / tr Cov c, of one step with one batch, with its interval `snr_interval`; infinite where nothing varies;
    - `angle` in degrees and `norm_ratio`: of one such step's credit to its gradient, as `verify` has them.

    Every squared norm and variance is an unbiased estimate, so that a small one may come out below 0; norms and the bias are
    roots of what is at least 0. NaN where a number has no meaning: the bias against a gradient that is drowned in what differs
    between batches, ratios of zeros.
    """

    norm: float
    reference_norm: float
    bias: float
    bias_interval: Interval
    rule_variance: float
    batch_variance: float
    snr: float
    snr_interval: Interval
    angle: float
    norm_ratio: float


@dataclasses.dataclass(frozen=True)
class Quality:
    """What `quality` found of a rule: `layers` by name, `"total"` over all parameters of the network; `draws` of the rule's
    randomness in each of `batches` batches of `batch_size` examples."""

    rule: str
    draws: int
    batches: int
    batch_size: int
    layers: dict[str, LayerQuality]

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values; numbers that are not finite as text."""
        plain = lambda value: [plain(one) for one in value] if isinstance(value, list | tuple) else _plain(value)
        layers = {name: {field: plain(value) for field, value in vars(layer).items()} for name, layer in self.layers.items()}
        return {**vars(self), "layers": layers}

    def __str__(self) -> str:
        lines = [f"{self.rule}: {self.draws} draws in each of {self.batches} batches of {self.batch_size} examples"]
        for name, one in self.layers.items():
            low, high = one.bias_interval
            lines.append(f"  {name:>12}: bias {one.bias:.3g} ({low:.3g} to {high:.3g}), SNR {one.snr:.3g}")
        return "\n".join(lines)


def quality(
    rule: training.RuleLike,
    network: Any,
    data: DataLike,
    *,
    draws: int = 8,
    batches: int = 16,
    batch_size: int = 32,
    loss: str | losses.Loss | None = None,
    seed: int = 0,
) -> Quality:
    """How good an estimate of backpropagation's gradient the credit of a rule is, at the weights of one moment.

    `batches` batches are drawn independently, in each the rule's randomness `draws` times; c̄_b is the mean credit of a batch,
    c̄ that of all n batches, and g is backpropagation's gradient of the same batch, with the same dropout masks:

        V = Σ_b ‖c̄_b - c̄‖² / (n - 1),   R = mean over b of Σ_r ‖c_br - c̄_b‖² / (draws - 1)
        ‖E c‖² = ‖c̄‖² - V/n,   rule variance R,   batch variance V - R/draws,   SNR = ‖E c‖² / (V - R/draws + R)
        bias² = (‖d̄‖² - V_d/n) / (‖ḡ‖² - V_g/n),   d = c - g

    Numerators and denominators are unbiased for any number of draws. Intervals leave out one batch at a time (jackknife), with
    Student's t at 95 %. Where a batch holds all examples, batches do not differ: all draws are of the one, and leave one draw
    out. Backpropagation has the bias 0, and then the variance 0.

    **Arguments:**

    - `rule`: a rule, its name or class; `data`: what `train` takes;
    - `network`: a `Network`, with the weights that it has (those of a trained one, too), or what `train` takes, drawn from the
      `seed`;
    - `draws`, `batches`: 2 of each at least; they take the memory of three gradients a batch, in double
      precision;
    - `batch_size`, `loss`: as in `train`; `seed`: of weights, batches and the rule.

    **Raises:** `UserError` for anything that does not fit together.
    """
    draws, batches = at_least(2, "draws", draws), at_least(2, "batches", batches)
    (seed,) = training.check_seeds([seed])
    data = training.check_data(data)
    name, made = training.named_rule(rule)
    training.check_rule(made, name, data)
    setup = Setup(batch_size=batch_size, loss=loss, epochs=1, diagnostics=False)
    recipe = training.complete(training.honor(made, name, training.network_for(network, data), data, setup))
    size = recipe.setup.batch_size
    one_batch = size >= len(data.train)
    units, each = (batches * draws, 1) if one_batch else (batches, draws)
    given = isinstance(network, Network) and isinstance(recipe.source, Network)
    found = training.credit_units(recipe, seed, as_given=given, batches=units, draws=each)
    layers = {layer: _judged(one, each, one_batch=one_batch) for layer, one in found.items()}
    return Quality(name, draws, batches, size, layers)


def _judged(units: training.CreditUnits, draws: int, *, one_batch: bool) -> LayerQuality:
    """One layer. Estimates are arrays here: first of all units, then without each of them."""
    (signal, between), (length, _), (error, _) = (_estimates(*one) for one in units[:3])
    inside = _means(np.asarray(units.within, np.float64) / max(draws - 1, 1))
    rule, batch = (between, np.zeros_like(between)) if one_batch else (inside, between - inside / draws)
    with np.errstate(divide="ignore", invalid="ignore"):
        snr, squared = signal / (rule + batch), np.where(length > 0, error / length, np.nan)
    low, high = _interval(squared)
    root = lambda value: float(np.sqrt(np.maximum(value, 0.0)))
    return LayerQuality(
        norm=root(signal[0]),
        reference_norm=root(length[0]),
        bias=root(squared[0]),
        bias_interval=(root(low), root(high)),
        rule_variance=float(rule[0]),
        batch_variance=float(batch[0]),
        snr=float(snr[0]),
        snr_interval=_interval(snr),
        angle=units.angle,
        norm_ratio=units.norm_ratio,
    )


def _estimates(length: Any, along: Any, squares: Any) -> tuple[np.ndarray, np.ndarray]:
    """The squared norm of the expectation, and the trace of the covariance."""
    along, squares = (np.asarray(one, np.float64) for one in (along, squares))
    n = len(squares)
    fewer = n - 2 if n > 2 else np.nan  # two units leave one, of which there is no variance
    lengths = float(length) + np.concatenate([[0.0], squares / (n - 1) ** 2 - 2.0 * along / (n - 1)])
    variances = np.concatenate([[squares.sum() / (n - 1)], (squares.sum() - squares * n / (n - 1)) / fewer])
    return lengths - variances / np.asarray([n, *[n - 1] * n]), variances


def _means(values: np.ndarray) -> np.ndarray:
    return np.concatenate([[values.mean()], (values.sum() - values) / (len(values) - 1)])


def _interval(estimates: np.ndarray) -> Interval:
    """The jackknife's interval (Efron & Stein 1981) of an estimate and those without each unit."""
    value, without = estimates[0], estimates[1:]
    if not np.isfinite(value):
        return float(value), float(value)
    n = len(without)
    half = stdtrit(n - 1, (1 + LEVEL) / 2) * np.sqrt((n - 1) / n * np.sum((without - without.mean()) ** 2))
    return float(value - half), float(value + half)


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, float) and not np.isfinite(value) else value
