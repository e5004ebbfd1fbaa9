"""Every public function and class, called with what it does not take."""

import importlib
import inspect
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import ascribe
from ascribe import autodiff, datasets, networks, rules

from .children import Input
from .spoiling import TEXTS
from .valid import Maker

MODULES = ("", "datasets", "networks", "rules", "neurons", "autodiff", "statistics", "estimators")
NOT_CALLED = {"join_processes", "use_all_cores", "Cluster", "train", "compare", "discover"}
"""What waits for other processes or sets this one up, and what trains: `trainings` calls it, with little to do."""
BUILDING_BLOCKS = {
    *("rules.backward_sweep", "rules.final_preactivation", "rules.hidden_activations", "rules.activation_of"),
    *("rules.random_feedback", "rules.network_of", "rules.hyperparameter", "rules.implicit_rates", "networks.record"),
    *("networks.convolve", "networks.check_input", "statistics.finished", "statistics.interval", "statistics.optional"),
    *("statistics.paired_runs", "statistics.resampled", "statistics.corrected_interval", "datasets.whole_number"),
}
"""What rules and pages are built of, inside of compiled functions: a wrong kind is answered by JAX or NumPy."""
JUNK: tuple[Any, ...] = (
    *(
        None,
        True,
        -1,
        0,
        1,
        7,
        2.5,
        -0.5,
        float("nan"),
        float("inf"),
        1e308,
        10**30,
        1j,
        "",
        "x",
        "a" * 5000,
        "\0",
        b"x",
        (),
        [],
        {},
    ),
    *(
        [[1, 2], [3]],
        [None],
        ["a", "b"],
        [1, "x"],
        {"x": 1},
        {1, 2},
        range(3),
        object(),
        int,
        len,
        Path("nowhere"),
        lambda: None,
    ),
    *(
        np.array(5.0),
        np.zeros(0),
        np.zeros((2, 0)),
        np.array(["a"]),
        np.array([None, 1]),
        np.array([np.nan, 1.0]),
        np.array([1j]),
    ),
    *(
        np.zeros((2, 2, 2)),
        np.full(3, np.inf),
        np.array([1e308, -1e308]),
        np.array([1e-300, 2e-300]),
        np.arange(3),
        np.array([True]),
    ),
    *(
        np.int64(3),
        np.uint8(1),
        np.float32(0.5),
        np.float16(0.25),
        np.array([-1, 2]),
        autodiff.Var([1.0, 2.0]),
        [autodiff.Var(1.0), 2.0],
    ),
)
"""Values of kinds, shapes and sizes that nobody expects."""


@cache
def valid() -> dict[str, Callable[[], Any]]:
    """A valid value for arguments of these names, made in the child that calls."""
    numbers = lambda: np.array([0.1, 0.4, 0.2, 0.9, 0.3])
    data = lambda: datasets.load("moons", samples=20)
    network = lambda: networks.mlp([2, 2, 1])
    batch = lambda: rules.as_batch(network(), data().train)
    given: dict[str, Callable[[], Any]] = {
        **dict.fromkeys(
            ("values", "curve", "curves", "x", "a", "own", "deviations", "differences", "p_values", "z", "scores"),
            numbers,
        ),
        **dict.fromkeys(("other", "b", "reference", "y", "t"), numbers()[::-1].copy),
        **dict.fromkeys(("data", "dataset"), data),
        **dict.fromkeys(("network", "template", "trainables", "source"), network),
        **dict.fromkeys(("rule", "name", "name_or_rule"), lambda: "backprop"),
        **dict.fromkeys(("seeds", "count", "outputs", "inputs", "features", "hidden", "neurons", "pieces", "n"), lambda: 2),
        **dict.fromkeys(("sizes", "widths", "shape", "input_shape"), lambda: [2, 2, 1]),
        **dict.fromkeys(
            ("learning_rate", "rate", "level", "size", "target", "probability", "dt", "duration", "test_to_train"),
            lambda: 0.5,
        ),
        **dict.fromkeys(("activation",), lambda: "tanh"),
        **dict.fromkeys(("loss",), lambda: "squared-error"),
        **dict.fromkeys(("epochs",), lambda: 1),
        **dict.fromkeys(("batch",), batch),
        **dict.fromkeys(("f", "function"), lambda: np.tanh),
        **dict.fromkeys(("name_or_path",), lambda: "moons"),
        **dict.fromkeys(("score",), lambda: "test_accuracy"),
    }
    return given


