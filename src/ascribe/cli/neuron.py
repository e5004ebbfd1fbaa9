"""`ascribe neuron MODEL`: one neuron, its tuning curve or a network, simulated and drawn."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ascribe.errors import UserError, shown

from .console import show
from .keeping import DEFAULT_FOLDER
from .options import Json, headed, option
from .sentences import Whole

Model = Literal["hodgkin-huxley", "lif", "tuning-curve", "network"]


@headed("Simulation")
@dataclass(frozen=True, kw_only=True)
class Simulation:
    """What is simulated, how long and how."""

    current: str | None = option(
        None,
        "A number (10), segments of seconds:current (0.2:-18.18,0.2:0,0.2:10), or for tuning-curve a range FROM:TO:COUNT. For "
        "network, every neuron's own constant input lies between 0.9 and 1.1 of it.",
    )
    duration: float | None = option(None, "Default: all segments, or 0.2 for one neuron, 1 for the others.")
    dt: float | None = option(None, "The step. Default: 1e-5 for Hodgkin-Huxley, else 1e-4.")
    method: str | None = option(None, "hodgkin-huxley: staggered, rk4, exponential-euler or euler; network: exact or grid.")


@headed("Neuron")
@dataclass(frozen=True, kw_only=True)
class Neuron:
    """The neuron, or each of a network."""

    of: Literal["lif", "hodgkin-huxley"] | None = option(None, "For tuning-curve: lif (default) or hodgkin-huxley.")
    rest: Literal[-65, -70] | None = option(None, "For Hodgkin-Huxley: -65 (squid, default) or -70 mV.")
    tau_m: float | None = option(None, "Membrane time constant of LIF neurons. Default: 0.02.")
    tau_ref: float | None = option(None, "Their refractory period. Default: 0.002.")


@headed("Network")
@dataclass(frozen=True, kw_only=True)
class Network:
    """A network of LIF neurons."""

    tau_s: float | None = option(None, "Time constant of the network's synapses. Default: 0.005.")
    neurons: Whole | None = option(None, "Size of the network. Default: 200.")
    probability: float | None = option(None, "Of each connection. Default: 0.1.")
    weight: float | None = option(
        None,
        "Of each connection: the area of what a spike injects. One in five neurons inhibits, four times as strongly. Default: "
        "0.0005.",
    )
    seed: Whole | None = option(None, "Of the network. Default: 0.")


@headed("Results")
@dataclass(frozen=True, kw_only=True)
class Picture:
    """Where the picture goes, and what is printed."""

    out: Path | None = option(None, "The picture, .png or .svg. Default: ascribe-runs/MODEL.png.")
    json_output: Json = False


def neuron(
    model: Model,
    /,
    *,
    simulation: Simulation = Simulation(),
    cell: Neuron = Neuron(),
    network: Network = Network(),
    picture: Picture = Picture(),
) -> int:
    """Simulate a neuron, its tuning curve or a network of neurons, and draw it.

    Times are in seconds; currents in µA/cm² for Hodgkin-Huxley, else in thresholds (v_in).

    Parameters
    ----------
    model
        hodgkin-huxley: ion channels; lif: leaky integrate-and-fire; tuning-curve: rate against current; network: LIF neurons.
    """
    out = picture.out
    if out is not None and out.suffix not in (".png", ".svg"):
        raise UserError(f"--out is a picture, .png or .svg; got {out.name!r}.")
    channels = model == "hodgkin-huxley" or cell.of == "hodgkin-huxley"
    _refuse(model, {"of": cell.of}, model == "tuning-curve")
    _refuse(model, {"rest": cell.rest}, channels)
    _refuse(model, {"tau_m": cell.tau_m, "tau_ref": cell.tau_ref}, not channels)
    _refuse(model, {"method": simulation.method}, channels or model == "network")
    _refuse(model, vars(network), model == "network")
    from ascribe.neurons import pictures  # noqa: PLC0415 - late, so that --help is instant

    made, usual = _model(cell, channels)
    given = {name: value for name in ("dt", "method") if (value := getattr(simulation, name)) is not None}
    if model == "tuning-curve":
        chart, facts = _tuning_curve(made, simulation, given, 60.0 if channels else 3.0)
    else:
        driven = usual if simulation.current is None else _current(simulation.current)
        if model == "network":
            made, driven = _network(made, driven, network)
        chart, facts = _recording(model, made, driven, simulation.duration, given)
    path = out or DEFAULT_FOLDER / f"{model}.png"
    pictures.save(chart, path)
    if picture.json_output:
        print(json.dumps({"model": model, **facts, "picture": str(path)}, allow_nan=False))
    else:
        _print(facts, path)
    return 0


def _model(cell: Neuron, channels: bool) -> tuple[Any, float]:
    """One neuron, and the current that it usually gets."""
    from ascribe import neurons as wing  # noqa: PLC0415

    if channels:
        return (wing.HodgkinHuxley.rest_minus_70() if cell.rest == -70 else wing.HodgkinHuxley.squid()), 10.0
    return wing.LIF(_or(cell.tau_m, 0.02), _or(cell.tau_ref, 0.002)), 1.5


def _tuning_curve(cell: Any, simulation: Simulation, given: dict[str, Any], highest: float) -> tuple[Any, dict[str, Any]]:
    """The picture, and what is told of it; `highest`: the current up to which it usually goes."""
    from ascribe import neurons as wing  # noqa: PLC0415
    from ascribe.neurons import pictures  # noqa: PLC0415

    currents = _range(simulation.current, (0.0, highest, 61))
    found = wing.tuning_curve(cell, currents, _or(simulation.duration, 1.0), **given)
    return pictures.tuning(found), _curve(found)


def _recording(
    model: Model, cell: Any, driven: Any, duration: float | None, given: dict[str, Any]
) -> tuple[Any, dict[str, Any]]:
    """The picture, and what is told of it."""
    from ascribe import neurons as wing  # noqa: PLC0415
    from ascribe.neurons import pictures  # noqa: PLC0415

    segments = sum(seconds for seconds, _ in driven) if isinstance(driven, list) else None
    length = duration if duration is not None else segments or (1.0 if model == "network" else 0.2)
    record = {"hodgkin-huxley": ("V", "n", "m", "h"), "network": ()}.get(model, ("V",))
    found = wing.simulate(cell, driven, length, record=record, **given)
    if model == "network":
        return pictures.raster(found.spikes, connection=cell.connection), _spikes(found)
    return pictures.traces(found), _spikes(found)


def _refuse(model: str, options: dict[str, Any], applies: bool) -> None:
    """An option that would change nothing is a mistake."""
    for name, value in options.items():
        if value is not None and not applies:
            raise UserError(
                f"--{name.replace('_', '-')} changes nothing for {model}: leave it out (see `ascribe neuron --help`)."
            )


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


def _network(cell: Any, driven: Any, network: Network) -> tuple[Any, Any]:
    """The network of such neurons, and what drives each of them."""
    import numpy as np  # noqa: PLC0415

    from ascribe import neurons as wing  # noqa: PLC0415

    size, probability, seed = _or(network.neurons, 200), _or(network.probability, 0.1), _or(network.seed, 0)
    if size < 2:
        raise UserError(f"--neurons is 2 at least; got {shown(size)}.")
    wing.connection.check_populations(size, size, probability)
    signs = np.where(np.arange(size) < 0.8 * size, 1.0, -4.0)
    weights = _or(network.weight, 0.0005) * signs
    connection = wing.random_connection(size, size, probability, weights, seed=seed)
    spread = np.random.default_rng(seed).uniform(0.9, 1.1, size)
    scaled = [(seconds, value * spread) for seconds, value in driven] if isinstance(driven, list) else driven * spread
    return wing.SpikingNetwork(cell, connection, _or(network.tau_s, 0.005)), scaled


def _spikes(recording: Any) -> dict[str, Any]:
    spikes = recording.spikes
    facts = {name: getattr(recording, name) for name in ("duration", "dt", "method")}
    facts |= {"neurons": spikes.size, "spikes": len(spikes)}
    facts |= {"mean_rate": len(spikes) / recording.duration / spikes.size}
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
        rate = f"; {facts['rate']:.5g} Hz at the end" if facts.get("rate") else f"; {facts['mean_rate']:.4g} Hz on average"
        if not facts["spikes"]:
            rate = ", in which none reached its threshold: try a larger --current or --duration"
        show(f"{said}{rate} (dt {facts['dt']:g} s, {facts['method']})", highlight=False)
    show(f"picture: {path}", soft_wrap=True, highlight=False, markup=False)
