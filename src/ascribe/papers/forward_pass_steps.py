"""One step of the rule `forward-pass` on one example, and what it does to the output: what the document's entries share."""

from typing import Any

import altair as alt
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from ascribe import losses, networks
from ascribe.charts.inline import inline
from ascribe.charts.lines import panel_title
from ascribe.charts.theme import BLUE, INK
from ascribe.rules import Batch, ForwardPass

SCALINGS = (0.02, 0.05, 0.1, 0.2, 0.5)


def bare(scaling: float, *, natural: bool, **more: Any) -> ForwardPass:
    """Rules 1 to 3 as they stand with (8), with the rate λ for every example, or λ/z^L."""
    chosen: dict[str, Any] = {"scaling": scaling, "sign_threshold": 0.0, "inactive": "all", "error_scaled": False}
    return ForwardPass(natural=natural, **(chosen | more))


def ratios_of(rule: ForwardPass, network: networks.Network, inputs: Any, labels: Any) -> np.ndarray:
    """F_new(x)/F_old(x) of every example after a step on it alone."""
    return outputs_of(rule, network, inputs, labels) / np.asarray(network(jnp.asarray(inputs, network.dtype)))[:, 0]


def outputs_of(rule: ForwardPass, network: networks.Network, inputs: Any, labels: Any) -> np.ndarray:
    """F_new(x) of every example after a step of SGD at rate 1 on it alone."""
    return np.asarray(_after(rule, network, jnp.asarray(inputs, network.dtype), jnp.asarray(labels, jnp.int32)))


@jax.jit
def _after(rule: ForwardPass, network: networks.Network, inputs: jax.Array, labels: jax.Array) -> jax.Array:
    def one(x: jax.Array, label: jax.Array) -> jax.Array:
        batch = Batch(x[None], label[None], losses.BERNOULLI_CROSS_ENTROPY)
        moved = jax.tree.map(lambda weight, gradient: weight - gradient, network, rule(network, None, batch).gradients)
        return moved(x[None])[0, 0]

    return jax.vmap(one)(inputs, labels)


def of_one_sign(sizes: list[int], sign: int) -> networks.Network:
    """Weights all above 0; with `sign` -1 those of the last layer below."""
    network = jax.tree.map(jnp.abs, networks.mlp(sizes, bias=False, key=jr.key(0)))
    last = network.synaptic[-1]
    return network.with_layers(
        [jax.tree.map(lambda w: sign * w, network[name]) if name == last else network[name] for name in network.names]
    )


def regions(panels: dict[str, list[dict[str, Any]]], what: str, high: float) -> Any:
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
            base.mark_bar(color=BLUE, width=16).encode(y=y("p25"), y2="p75:Q"),
            base.mark_tick(color="white", thickness=2, width=16).encode(y=y("p50")),
        )
        title = panel_title(name, fontSize=14, offset=6)
        drawn.append(alt.layer(*parts).properties(width=400, height=260, title=title))
    return alt.concat(*drawn, columns=2, spacing=32)
