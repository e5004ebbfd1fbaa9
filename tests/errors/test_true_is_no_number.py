"""True is no number: wherever the public functions and classes take one, it gets a sentence, and nothing is computed."""

import importlib
import inspect
import types
import typing

import jax.numpy as jnp
import numpy as np
import pytest

import ascribe
from ascribe import autodiff as ad
from ascribe import datasets, networks, neurons
from ascribe.errors import UserError

from ..report.stand_in import make_comparison
from ..training import tiny

pytestmark = pytest.mark.usefixtures("as_installed")

MADE = (
    "datasets.ColumnRead",
    "datasets.Understood",
    "rules.GradientCheck",
    "rules.PerceptronResult",
    "neurons.Recording",
    "autodiff.Approximation",
    "autodiff.CubeApproximation",
    "autodiff.Sigmoid",
    "statistics.CreditScore",
    "statistics.GridSummary",
    "statistics.HiddenCredit",
    "statistics.Pairs",
    "statistics.RankSummary",
    "statistics.RuleStatistics",
    "search.GaussianProcess",
    "search.Tuning",
)
"""What functions return: nobody else writes their numbers."""

INNER = (
    "datasets.whole_number",
    "datasets.shown",
    "networks.convolve",
    "rules.hyperparameter",
    "statistics.optional",
    "search.Objective",
    "search.learned_curve",
    "search.tune",
)
"""What gets its numbers from functions that have looked at them, or takes much to be called."""

ONE = [[1.0]]


def spiking():
    return neurons.SpikingNetwork(neurons.LIF(), neurons.Connection(ONE))


GIVEN = {
    "datasets.load": lambda: {"*": ("moons",)},
    "networks.Stack": lambda: {"layers": [networks.Linear(1, 1)]},
    "networks.Equilibrium": lambda: {"layers": [networks.Linear(1, 1)]},
    "networks.LabelGoodness": lambda: {"layers": [networks.Linear(1, 1)], "outputs": 2, "label_shape": (1,)},
    "networks.Residual": lambda: {"branch": [networks.Linear(1, 1)]},
    "networks.build": lambda: {"text": "4", "input_shape": (2,)},
    "networks.gru": lambda: {"input_shape": (3, 2)},
    "networks.transformer": lambda: {"input_shape": (3, 2)},
    "rules.MetaNetwork": lambda: {"omega": [0.0] * 4},
    "rules.check_gradients": lambda: {"checked": jnp.sum, "parameters": np.ones(2)},
    "rules.perceptron_algorithm": lambda: {"inputs": [[1.0], [2.0]], "labels": [1, -1]},
    "neurons.SpikeTrain": lambda: {"times": [0.1], "duration": 1.0},
    "neurons.SpikingNetwork": lambda: {"neurons": neurons.LIF(), "connection": neurons.Connection(ONE)},
    "neurons.poisson_spikes": lambda: {"rates": 1.0, "duration": 0.1},
    "neurons.random_connection": lambda: {"probability": 0.5, "weight": 1.0},
    "neurons.simulate": lambda: {"model": neurons.LIF(), "current": 2.0, "duration": 0.01},
    "neurons.surrogate_spikes": lambda: {"network": spiking(), "currents": ONE},
    "neurons.tuning_curve": lambda: {"model": neurons.LIF(), "currents": [2.0]},
    "autodiff.approximate": lambda: {"f": np.sin, "interval": (0, 1), "epsilon": 0.5},
    "autodiff.approximate_cube": lambda: {"f": np.sin, "inputs": 1, "epsilon": 0.5, "lipschitz": 1.0},
    "autodiff.check_gradients": lambda: {"*": (ad.exp, 1.0)},
    "autodiff.concatenate": lambda: {"parts": [ad.Var([1.0])]},
    "autodiff.graph": lambda: {"expression": ad.Var(1.0) + 2.0},
    "autodiff.heaviside": lambda: {"x": 1.0},
    "autodiff.leaky_relu": lambda: {"x": ad.Var(1.0)},
    "autodiff.minimize": lambda: {"expression": ad.Var(1.0), "variables": [], "optimizer": ad.GradientDescent(0.1)},
    "autodiff.piece": lambda: {"x": 1.0},
    "autodiff.softmax": lambda: {"x": ad.Var([1.0])},
    "autodiff.train": lambda: {
        **{"network": ad.Network(ad.Dense(1, 1)), "cost": ad.squared_error, "optimizer": ad.Adam(0.1)},
        **{"inputs": ONE, "targets": ONE},
    },
    "statistics.bootstrap_interval": lambda: {"differences": [1.0, 2.0]},
    "statistics.cohens_d": lambda: {"differences": [1.0, 2.0]},
    "statistics.corrected_interval": lambda: {"values": ONE},
    "statistics.corrected_t_test": lambda: {"differences": [1.0, 2.0]},
    "statistics.credit_score": lambda: {"own": [1.0, 2.0], "backpropagation": [2.0, 3.0], "frozen": [0.0, 1.0]},
    "statistics.epochs_to_target": lambda: {"curves": ONE},
    "statistics.grid_summary": lambda: {"scores": ONE},
    "statistics.hedges_g": lambda: {"differences": [1.0, 2.0, 4.0]},
    "statistics.hidden_credit": lambda: {"comparison": make_comparison(seeds=range(2))},
    "statistics.interval": lambda: {"values": ONE},
    "statistics.sign_flip_test": lambda: {"differences": [1.0]},
    "statistics.summarize": lambda: {"comparison": make_comparison(seeds=range(2))},
    "statistics.ranks_over": lambda: {"comparisons": [make_comparison(seeds=range(2))] * 2},
    "search.Space": lambda: {"layer": "relu1"},
    "search.best_few": lambda: {"space": None, "evaluations": None},
    "search.candidates": lambda: {"ranges": {"learning_rate": (0.1, 1.0)}},
    "search.condition": lambda: {"x": ONE, "y": [1.0], "length_scales": 1.0},
    "search.search": lambda: {"objective": None, "done": ()},
    "search.specifications": lambda: {"ranges": {"learning_rate": (0.1, 1.0)}, "seeds": (0,)},
    "search.suggest": lambda: {"x": np.zeros((0, 1)), "y": []},
}
"""What else these take in a call that works; `*`: what has no name."""


