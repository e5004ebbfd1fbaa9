"""`ascribe neuron MODEL`: one neuron, its tuning curve or a network, simulated and drawn."""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from ascribe.errors import UserError, shown

from .console import show
from .sentences import Whole

Model = Literal["hodgkin-huxley", "lif", "tuning-curve", "network"]


def neuron(
    model: Model,
    /,
    *,
    current: str | None = None,
    duration: float | None = None,
    dt: float | None = None,
    method: str | None = None,
    of: Literal["lif", "hodgkin-huxley"] | None = None,
    rest: Literal[-65, -70] | None = None,
    tau_m: float | None = None,
    tau_ref: float | None = None,
    tau_s: float | None = None,
    neurons: Whole | None = None,
    probability: float | None = None,
    weight: float | None = None,
    seed: Whole | None = None,
    out: Path | None = None,
    json_output: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> int:
    """Simulate a neuron, its tuning curve or a network of neurons, and draw it.

    Times are in seconds; currents in µA/cm² for Hodgkin-Huxley, else in thresholds (v_in).

    Parameters
    ----------
    model
        hodgkin-huxley: ion channels; lif: leaky integrate-and-fire; tuning-curve: rate against current; network: LIF neurons.
    current
        A number (10), segments of seconds:current (0.2:-18.18,0.2:0,0.2:10), or for tuning-curve a range FROM:TO:COUNT.
        For network, every neuron's own constant input lies between 0.9 and 1.1 of it.
    duration
        Default: all segments, or 0.2 for one neuron, 1 for the others.
    dt
        The step. Default: 1e-5 for Hodgkin-Huxley, else 1e-4.
    method
        hodgkin-huxley: staggered, rk4, exponential-euler or euler; network: exact or grid.
    of
        For tuning-curve: lif (default) or hodgkin-huxley.
    rest
        For Hodgkin-Huxley: -65 (squid, default) or -70 mV.
    tau_m
        Membrane time constant of LIF neurons. Default: 0.02.
    tau_ref
        Their refractory period. Default: 0.002.
    tau_s
        Time constant of the network's synapses. Default: 0.005.
    neurons
        Size of the network. Default: 200.
    probability
        Of each connection. Default: 0.1.
    weight
        Of each connection: the area of what a spike injects. One in five neurons inhibits, four times as
        strongly. Default: 0.0005.
    seed
        Of the network. Default: 0.
    out
        The picture, .png or .svg. Default: ascribe-runs/MODEL.png.
    json_output
        Print one JSON object on standard output and nothing else there.
    """
    if out is not None and out.suffix not in (".png", ".svg"):
        raise UserError(f"--out is a picture, .png or .svg; got {out.name!r}.")
    channels = model == "hodgkin-huxley" or of == "hodgkin-huxley"
    _refuse(model, {"of": of}, model == "tuning-curve")
    _refuse(model, {"rest": rest}, channels)
    _refuse(model, {"tau-m": tau_m, "tau-ref": tau_ref}, not channels)
    _refuse(model, {"method": method}, channels or model == "network")
    network = {"tau-s": tau_s, "neurons": neurons, "probability": probability, "weight": weight, "seed": seed}
    _refuse(model, network, model == "network")
    from ascribe import neurons as wing  # noqa: PLC0415 - late, so that --help is instant
    from ascribe.neurons import pictures  # noqa: PLC0415

    cell: Any
    if channels:
        cell = wing.HodgkinHuxley.rest_minus_70() if rest == -70 else wing.HodgkinHuxley.squid()
        usual: Any = 10.0
    else:
        cell, usual = wing.LIF(_or(tau_m, 0.02), _or(tau_ref, 0.002)), 1.5
    given: dict[str, Any] = {name: value for name, value in (("dt", dt), ("method", method)) if value is not None}

    found: Any
    if model == "tuning-curve":
        span = (0.0, 60.0, 61) if channels else (0.0, 3.0, 61)
        found = wing.tuning_curve(cell, _range(current, span), 1.0 if duration is None else duration, **given)
        chart, facts = pictures.tuning(found), _curve(found)
    else:
        driven = usual if current is None else _current(current)
        if model == "network":
            size, chance = _or(neurons, 200), _or(probability, 0.1)
            cell, driven = _network(
                wing, cell, driven, size, chance, _or(weight, 0.0005), _or(tau_s, 0.005), _or(seed, 0)
            )
        length = duration if duration is not None else _length(driven) or (1.0 if model == "network" else 0.2)
        record = ("V", "n", "m", "h") if model == "hodgkin-huxley" else () if model == "network" else ("V",)
        found = wing.simulate(cell, driven, length, record=record, **given)
        chart = (
            pictures.raster(found.spikes, connection=cell.connection) if model == "network" else pictures.traces(found)
        )
        facts = _spikes(found)
    path = out or Path("ascribe-runs") / f"{model}.png"
    if out is None:
        path.parent.mkdir(exist_ok=True)
    pictures.save(chart, path)
    if json_output:
        print(json.dumps({"model": model, **facts, "picture": str(path)}, allow_nan=False))
    else:
        _print(facts, path)
    return 0


def _refuse(model: str, options: dict[str, Any], applies: bool) -> None:
    """An option that would change nothing is a mistake."""
    for name, value in options.items():
        if value is not None and not applies:
            raise UserError(f"--{name} changes nothing for {model}: leave it out (see `ascribe neuron --help`).")


def _or(value: Any, usual: Any) -> Any:
    return usual if value is None else value


def _current(text: str) -> Any:
    """A number, or segments."""
    try:
        if ":" not in text:
            return float(text)
        return [(float(seconds), float(value)) for seconds, value in (part.split(":") for part in text.split(","))]
    except ValueError:
        raise UserError(
            f"--current is a number (10) or segments of seconds:current (0.2:-18.18,0.2:0); got {shown(text)}."
        ) from None


def _range(text: str | None, usual: tuple[float, float, int]) -> Any:
    import numpy as np  # noqa: PLC0415

    from ascribe.memory import check_room  # noqa: PLC0415

    if text is None:
        return np.linspace(*usual)
    try:
        low, high, count = text.split(":")
        ends, number = (float(low), float(high)), int(count)
        if number < 2 or not np.isfinite(ends).all():
            raise ValueError
    except ValueError:
        raise UserError(f"--current of a tuning curve is FROM:TO:COUNT, as 0:3:61; got {shown(text)}.") from None
    check_room(f"a tuning curve of {shown(number)} currents", 1000 * number, "choose fewer")
    return np.linspace(*ends, number)


def _length(current: Any) -> float | None:
    return sum(seconds for seconds, _ in current) if isinstance(current, list) else None


def _network(
    wing: Any, cell: Any, driven: Any, size: int, probability: float, weight: float, tau_s: float, seed: int
) -> Any:
    import numpy as np  # noqa: PLC0415

    if size < 2:
        raise UserError(f"--neurons is 2 at least; got {shown(size)}.")
    wing.connection.check_populations(size, size, probability)
    signs = np.where(np.arange(size) < 0.8 * size, 1.0, -4.0)
    connection = wing.random_connection(size, size, probability, weight * signs, seed=seed)
    spread = np.random.default_rng(seed).uniform(0.9, 1.1, size)
    scaled = [(seconds, value * spread) for seconds, value in driven] if isinstance(driven, list) else driven * spread
    return wing.SpikingNetwork(cell, connection, tau_s), scaled


def _spikes(recording: Any) -> dict[str, Any]:
    spikes = recording.spikes
    facts = {
        "duration": recording.duration,
        "dt": recording.dt,
        "method": recording.method,
        "neurons": spikes.size,
        "spikes": len(spikes),
        "mean_rate": len(spikes) / recording.duration / spikes.size,
    }
    if spikes.size == 1:
        facts |= {"rate": float(recording.rates()), "spike_times": spikes.times.tolist()}
    return facts


def _curve(curve: Any) -> dict[str, Any]:
    facts: dict[str, Any] = {"currents": curve.currents.tolist(), "rates": curve.rates.tolist()}
    if curve.analytic is not None:
        facts["analytic"] = curve.analytic.tolist()
    return facts


def _print(facts: dict[str, Any], path: Path) -> None:
    from rich.table import Table  # noqa: PLC0415

    from ascribe.neurons.quantities import counted  # noqa: PLC0415

    if "currents" in facts:
        names = [name for name in ("currents", "rates", "analytic") if name in facts]
        table = Table(box=None, pad_edge=False)
        for title in ("current", "rate (Hz)", "closed form (Hz)")[: len(names)]:
            table.add_column(title, justify="right")
        for row in zip(*(facts[name] for name in names), strict=True):
            table.add_row(*(f"{value:.6g}" for value in row))
        show(table)
    else:
        spikes, cells = counted(facts["spikes"], "spike"), counted(facts["neurons"], "neuron")
        said = f"{spikes} of {cells} in {facts['duration']:g} s"
        rate = (
            f"; {facts['rate']:.5g} Hz at the end" if facts.get("rate") else f"; {facts['mean_rate']:.4g} Hz on average"
        )
        show(f"{said}{rate} (dt {facts['dt']:g} s, {facts['method']})", highlight=False)
    show(f"picture: {path}", soft_wrap=True, highlight=False, markup=False)
