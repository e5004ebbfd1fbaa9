"""The models of the neuron page: a step of each as a program of the page's engine, with all that the page can change as its
inputs."""

import json
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ascribe.neurons import LIF, Connection, HodgkinHuxley, SpikingNetwork, random_connection
from ascribe.types import Array

from .emitter import emit
from .page import FOLDER, assembled, theme
from .primitives import number
from .programs import engine

SCRIPTS = (
    *("palette", "canvas", "dom", "curves", "saving", "loop", "page_data"),
    *(
        f"neurons/{name}"
        for name in ("axes", "rings", "cells", "traces", "plane", "tuning", "raster", "session", "pictures", "app", "main")
    ),
)
"""The page's scripts after the engine's, each after those that it uses."""
Model = HodgkinHuxley | LIF | SpikingNetwork
CELLS = "n"
"""The symbol of the number of cells side by side: the one that is shown, and those of the tuning curve."""
EXCITING, INHIBITING, CHANCE = 80, 20, 0.1
"""Neurons of the network of each kind, and how probable a connection is."""
TAU_S = 0.005
"""Of synapses, seconds."""


class Dial(NamedTuple):
    """A number that the page can change: what it is called, its unit, and its range."""

    title: str
    unit: str
    value: float
    low: float
    high: float
    step: float


def models() -> dict[str, dict[str, Any]]:
    """Every model of the page by name, as plain data: `program` (a step), the names of its `inputs` and `outputs`, `dt` in
    seconds, the `state` that it starts from, `dials`, and what is particular to it."""
    with jax.enable_x64(False):  # the page is in single precision, whatever JAX is in
        return {
            "hodgkin-huxley": _hodgkin_huxley(),
            "lif": _lif(),
            "pair": _pair(),
            "network": _network(),
        }


def _hodgkin_huxley() -> dict[str, Any]:
    axon, dt = HodgkinHuxley(), 1e-5
    first, _ = axon.stepper(jnp.float32(dt), "staggered")
    start = first(axon.start((), jnp.float32))
    dials = {
        "g_Na": Dial("Sodium conductance g_Na", "mS/cm²", 120.0, 0.0, 200.0, 5.0),
        "g_K": Dial("Potassium conductance g_K", "mS/cm²", 36.0, 0.0, 60.0, 2.0),
        "g_L": Dial("Leak conductance g_L", "mS/cm²", 0.3, 0.1, 2.0, 0.1),
    }

    def planes(parameters: dict[str, Array], V: Array, current: Array, h: Array) -> dict[str, Array]:
        """Where the gates stand still, and the n at which V does: J + S = G V with m at its steady state and h as it is."""
        model = _with(axon, parameters)
        steady, _ = model.gates(V)
        open_, pulled = model.conductance(jnp.zeros_like(V), steady.m, h)
        fourth = (current + pulled - open_ * V) / (model.g_K * (V - model.V_K))
        return {"n": steady.n, "m": steady.m, "h": steady.h, "nullcline": jnp.where(fourth >= 0, fourth, jnp.nan) ** 0.25}

    voltages = np.linspace(-90.0, 60.0, 151, dtype=np.float32)
    program, names = _emitted(
        planes, _numbers(dials), _shape(len(voltages)), _shape(), _shape(), names=("parameters", "V", "current", "h")
    )
    return {
        **_step(axon, dt, "staggered", dials, {name: float(value) for name, value in start._asdict().items()}),
        "current": Dial("Current", "µA/cm²", 10.0, -20.0, 120.0, 0.5)._asdict(),
        "level": float(axon.threshold),
        "planes": {"program": program, **names, "V": voltages.tolist()},
    }


def _lif() -> dict[str, Any]:
    dials = {
        "tau_m": Dial("Membrane time constant τ_m", "s", 0.02, 0.005, 0.1, 0.005),
        "tau_ref": Dial("Refractory period τ_ref", "s", 0.002, 0.0005, 0.01, 0.0005),
    }
    state = {"gap": 1.0, "wait": 0.0, "spike": -np.inf}
    return {
        **_step(LIF(), 1e-4, "exact", dials, state),
        "current": Dial("Input v_in", "thresholds", 1.5, 0.0, 5.0, 0.05)._asdict(),
    }


def _pair() -> dict[str, Any]:
    network = SpikingNetwork(LIF(), Connection([[0.0, 1.0], [1.0, 0.0]]), TAU_S)
    return {**_spiking(network), "current": Dial("Input of both", "thresholds", 1.2, 0.0, 3.0, 0.05)._asdict(), "exciting": 1}


def _network() -> dict[str, Any]:
    size = EXCITING + INHIBITING
    network = SpikingNetwork(LIF(), random_connection(size, size, CHANCE, 1.0, seed=0), TAU_S)
    return {
        **_spiking(network),
        "current": Dial("Input, on average", "thresholds", 1.05, 0.0, 2.0, 0.01)._asdict(),
        "exciting": EXCITING,
    }


