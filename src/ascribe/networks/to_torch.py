"""What was trained, back into PyTorch."""

from typing import Any

import jax
import numpy as np

from ascribe.checks import explained
from ascribe.errors import UserError, needed
from ascribe.types import PyTree

from .block import Block
from .foreign import blocks
from .network import Network


@explained
def to_torch(network: Network | Block, module: Any, *, state: PyTree = None) -> Any:
    """Puts the parameters and buffers of a network that was made of a PyTorch module (`from_model`) into such a module, and
    returns that: its predictions are the network's. Its mode (`train()`, `eval()`) stays as it is.

    **Arguments:** `network`: of one run, such as `ascribe.Model.of(runs, seed=0).network`; `module`: of the same class and
    options, whose numbers are replaced; `state`: the buffers after training, such as that model's `state` (by default those
    before it).

    **Raises:** `UserError` where the network has no block of a PyTorch module, or the module has other parameters.
    """
    torch = needed("torch", "torch", "a PyTorch module")
    if not isinstance(module, torch.nn.Module):
        raise UserError(f"weights go back into a torch.nn.Module; got {type(module).__name__}.")
    own = [network] if isinstance(network, Block) else blocks(network)
    own = [block for block in own if block.adapter.library == "torch"]
    if len(own) != 1:
        raise UserError(f"weights go back from a network with one PyTorch module in it; this one has {len(own)}.")
    if state is not None and isinstance(network, Network):
        state = next((one for layer, one in zip(network.layers, state, strict=True) if layer is own[0]), None)
    buffers = own[0].initial_state() if state is None else state
    leaves = jax.tree_util.tree_leaves_with_path(own[0].parameters)
    found = {jax.tree_util.keystr(path, simple=True, separator="."): leaf for path, leaf in leaves} | (buffers or {})
    places = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    for name in [*found, *places]:
        if name not in found or name not in places:
            where = "it" if name in found else "the trained network"
            raise UserError(
                f"weights go back into a module like the one that was trained; {name} of "
                f"{'the trained network' if name in found else 'it'} is missing in {where}: make it with the same options."
            )
        if tuple(places[name].shape) != np.shape(found[name]):
            raise UserError(
                f"weights go back into a module like the one that was trained; {name} is {np.shape(found[name])} there and "
                f"{tuple(places[name].shape)} here: make it with the same options."
            )
    with torch.no_grad():
        for name, array in found.items():
            places[name].copy_(torch.from_numpy(np.array(array)))
    return module
