"""What can be redone of "Binary Classifier Forward-Pass Optimization" (Lerman 2021).

The document states a rule with options, one bound, and what the options are for, and no results; so the checks are of the
bound, of what each option does, and of our reading of how they go together. Data and networks are ours.
"""

import functools
import itertools
from typing import Any

import altair as alt
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from ascribe import datasets, losses, networks
from ascribe.charts.inline import inline
from ascribe.charts.theme import GRAY, INK, themed
from ascribe.experiments.compare import compare
from ascribe.experiments.comparison import Comparison
from ascribe.rules import AbstractRule, Batch, ForwardPass, get
from ascribe.rules.forward_pass import stabilize
from ascribe.statistics import finished, interval

from .base import Check, Listener, Result, at_most, close, same

RULE_2 = {"rule 2": "all", "rule 2.1": "positive", "rule 2.2": "none"}
PAIRS = {"both": (True, True), "neither": (False, False), "(8) alone": (True, False), "(13) alone": (False, True)}
COLORS = ("#d55e00", "#0072b2", "#6b7280", "#b9bec6")
DATA: dict[str, dict[str, Any]] = {"gaussians": {"samples": 2000}, "moons": {"samples": 2000}}
SETTINGS: dict[str, Any] = {
    "seeds": 8,
    "epochs": 50,
    "tune": 5,
    "tune_seeds": 3,
    "search": {"learning_rate": (1e-4, 1e-1)},
    "diagnostics": False,
}
SCALINGS = (0.02, 0.05, 0.1, 0.2, 0.5)
PUBLISHED = {
    "as published": "forward-pass-as-published",
    "as published, (10)": "forward-pass-as-published:error_scaled=yes",
}
"""The whole rule as the document states it, and with the rate that follows the error; ours is rule 2.1 with both of (8) and
(13)."""
UP_STEPS = 60
"""Steps on one example with label 1, until activations explode."""
EPSILONS = (1e-3, 0.1, 1.0)
"""Lower bounds of |z^L| in (13), up to ours."""


def forward_pass(listener: Listener) -> Result:
    """All variants of rule 2 with (8) and (13) on and off, on two data sets; and the trust region, exact and measured."""
    found = {name: variants(name, listener) for name in DATA}
    rows = [row for name, comparison in found.items() for row in table(name, comparison)]
    pairs, whole = ([row for row in rows if (row["rule"] == "whole") == kind] for kind in (False, True))
    exact, measured = exact_ratios(), measured_ratios()
    checks = (*learning_checks(pairs), *published_checks(whole), *ratio_checks(exact))
    figures = {"combinations": combinations(pairs), "trust_region": trust_region(measured)}
    return Result(checks, figures, {"combinations": rows, "trust_region": measured})


def variants(name: str, listener: Listener) -> Comparison:
    """The twelve combinations on one data set, and the rule as published, all equally tuned."""
    rules: dict[str, AbstractRule] = {
        f"{rule}; {pair}": ForwardPass(inactive=inactive, flip_label=flip_label, natural=natural)
        for rule, inactive in RULE_2.items()
        for pair, (flip_label, natural) in PAIRS.items()
    }
    rules |= {f"whole; {label}": get(name) for label, name in PUBLISHED.items()}
    return compare(datasets.load(name, **DATA[name]), rules=rules, listener=listener, **SETTINGS)


def table(name: str, comparison: Comparison) -> list[dict[str, Any]]:
    """One row a combination: mean test accuracy with its 95 % interval, and the rate that tuning chose."""
    rows = []
    for label, runs in comparison.runs.items():
        rule, _, pair = label.partition("; ")
        mean, half = interval(finished(runs.scores["test_accuracy"], runs.diverged))
        row = {"data": name, "rule": rule, "pair": pair, "accuracy": float(mean), "interval": float(half)}
        rows.append(row | {"learning_rate": float(runs.learning_rates[0]), "diverged": int(runs.diverged.sum())})
    return rows


