"""A function of every synaptic layer of networks that have one structure."""

from collections.abc import Callable
from typing import Any

import jax

from ascribe.networks import Network, Stack


def by_layer(function: Callable[..., Any], *networks: Network) -> dict[str, Any]:
    """`function(*parts)` for every synaptic layer, by name: of a layer its weight and bias together, of a site inside one its
    weight. `networks`: trees of one structure, such as gradients of one network. The layers of a `Stack` are one `vmap`."""
    last, found = networks[-1], {}
    for number, parts in enumerate(zip(*(one.parts for one in networks), strict=True)):
        names: Any = last.names[last.starts[number] :]
        if not isinstance(parts[-1], Stack):
            if parts[-1].synaptic:
                found[names[0]] = function(*parts)
            inner = [site for site in last.sites if last.names[site.layer] == names[0]]
            leaves = list(zip(*map(jax.tree.leaves, parts), strict=True)) if inner else []
            found |= {site.name: function(*leaves[site.leaf]) for site in inner}
            continue
        period = len(parts[-1].layers)
        for i, layer in enumerate(parts[-1].layers):
            if layer.synaptic:
                rows = jax.vmap(function)(*(one.layers[i] for one in parts))
                found |= {
                    names[i + period * row]: jax.tree.map(lambda leaf, row=row: leaf[row], rows)
                    for row in range(parts[-1].count)
                }
    return found