@cache
def public() -> list[tuple[str, Any]]:
    """Every public function and class, by its name."""
    found = {}
    for module in MODULES:
        holder = importlib.import_module(f"ascribe.{module}".rstrip("."))
        for name in dir(holder):
            one = getattr(holder, name)
            if name.startswith("_") or (not module and name in NOT_CALLED) or not callable(one) or inspect.ismodule(one):
                continue
            if not getattr(one, "__module__", "").startswith("ascribe.") or inspect.isabstract(one):
                continue
            if isinstance(one, type) and (issubclass(one, BaseException) or getattr(one, "_is_protocol", False)):
                continue
            home = f"ascribe.{module}".rstrip(".")
            if module and not f"{one.__module__}.".startswith(f"{home}."):  # what it imports
                continue
            if f"{module}.{name}" in BUILDING_BLOCKS:
                continue
            found[f"{module}.{name}".lstrip(".")] = one
    return sorted(found.items())


def functions(maker: Maker) -> Input:
    """A public function or class with arguments of which one is wrong, or all are."""
    chance = maker.chance
    name, function = chance.choice(public())
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    parameters = [one for one in parameters if one.kind not in (one.VAR_KEYWORD, one.VAR_POSITIONAL)]
    wanted = [one for one in parameters if one.default is one.empty]
    wrong = chance.choice(parameters).name if parameters else ""
    if wanted and chance.random() < 0.5:
        wrong = chance.choice(wanted).name
    positional, named, told = [], {}, []
    for one in parameters:
        if one.default is not one.empty and one.name != wrong:
            continue
        make = valid().get(one.name)
        junk = chance.randrange(len(JUNK))
        use = make if make is not None and one.name != wrong else lambda junk=junk: JUNK[junk]
        told.append(f"{one.name}={make and 'valid' if use is make else _short(JUNK[junk])}")
        if one.kind is one.POSITIONAL_ONLY:
            positional.append(use)
        else:
            named[one.name] = use
    return Input(
        f"{name}({', '.join(told)})",
        lambda: function(*(make() for make in positional), **{key: make() for key, make in named.items()}),
    )


def _short(value: Any) -> str:
    return repr(value).replace("\n", "")[:40]


def trainings(maker: Maker) -> Input:
    """`train`, `compare` and `discover` with one wrong argument, and what is done with runs afterwards."""
    chance = maker.chance
    function = chance.choice((ascribe.train, ascribe.compare, ascribe.compare, ascribe.discover))
    names = [name for name in inspect.signature(function).parameters if name != "cluster"]
    wrong, junk = chance.choice(names), chance.choice((*JUNK, *TEXTS[:30]))

    def call() -> None:
        data = datasets.load("moons", samples=20)
        given: dict[str, Any] = {
            "data": data,
            "network": networks.mlp([2, 2, 1]),
            "epochs": 1,
            "seeds": 1,
            "batch_size": 8,
        }
        if function is ascribe.train:
            given["rule"] = "backprop"
        elif function is ascribe.compare:
            given |= {"rules": ["backprop"], "tune": 0, "controls": ()}
        else:
            given |= {
                "evaluations": 2,
                "batch": 2,
                "transfer": None,
                "fresh_seeds": 2,
                "tune": 1,
                "random_search": False,
            }
        given[wrong] = junk
        function(**given)

    return Input(f"{function.__name__}(…, {wrong}={_short(junk)})", call, writes=("x", "a", "out", "ascribe.sqlite", str(junk)))


def estimators(maker: Maker) -> Input:
    """The estimators with a wrong parameter, or wrong data."""
    chance = maker.chance
    kind = chance.choice((ascribe.CreditClassifier, ascribe.CreditRegressor))
    names = sorted(inspect.signature(kind).parameters)
    wrong, junk = chance.choice((*names, "X", "y", "rows")), chance.choice(JUNK)
    if wrong == "epochs" and isinstance(junk, int) and junk > 9:
        junk = -junk  # whoever asks for so many gets them

    def call() -> None:
        x = np.random.default_rng(0).normal(size=(20, 2))
        given: dict[str, Any] = {"hidden": (2,), "epochs": 1, "batch_size": 8, "random_state": 0}
        arguments = {name: value for name, value in given.items() if name in names} | ({wrong: junk} if wrong in names else {})
        make: Any = kind
        found = make(**arguments)
        found.fit(junk if wrong == "X" else x, junk if wrong == "y" else (x[:, 0] > 0).astype(int))
        found.predict(junk if wrong == "rows" else x)

    return Input(f"{kind.__name__}, {wrong}={_short(junk)}", call)