def learning_checks(rows: list[dict[str, Any]]) -> list[Check]:
    """Both of (8) and (13) learn, and so does neither; exactly one of them stays far behind, with any rule 2. A combination
    that always diverges (NaN) fails: NumPy's least and largest are NaN then, which Python's need not be."""
    checks = []
    for name in DATA:
        found = {(row["rule"], row["pair"]): row["accuracy"] for row in rows if row["data"] == name}
        both = {rule: found[rule, "both"] for rule in RULE_2}
        alone = {rule: np.max([found[rule, "(8) alone"], found[rule, "(13) alone"]]) for rule in RULE_2}
        least = 0.9 if name == "gaussians" else 0.8
        checks += [
            _at_least(
                f"{name}: accuracy with (8) and (13), least over the rules 2", least, np.min(list(both.values()))
            ),
            _at_least(
                f"{name}: what is lost with exactly one of them, least over the rules 2",
                0.1,
                np.min([both[rule] - alone[rule] for rule in RULE_2]),
            ),
            _at_least(f"{name}: accuracy with neither, rule 2", 0.75, found["rule 2", "neither"]),
        ]
    return checks


def published_checks(rows: list[dict[str, Any]]) -> list[Check]:
    """The whole rule as the document states it learns where a line is enough."""
    found = {(row["data"], row["pair"]): row["accuracy"] for row in rows}
    return [
        _at_least("gaussians: accuracy of the rule as published", 0.85, found["gaussians", "as published"]),
        _at_least("gaussians: the same with (10)", 0.85, found["gaussians", "as published, (10)"]),
    ]


def _at_least(statement: str, limit: float, got: float) -> Check:
    return Check(statement, f"at least {limit:g} (our reading)", f"{got:.3f}", bool(got >= limit))


def exact_ratios() -> list[tuple[float, int, int, float]]:
    """λ, L, y and F_new/F_old for non-negative weights, one example, SGD at rate 1, (13) off: the case where it is exact."""
    found = []
    with jax.enable_x64(True):
        for scaling, layers, label in ((0.1, 2, 1), (0.1, 4, 1), (0.1, 4, 0), (0.5, 3, 1)):
            network = jax.tree.map(jnp.abs, networks.mlp([3, *[8] * (layers - 1), 1], bias=False, key=jr.key(0)))
            rule = _bare(scaling, natural=False)
            found.append((scaling, layers, label, float(_ratios(rule, network, np.ones((1, 3)), [label])[0])))
    return found


def ratio_checks(exact: list[tuple[float, int, int, float]]) -> list[Check]:
    """The ends of the document's interval, reached."""
    checks = []
    for scaling, layers, label, ratio in exact:
        expected = (1 + scaling if label else 1 - scaling) ** layers
        what = f"(1 {'+' if label else '−'} λ)^L, λ = {scaling:g}, L = {layers}, y = {label}"
        checks.append(
            Check(
                f"the trust region's end {what}", f"{expected:.9f}", f"{ratio:.9f}", bool(abs(ratio - expected) < 1e-9)
            )
        )
    return checks


def measured_ratios() -> list[dict[str, Any]]:
    """F_new(x)/F_old(x) of 400 examples x, each after one step of SGD at rate 1 on x alone, from He's initial weights of
    three layers: percentiles for (13) on and off and several λ, beside the document's interval."""
    data = datasets.load("gaussians", samples=2000).encode("split-signs", "constant-one")
    network = networks.mlp([data.features, 64, 64, 1], bias=False, key=jr.key(0))
    rows = []
    for natural in (True, False):
        for scaling in SCALINGS:
            rule = _bare(scaling, natural=natural)
            ratios = _ratios(rule, network, data.train.inputs[:400], data.train.targets[:400])
            low, high = (1 - scaling) ** 3, (1 + scaling) ** 3
            levels = {f"p{level:02}": float(np.percentile(ratios, level)) for level in (5, 25, 50, 75, 95)}
            inside = float(np.mean((ratios >= low - 1e-6) & (ratios <= high + 1e-6)))
            rows.append({"natural": natural, "scaling": scaling, **levels, "low": low, "high": high, "inside": inside})
    return rows


def _bare(scaling: float, *, natural: bool, **more: Any) -> ForwardPass:
    """Rules 1 to 3 as they stand with (8), with the rate λ for every example, or λ/z^L."""
    chosen: dict[str, Any] = {"scaling": scaling, "sign_threshold": 0.0, "inactive": "all", "error_scaled": False}
    return ForwardPass(natural=natural, **(chosen | more))


