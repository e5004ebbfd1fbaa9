"""How the Hodgkin–Huxley equations are stepped.

    staggered             order 2: V at t, the gates half a step later. Given the others each is linear, and
    Crank–Nicolson's rule
                          explicit (Moore & Ramón 1974, Hines 1984)
    rk4                   order 4: the classical Runge–Kutta rule
    exponential-euler     order 2, since V takes the new gates: each exact for what it holds fixed
    euler                 order 1, for teaching: x + dt x'. Beyond about 0.05 ms it blows up

Each makes two functions from a model and a step dt in milliseconds: what is done to the first state, and (state, J) →
state, where J are the currents at the model's `places` within the step.
"""

from typing import Any

import jax.numpy as jnp

from ascribe.types import Array, Callable

from .base import Step

Stepper = tuple[Callable[[Any], Any], Step]


def staggered(model: Any, dt: Array) -> Stepper:
    """V' = (V (C − ½dt G) + dt (S + J)) / (C + ½dt G), then x' = (x (1 − r) + dt α) / (1 + r), r = ½dt (α + β).

    The rates are fractions α = A/D, β = B/D, and so is x' with one division: (x (D − r) + dt A) / (D + r), r = ½dt (A + B).
    """

    def gates(state: Any, V: Array, dt: Any) -> Any:
        new = []
        for x, (a, b, below) in zip(state[1:], model.fractions(V), strict=True):
            r = (0.5 * dt) * (a + b)
            new.append((x * (below - r) + dt * a) / (below + r))
        return state._make((V, *new))

    def step(state: Any, J: Any, number: Array) -> Any:
        V, n, m, h = state
        G, S = model.conductance(n, m, h)
        half = (0.5 * dt) * G
        return gates(state, (V * (model.C - half) + dt * (S + J[0])) / (model.C + half), dt)

    return lambda state: gates(state, state.V, 0.5 * dt), step


def rk4(model: Any, dt: Array) -> Stepper:
    """The mean of four slopes, weighted 1, 2, 2, 1."""

    def step(state: Any, J: Any, number: Array) -> Any:
        moved = lambda slope, by: state._make(x + by * k for x, k in zip(state, slope, strict=True))
        k1 = model.derivative(state, J[0])
        k2 = model.derivative(moved(k1, 0.5 * dt), J[1])
        k3 = model.derivative(moved(k2, 0.5 * dt), J[1])
        k4 = model.derivative(moved(k3, dt), J[2])
        return moved([a + 2.0 * (b + c) + d for a, b, c, d in zip(k1, k2, k3, k4, strict=True)], dt / 6.0)

    return _as_it_is, step


def exponential_euler(model: Any, dt: Array) -> Stepper:
    """x' = x_∞ + (x − x_∞) e^{−dt (α + β)}, then V' = V_∞ + (V − V_∞) e^{−dt G / C}, V_∞ = (S + J) / G with the new
    gates; the same without a division by G, which may be 0."""

    def step(state: Any, J: Any, number: Array) -> Any:
        alpha, beta = model.rates(state.V)
        gates = [x + (x - a / (a + b)) * jnp.expm1(-dt * (a + b)) for x, a, b in zip(state[1:], alpha, beta, strict=True)]
        G, S = model.conductance(*gates)
        return state._make((state.V + (dt / model.C) * (J[0] + S - G * state.V) * mean_growth(-dt * G / model.C), *gates))

    return _as_it_is, step


def euler(model: Any, dt: Array) -> Stepper:
    """x + dt x'."""

    def step(state: Any, J: Any, number: Array) -> Any:
        return state._make(x + dt * k for x, k in zip(state, model.derivative(state, J[0]), strict=True))

    return _as_it_is, step


def mean_growth(x: Array) -> Array:
    """(e^x − 1) / x: the mean of e^u for u from 0 to x."""
    return jnp.where(x == 0.0, 1.0, jnp.expm1(x) / jnp.where(x == 0.0, 1.0, x))


def _as_it_is(state: Any) -> Any:
    return state


INTEGRATORS = {"staggered": staggered, "rk4": rk4, "exponential-euler": exponential_euler, "euler": euler}