def _spiking(network: SpikingNetwork) -> dict[str, Any]:
    """A network, whose weights are an input: those of the connections that there are, by sender."""
    dt = 1e-4
    dials = {
        "tau_m": Dial("Membrane time constant τ_m", "s", 0.02, 0.005, 0.1, 0.005),
        "tau_ref": Dial("Refractory period τ_ref", "s", 0.002, 0.0005, 0.01, 0.0005),
        "tau_s": Dial("Synaptic time constant τ_s", "s", TAU_S, 0.001, 0.05, 0.001),
    }
    start = network.start(network.shape, jnp.float32)

    def step(parameters: dict[str, Array], weights: Array, state: dict[str, Array], current: Array) -> dict[str, Any]:
        model = eqx.tree_at(lambda one: (one.connection.weights, one.tau_s), network, (weights, parameters["tau_s"]))
        model = eqx.tree_at(lambda one: one.neurons, model, _with(network.neurons, parameters))
        return _advanced(model, dt, "exact", type(start)(**state), current)

    weights = network.connection.weights
    values = {name: value for name, value in start._asdict().items()}
    program, names = _emitted(
        step, _numbers(dials), weights, values, _shape(*network.shape), names=("parameters", "weights", "state", "current")
    )
    return {
        "program": program,
        **names,
        "dt": dt,
        "dials": {name: dial._asdict() for name, dial in dials.items()},
        "state": _plain(values),
        "cells": network.shape[0],
        "connected": np.asarray(weights).tolist(),
        "senders": network.connection.pre,
    }


def _step(model: Model, dt: float, method: str, dials: dict[str, Dial], state: dict[str, float]) -> dict[str, Any]:
    """A step of any number of cells that share their parameters."""

    kind = type(model.start(model.shape, jnp.float32))

    def step(parameters: dict[str, Array], state: dict[str, Array], current: Array) -> dict[str, Any]:
        return _advanced(_with(model, parameters), dt, method, kind(**state), current)

    (cells,) = jax.export.symbolic_shape(CELLS)
    states = {name: _shape(cells) for name in state}
    program, names = _emitted(step, _numbers(dials), states, _shape(cells), names=("parameters", "state", "current"))
    return {
        "program": program,
        **names,
        "dt": dt,
        "dials": {name: dial._asdict() for name, dial in dials.items()},
        "state": _plain(state),
    }


def _advanced(model: Model, dt: float, method: str, state: Any, current: Array) -> dict[str, Any]:
    """The state a step later, what is recorded of it, and where in the step each cell fired: below 0 where it did not."""
    width = jnp.float32(dt)
    _, step = model.stepper(width, method)
    after = step(state, (current,) * len(model.places(method)), jnp.float32(0.0))
    spike = model.spike(after)
    later = model.next_chunk(after, 1, width)
    found = {"state": later._asdict(), "seen": {"V": model.read(after)["V"]}}
    return found if spike is None else {**found, "spike": jnp.maximum(spike, -1.0)}


def _with(model: Any, parameters: dict[str, Array]) -> Any:
    """The model with those of the parameters that it has."""
    own = [name for name in parameters if hasattr(model, name)]
    return eqx.tree_at(lambda one: [getattr(one, name) for name in own], model, [parameters[name] for name in own])


def _emitted(
    function: Callable[..., Any], *arguments: Any, names: Sequence[str]
) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """The program of a function, and the names of its inputs and outputs."""
    program, outputs = emit(function, *arguments, whose="the neuron page")
    given = dict(zip(names, arguments, strict=True))
    inputs = [path for name in names for path in _paths({name: given[name]})]
    return program, {"inputs": inputs, "outputs": _paths(outputs)}


def _paths(tree: Any) -> list[str]:
    return [jax.tree_util.keystr(path, simple=True, separator=".") for path, _ in jax.tree_util.tree_leaves_with_path(tree)]


def _shape(*sizes: Any) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(sizes, jnp.float32)


def _numbers(dials: dict[str, Dial]) -> dict[str, jax.ShapeDtypeStruct]:
    return {name: _shape() for name in dials}


def _plain(state: dict[str, Any]) -> dict[str, Any]:
    """Numbers as JSON has them; those that are not finite as words."""
    return {name: number(value) if np.ndim(value) == 0 else [number(one) for one in value] for name, value in state.items()}


def page() -> str:
    """The neuron page as one HTML file."""
    data = {
        "models": models(),
        "lessons": json.loads((FOLDER / "neurons" / "lessons.json").read_text("utf-8")),
        "theme": theme([]),
    }
    return assembled(
        data,
        engine(),
        title="ascribe neurons",
        templates=("neurons/index.html",),
        styles=("style.css", "neurons/style.css"),
        scripts=SCRIPTS,
    )