def _ratios(rule: ForwardPass, network: networks.Network, inputs: Any, labels: Any) -> np.ndarray:
    """F_new(x)/F_old(x) of every example after a step on it alone."""
    return _outputs(rule, network, inputs, labels) / np.asarray(network(jnp.asarray(inputs, network.dtype)))[:, 0]


def _outputs(rule: ForwardPass, network: networks.Network, inputs: Any, labels: Any) -> np.ndarray:
    """F_new(x) of every example after a step of SGD at rate 1 on it alone."""
    return np.asarray(_after(rule, network, jnp.asarray(inputs, network.dtype), jnp.asarray(labels, jnp.int32)))


@jax.jit
def _after(rule: ForwardPass, network: networks.Network, inputs: jax.Array, labels: jax.Array) -> jax.Array:
    def one(x: jax.Array, label: jax.Array) -> jax.Array:
        batch = Batch(x[None], label[None], losses.BERNOULLI_CROSS_ENTROPY)
        moved = jax.tree.map(lambda weight, gradient: weight - gradient, network, rule(network, None, batch).gradients)
        return moved(x[None])[0, 0]

    return jax.vmap(one)(inputs, labels)


def natural(listener: Listener) -> Result:
    """(13) on. Where all weights have one sign a step moves the output by λL, whatever it was, so the odds by (1 ± λ)^L; an
    output below a lower bound ε of |z^L| moves by less; and what weights of both signs do is measured."""
    steps, bounded, odds, mixed = natural_steps(), bounded_steps(), odds_of(one_sign=True), odds_of(one_sign=False)
    checks = (*natural_checks(steps), *bounded_checks(bounded), *odds_checks(odds, mixed))
    tables = {"steps": steps, "bounded": bounded, "one_sign": odds, "both_signs": mixed}
    return Result(checks, {"odds": odds_figure(odds, mixed)}, tables)


def natural_steps() -> list[dict[str, Any]]:
    """How far one step of SGD at rate 1 on one example moves the output, over λL: for networks of 2 to 4 layers whose weights
    have one sign (the last layer's turned, for outputs below 0), outputs of several sizes, both labels, (13) on and off."""
    rows = []
    with jax.enable_x64(True):
        x = np.array([[0.02], [0.2], [2.0]]) * np.array([0.7, 1.0, 1.3])
        for layers, sign, natural in ((2, 1, True), (3, 1, True), (4, 1, True), (3, -1, True), (3, 1, False)):
            network = _of_one_sign([3, *[8] * (layers - 1), 1], sign)
            old = np.asarray(network(jnp.asarray(x)))[:, 0]
            for label, scaling in itertools.product((0, 1), (1e-4, 1e-5)):
                rule = _bare(scaling, natural=natural, epsilon=1e-9)
                new = _outputs(rule, network, x, [label] * len(x))
                for z, moved in zip(old, (new - old) / (scaling * layers), strict=True):
                    row = {"natural": natural, "layers": layers, "label": label, "scaling": scaling}
                    rows.append({**row, "output": float(z), "step": float(moved)})
    return rows


def _of_one_sign(sizes: list[int], sign: int) -> networks.Network:
    """Weights all above 0; with `sign` -1 those of the last layer below."""
    network = jax.tree.map(jnp.abs, networks.mlp(sizes, bias=False, key=jr.key(0)))
    last = network.synaptic[-1]
    return network.with_layers(
        [jax.tree.map(lambda w: sign * w, network[name]) if name == last else network[name] for name in network.names]
    )