def takes_number(hint, default):
    """Whether an annotation, or a default, says int or float."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return any(takes_number(part, None) for part in typing.get_args(hint))
    return hint in (int, float) or type(default) in (int, float)


def numbers_of(function):
    """The parameters that take a number, and the others that have no default."""
    own = function.__init__ if inspect.isclass(function) and "__init__" in vars(function) else function
    try:
        parameters, hints = inspect.signature(function).parameters, typing.get_type_hints(own)
    except (NameError, TypeError, ValueError):  # an error's class, a name that is imported for types alone
        return [], [], []
    found = [name for name, one in parameters.items() if takes_number(hints.get(name), one.default)]
    several = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    wanted = [name for name, one in parameters.items() if one.default is one.empty and one.kind not in several]
    return found, [name for name in wanted if name not in found], [name for name in wanted if name in found]


def public(module):
    """The functions and classes of a module that take numbers, by their names."""
    for name, one in sorted(vars(importlib.import_module(f"ascribe.{module}")).items()):
        ours = (inspect.isfunction(one) or inspect.isclass(one)) and one.__module__.startswith("ascribe.")
        if ours and not name.startswith("_") and f"{module}.{name}" not in (*MADE, *INNER):
            yield f"{module}.{name}", one


def accepted(called, function, given):
    """What of `function` takes True without a sentence that names the parameter."""
    numbers, _, required = numbers_of(function)
    found = []
    for name in numbers:
        named = {one: value for one, value in given.items() if one != "*"}
        try:
            function(*given.get("*", ()), **dict.fromkeys(required, 2) | named | {name: True})
        except UserError as error:
            found += [] if "True" in str(error) else [f"{called}.{name}: {error}"]
        except Exception as error:
            found.append(f"{called}.{name}: {type(error).__name__}: {error}")
        else:
            found.append(f"{called}.{name}")
    return found


@pytest.mark.parametrize("module", ["datasets", "networks", "rules", "neurons", "autodiff", "statistics", "search"])
def test_true_is_refused_where_a_number_is_wanted(module):
    found = []
    for name, one in public(module):
        numbers, others, _ = numbers_of(one)
        if numbers and others and name not in GIVEN:
            pytest.fail(f"{name} takes numbers: write into GIVEN what else it takes")
        found += accepted(name, one, GIVEN.get(name, dict)())
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("gaussians", ["samples", "dimensions"]),
        ("moons", ["samples", "noise"]),
        ("spirals", ["samples", "noise", "turns", "classes"]),
        ("parity", ["samples", "bits"]),
        ("delayed-recall", ["samples", "symbols", "delay"]),
        ("adding", ["samples", "length"]),
        ("digits", ["samples", "test_samples"]),
    ],
)
def test_true_is_no_number_of_a_data_set(name, options):
    for option in options:
        with pytest.raises(UserError, match=rf"`{option}` is .*; got True"):
            datasets.load(name, **{option: True})


@pytest.mark.parametrize("name", ["train", "compare", "discover"])
def test_true_is_refused_before_anything_is_trained(name):
    rule = {"train": {"rule": "backpropagation"}, "compare": {"rules": ["backpropagation"]}}.get(name, {})
    given = {"data": tiny.data(), "network": tiny.mlp()} | rule
    assert not accepted(f"ascribe.{name}", getattr(ascribe, name), given)