def natural_checks(rows: list[dict[str, Any]]) -> list[Check]:
    """The step of the output is λL with the sign of the label to first order, of an output of any size and sign."""
    off = lambda rows: np.max([abs(row["step"] - (2 * row["label"] - 1)) for row in rows], initial=0.0)
    small, large = ([row for row in rows if row["natural"] and row["scaling"] == scaling] for scaling in (1e-5, 1e-4))
    sizes = [row["output"] for row in small]
    plain = [row for row in rows if not row["natural"] and row["scaling"] == 1e-5]
    ratios = [abs(row["step"]) / row["output"] for row in plain]
    return [
        at_most(
            f"(13), one sign: a step over λL, less ±1, for outputs from {min(sizes):.2g} to {max(sizes):.2g}",
            1e-3,
            float(off(small)),
        ),
        close("the same, order in λ: the rest at ten times the λ over that", 10.0, float(off(large) / off(small)), 0.5),
        at_most(
            "without (13): the step over λL is the output itself, largest relative difference",
            1e-3,
            float(np.max(np.abs(np.array(ratios) - 1))),
        ),
    ]


def bounded_steps() -> list[dict[str, Any]]:
    """How far a step towards label 1 moves small and large outputs, over λL, with several lower bounds ε of |z^L|."""
    rows = []
    with jax.enable_x64(True):
        network, x = _of_one_sign([3, 8, 8, 1], 1), np.geomspace(1e-4, 1.0, 9)[:, None] * np.array([0.7, 1.0, 1.3])
        old = np.asarray(network(jnp.asarray(x)))[:, 0]
        for epsilon in EPSILONS:
            new = _outputs(_bare(1e-7, natural=True, epsilon=epsilon), network, x, [1] * len(x))
            steps = (new - old) / (1e-7 * 3)
            rows += [
                {"epsilon": epsilon, "output": float(z), "step": float(step)}
                for z, step in zip(old, steps, strict=True)
            ]
    return rows


def bounded_checks(rows: list[dict[str, Any]]) -> list[Check]:
    """Below ε the step is |z|/ε of what it is above: (13) is there no more."""
    checks = []
    for epsilon in EPSILONS:
        own = [row for row in rows if row["epsilon"] == epsilon]
        off = [abs(row["step"] - min(1.0, row["output"] / epsilon)) for row in own]
        what = f"ε = {epsilon:g}{' (ours)' if epsilon == 1.0 else ''}: a step over λL, less min(1, |z|/ε)"
        checks.append(at_most(f"{what}, z from {own[0]['output']:.1g} to {own[-1]['output']:.1g}", 1e-3, max(off)))
    return checks


def odds_of(*, one_sign: bool) -> list[dict[str, Any]]:
    """The odds e^F after a step over those before, 400 examples, (13) on: with weights above 0, or with He's of both signs."""
    network = networks.mlp([_inputs().shape[1], 64, 64, 1], bias=False, key=jr.key(0))
    network = jax.tree.map(jnp.abs, network) if one_sign else network
    old = np.asarray(network(jnp.asarray(_inputs(), network.dtype)))[:, 0]
    rows, labels = [], _encoded().targets[:400]
    for scaling in SCALINGS:
        moved = _outputs(_bare(scaling, natural=True, epsilon=EPSILONS[0]), network, _inputs(), labels) - old
        towards = (2 * labels - 1) * moved
        row = {"scaling": scaling, "median_step": float(np.median(np.abs(moved)) / (3 * scaling))}
        odds = np.exp(np.clip(moved, -600.0, 600.0, dtype=np.float64))  # within 64-bit numbers
        rows.append({**row, "towards": float(np.mean(towards > 0)), **_spread_of(odds, scaling)})
    return rows


def _inputs() -> np.ndarray:
    return _encoded().inputs[:400]


@functools.cache
def _encoded() -> datasets.Split:
    return datasets.load("gaussians", samples=2000).encode("split-signs", "constant-one").train


def _spread_of(ratios: np.ndarray, scaling: float) -> dict[str, float]:
    """Percentiles of ratios, and the document's interval for three layers with the share of them inside, to the second order
    that "approximately" leaves out."""
    low, high = (1 - scaling) ** 3, (1 + scaling) ** 3
    levels = {f"p{level:02}": float(np.percentile(ratios, level)) for level in (5, 25, 50, 75, 95)}
    ends = {"least": float(np.min(ratios)), "largest": float(np.max(ratios))}
    inside = float(np.mean((ratios >= low * (1 - 3 * scaling**2)) & (ratios <= high * (1 + 3 * scaling**2))))
    return {**ends, **levels, "low": low, "high": high, "inside": inside}


def odds_checks(one: list[dict[str, Any]], both: list[dict[str, Any]]) -> list[Check]:
    """The document's interval holds for weights of one sign; for both signs it does not, though every step is towards the
    label: positive and negative paths nearly cancel in the output, and not in its change."""
    checks = []
    for row in one[:3]:
        scaling, (low, high) = row["scaling"], (row["low"], row["high"])
        agrees = abs(row["least"] / low - 1) <= 3 * scaling**2 and abs(row["largest"] / high - 1) <= 3 * scaling**2
        checks.append(
            Check(
                f"the trust region of (13) as odds, one sign, λ = {scaling:g}, L = 3: its ends, to second order in λ",
                f"{low:.3f} and {high:.3f}",
                f"{row['least']:.3f} and {row['largest']:.3f}",
                bool(agrees),
            )
        )
    first = both[0]
    checks += [
        Check(
            "weights of both signs (He's), λ = 0.02: share of examples that move towards their label",
            "at least 0.95",
            f"{first['towards']:.3f}",
            bool(first["towards"] >= 0.95),
        ),
        Check(
            f"the trust region of (13) for the same weights: share of examples inside (their median step is "
            f"{first['median_step']:.1f} λL)",
            "at least 0.95 (the document names no condition)",
            f"{first['inside']:.3f}",
            bool(first["inside"] >= 0.95),
        ),
    ]
    return checks


def options(listener: Listener) -> Result:
    """Definition 0.1, (9), (10), (11) with (12), and (14), each by what it does to a few weights."""
    with jax.enable_x64(True):
        checks = [*definition_checks(), *rate_checks(), *sign_checks()]
    growth = explosion()
    figures = {"activations": growth_figure(growth)}
    return Result((*checks, *explosion_checks(growth)), figures, {"activations": growth})


def _one(x: Any, label: Any, network: networks.Network) -> Batch:
    return Batch(jnp.asarray(x, network.dtype), jnp.asarray(label, jnp.int32), losses.BERNOULLI_CROSS_ENTROPY)


def _slopes(rule: ForwardPass, network: networks.Network, batch: Batch) -> networks.Network:
    return jax.jit(lambda network, batch: rule(network, None, batch).gradients)(network, batch)


def definition_checks() -> list[Check]:
    """Definition 0.1: every input counts, so all weights from a neuron's inputs move by one factor. Ours: an input that is 0
    moves none."""
    rng = np.random.default_rng(0)
    x = np.where(rng.random((20, 6)) < 0.5, rng.random((20, 6)), 0.0)
    x[:, 0] = 0.0
    network = networks.mlp([6, 8, 1], bias=False, key=jr.key(0))
    factors = {}
    for kind in ("always", "nonzero"):
        rule = ForwardPass(input_activation=kind, inactive="all")
        slopes = _slopes(rule, network, _one(x, rng.integers(0, 2, 20), network))
        factors[kind] = np.asarray(slopes["linear1"].weight / jnp.abs(network["linear1"].weight))
    apart = np.ptp(factors["always"], axis=1) / np.max(np.abs(factors["always"]))
    return [
        at_most("Definition 0.1: how far the factors of one neuron's inputs differ", 1e-12, float(np.max(apart))),
        Check(
            "Definition 0.1: an input that is always 0 moves its weights",
            "above 0",
            float(np.max(np.abs(factors["always"][:, 0]))),
            bool(np.any(factors["always"][:, 0] != 0)),
        ),
        same("ours (nonzero): what such an input moves", 0.0, float(np.max(np.abs(factors["nonzero"][:, 0])))),
    ]


def rate_checks(scaling: float = 0.1) -> list[Check]:
    """(9): a step down undoes a step up, where without it λ² is lost; (10): a step is E times as long, E no more than 1/λ."""
    network = _of_one_sign([3, 8, 8, 1], 1)
    x = np.array([[0.3, 1.2, 0.7]])
    found = []
    for adaptive in (True, False):
        rule, moved = _bare(scaling, natural=False, adaptive_rate=adaptive), network
        for label in (1, 0):
            slopes = _slopes(rule, moved, _one(x, [label], network))
            moved = jax.tree.map(jnp.subtract, moved, slopes)
        back = jax.tree.map(lambda new, old: jnp.max(jnp.abs(new / old - 1)), moved, network)
        found.append(max(float(leaf) for leaf in jax.tree.leaves(back)))
    wide = networks.mlp([3, 8, 1], bias=False, initializer="lecun-normal", key=jr.key(1))
    inputs, labels = np.random.default_rng(1).normal(size=(64, 3)) * 3.0, np.arange(64) % 2
    large = 0.5  # so that some errors are larger than 1/λ
    sizes = []
    for scaled in (True, False):
        rule = _bare(large, natural=False, error_scaled=scaled)
        each = jax.jit(jax.vmap(lambda x, y, rule=rule: rule(wide, None, _one(x[None], y[None], wide)).gradients))
        slopes = each(jnp.asarray(inputs), jnp.asarray(labels))["linear2"].weight
        sizes.append(np.asarray(jnp.sum(jnp.abs(slopes), axis=(1, 2))))
    z = np.asarray(wide(jnp.asarray(inputs)))[:, 0]
    errors = np.logaddexp(0.0, np.where(labels == 1, -z, z))
    moves = sizes[1] > 0  # a network that is silent moves nothing in its last layer
    off = np.abs(sizes[0][moves] / sizes[1][moves] - np.minimum(errors[moves], 1 / large))
    return [
        at_most("(9): weights after a step up and one down over those before, less 1", 1e-12, found[0]),
        close("the same without (9): λ²", scaling**2, found[1], 1e-12),
        at_most("(10): the length of a step over that without, less min(E, 1/λ)", 1e-12, float(np.max(off))),
        Check(
            "(10): of these examples, errors above 1/λ (where it is capped)",
            "some",
            int(np.sum(errors[moves] > 1 / large)),
            bool(np.any(errors[moves] > 1 / large)),
        ),
    ]


def sign_checks(scaling: float = 0.2, threshold: float = 0.01) -> list[Check]:
    """(14): steps down by a factor never bring a weight across 0; with (14) those do that fall below η, and no others."""
    network = jax.tree.map(jnp.abs, networks.mlp([200, 1], bias=False, initializer="lecun-normal", key=jr.key(0)))
    batch = _one(np.ones((1, 200)), [0], network)
    found = {}
    for eta in (0.0, threshold):
        rule = _bare(scaling, natural=False, flip_label=False, sign_threshold=eta)

        def step(_: jax.Array, network: networks.Network, rule: ForwardPass = rule) -> networks.Network:
            moved = jax.tree.map(jnp.subtract, network, rule(network, None, batch).gradients)
            return rule.after_update(moved, None)[0]

        after = jax.jit(functools.partial(jax.lax.fori_loop, 0, 10, step))(network)
        found[eta] = int(jnp.sum(after["linear1"].weight < 0))
    below = int(np.sum(np.asarray(network["linear1"].weight) * (1 - scaling) ** 10 < threshold))
    return [
        same("without (14): weights of 200 that changed their sign in ten steps down", 0, found[0.0]),
        same("with (14): those that fell below η meanwhile, and no others", below, found[threshold]),
    ]


def explosion(scaling: float = 0.2) -> list[dict[str, Any]]:
    """Label 1 again and again, SGD at rate 1, weights above 0, in float32: the largest hidden activation and the logit after
    every step, and the rounding error of the logit (float32 against float64, the same weights), with (11, 12) and without."""
    rows = []
    x = np.array([[0.3, 1.2, 0.7]])
    for stabilized in (False, True):
        rule = _bare(scaling, natural=False, stabilized=stabilized)
        network = _of_one_sign([3, 8, 8, 1], 1)
        network = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), stabilize(network) if stabilized else network)
        batch = _one(x, [1], network)

        def step(network: networks.Network, _: None, rule: ForwardPass = rule, batch: Batch = batch) -> tuple[Any, Any]:
            moved = jax.tree.map(jnp.subtract, network, rule(network, None, batch).gradients)
            return moved, moved

        _, path = jax.jit(functools.partial(jax.lax.scan, step, length=UP_STEPS))(network)
        hidden, logits = map(np.asarray, jax.jit(jax.vmap(_activity, (0, None)))(path, batch.inputs))
        with jax.enable_x64(True):
            wide = jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf, np.float64)), path)
            exact = np.asarray(jax.jit(jax.vmap(_activity, (0, None)))(wide, jnp.asarray(x))[1])
        for number in range(UP_STEPS):
            row = {"stabilized": stabilized, "step": number + 1, "hidden": float(hidden[number])}
            rows.append({**row, "logit": float(logits[number]), "rounding": float(abs(logits[number] - exact[number]))})
    return rows


def _activity(network: networks.Network, x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The largest activation of a hidden layer, and the logit."""
    tape, _ = networks.record(network, x)
    last = network.index(network.synaptic[-1])
    return jnp.max(tape.inputs[last]), tape.output[0, 0]


def explosion_checks(rows: list[dict[str, Any]]) -> list[Check]:
    """What (11) and (12) are for."""
    plain, stable = ([row for row in rows if row["stabilized"] == kind] for kind in (False, True))
    last = f"after {UP_STEPS} steps towards one label, λ = 0.2"
    silent = stabilize(networks.mlp([3, 8, 1], bias=False, key=jr.key(0)))
    return [
        Check(
            f"without (11, 12): the largest hidden activation {last} (explodes)",
            "at least 1e+06",
            plain[-1]["hidden"],
            bool(plain[-1]["hidden"] >= 1e6),
        ),
        at_most("with (11, 12): the same, in all steps", 10.0, max(row["hidden"] for row in stable)),
        Check(
            f"rounding error of the logit in float32 {last}: with (11, 12) over without",
            "at most 0.001",
            stable[-1]["rounding"] / plain[-1]["rounding"],
            bool(stable[-1]["rounding"] <= 1e-3 * plain[-1]["rounding"]),
        ),
        close(
            "(11): the output of a network that nothing reaches", -0.001, float(silent(jnp.zeros((1, 3)))[0, 0]), 1e-9
        ),
    ]


def combinations(rows: list[dict[str, Any]]) -> Any:
    """Test accuracy of every combination with its interval."""
    columns = {key: [row[key] for row in rows] for key in ("data", "rule", "pair", "accuracy")}
    columns["low"] = [max(row["accuracy"] - row["interval"], 0.0) for row in rows]
    columns["high"] = [min(row["accuracy"] + row["interval"], 1.0) for row in rows]
    panels = []
    for name in DATA:
        chosen = [i for i, row in enumerate(rows) if row["data"] == name]
        data = inline({key: [values[i] for i in chosen] for key, values in columns.items()})
        x = lambda field: alt.X(
            f"{field}:Q",
            title="Test accuracy",
            scale=alt.Scale(domain=[0.4, 1.0]),
            axis=alt.Axis(format="~%", tickCount=6),
        )
        base = alt.Chart(data).encode(
            y=alt.Y("rule:N", title=None, sort=list(RULE_2)),
            yOffset=alt.YOffset("pair:N", sort=list(PAIRS)),
            color=alt.Color(
                "pair:N",
                sort=list(PAIRS),
                scale=alt.Scale(domain=list(PAIRS), range=list(COLORS)),
                legend=alt.Legend(title="Of (8) and (13)", orient="bottom", symbolType="circle"),
            ),
        )
        chance = alt.Chart(alt.Data(values=[{"x": 0.5}])).mark_rule(color=GRAY, strokeDash=[5, 4]).encode(x=x("x"))
        bars = base.mark_rule(strokeWidth=2).encode(x=x("low"), x2="high:Q")
        dots = base.mark_point(filled=True, size=90, opacity=1.0).encode(x=x("accuracy"))
        title = alt.TitleParams(name, anchor="middle", fontSize=14, offset=6)
        panels.append(alt.layer(chance, bars, dots).properties(width=400, height=240, title=title))
    return themed(
        alt.concat(*panels, columns=2, spacing=32),
        "Which combinations of the forward-pass rule learn",
        "The label flip (8) and the natural rate (13) belong together; rule 2 in its three variants.",
        f"Mean test accuracy of {SETTINGS['seeds']} seeds with its 95 % interval, every combination tuned alike.",
    )


def trust_region(rows: list[dict[str, Any]]) -> Any:
    """The measured distribution of F_new/F_old against the document's interval."""
    panels = {
        f"(13) {'on' if natural else 'off'}": [row for row in rows if row["natural"] == natural]
        for natural in (False, True)
    }
    return themed(
        _regions(panels, "F after / F before", 4.0),
        "The trust region, measured",
        "Orange: the document's interval from (1 − λ)³ to (1 + λ)³. Blue: the middle half of 400 examples, each after one step",
        "of SGD at rate 1 on it alone, from He's initial weights; black: the 5th to the 95th percentile; white: the median.",
    )


def odds_figure(one: list[dict[str, Any]], both: list[dict[str, Any]]) -> Any:
    """The measured distribution of the odds after a step over those before, against the document's interval."""
    return themed(
        _regions({"weights of one sign": one, "weights of both signs": both}, "Odds after / odds before", 4.0),
        "The trust region of the natural rate (13), as odds",
        "Orange: the document's interval from (1 − λ)³ to (1 + λ)³. Blue: the middle half of 400 examples, each after one step",
        "of SGD at rate 1 on it alone, (13) on; black: the 5th to the 95th percentile; white: the median.",
    )


def _regions(panels: dict[str, list[dict[str, Any]]], what: str, high: float) -> Any:
    """Percentiles of ratios over λ, a panel for each kind of rows; what is larger than `high` is drawn there."""
    drawn = []
    for name, rows in panels.items():
        chosen = [{**row, "λ": f"{row['scaling']:g}"} for row in rows]
        keys = ("λ", "p05", "p25", "p50", "p75", "p95", "low", "high")
        data = inline({key if key != "λ" else "scaling": [row[key] for row in chosen] for key in keys})
        y = lambda field: alt.Y(f"{field}:Q", title=what, scale=alt.Scale(domain=[0.0, high], clamp=True, nice=False))
        base = alt.Chart(data).encode(x=alt.X("scaling:O", title="λ", sort=None, axis=alt.Axis(labelAngle=0)))
        parts = (
            base.mark_bar(color="#f5b871", opacity=0.55, width=44).encode(y=y("low"), y2="high:Q"),
            base.mark_rule(color=INK, strokeWidth=1.5).encode(y=y("p05"), y2="p95:Q"),
            base.mark_bar(color="#0072b2", width=16).encode(y=y("p25"), y2="p75:Q"),
            base.mark_tick(color="white", thickness=2, width=16).encode(y=y("p50")),
        )
        title = alt.TitleParams(name, anchor="middle", fontSize=14, offset=6)
        drawn.append(alt.layer(*parts).properties(width=400, height=260, title=title))
    return alt.concat(*drawn, columns=2, spacing=32)


def growth_figure(rows: list[dict[str, Any]]) -> Any:
    """The largest hidden activation and the rounding error of the logit, step by step."""
    kinds = {False: "without (11, 12)", True: "with (11, 12)"}
    panels = []
    for field, title in (("hidden", "Largest hidden activation"), ("rounding", "Rounding error of the logit")):
        shown = {
            "step": [row["step"] for row in rows],
            "value": [row[field] if row[field] > 0 else None for row in rows],
            "kind": [kinds[row["stabilized"]] for row in rows],
        }
        lines = alt.Chart(inline(shown)).mark_line(strokeWidth=2.4)
        lines = lines.encode(
            x=alt.X("step:Q", title="Step", scale=alt.Scale(nice=False)),
            y=alt.Y("value:Q", title=title, scale=alt.Scale(type="log"), axis=alt.Axis(format="~e", tickCount=8)),
            color=alt.Color(
                "kind:N",
                title=None,
                sort=list(kinds.values()),
                scale=alt.Scale(domain=list(kinds.values()), range=["#d55e00", "#0072b2"]),
                legend=alt.Legend(orient="bottom", symbolType="stroke"),
            ),
        )
        panels.append(lines.properties(width=400, height=260))
    return themed(
        alt.concat(*panels, columns=2, spacing=32),
        "Activations that explode, and what stops them",
        "One example with label 1 again and again, SGD at rate 1, λ = 0.2, weights above 0, two hidden layers, float32.",
        "The rounding error is that of float32 against float64, with the same weights.",
    )
