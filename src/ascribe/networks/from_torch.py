"""PyTorch modules as blocks, through torchax, and their trained parameters back into PyTorch."""

import contextlib
import copy
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import torch
import torchax.tensor
from torch.nn.parameter import is_lazy

from ascribe.errors import UserError
from ascribe.types import Array, Key, PyTree

from .block import AbstractAdapter, as_before, checked_parameters, leaf_at, nested, own_classes
from .from_equinox import channels_first

_one_at_a_time = threading.RLock()
"""PyTorch's modules are changed while they are traced (their mode, their parameters), and programs compile in threads."""


class TorchAdapter(AbstractAdapter):
    """A PyTorch module.

    Its parameters are trained (those with `requires_grad`); its buffers and frozen parameters are state, by name; dropout draws
    from the key of every step; `module.train()` holds in training and `module.eval()` elsewhere. Numbers are of JAX's own
    precision, which is float32 unless JAX was told otherwise.
    """

    library = "torch"
    channels_first = True

    def __init__(
        self,
        name: str,
        source: Any,
        options: Mapping[str, Any],
        module: torch.nn.Module,
        make: Callable[[Any], torch.nn.Module] | None = None,
    ):
        self.name, self.source, self.options, self.make = name, source, options, make
        if type(module).forward is torch.nn.Module.forward:
            raise UserError(f"a PyTorch module that is trained has a `forward(self, x)`; {name} has none.")
        every = [*module.named_parameters(), *module.named_buffers()]
        lazy = next((one for one, tensor in every if is_lazy(tensor)), None)
        if lazy is not None:
            raise UserError(
                f"the parameters of a model are known before it has data; {lazy} of {name} is made at its first batch: call "
                f"the module once with a batch, or write its sizes down."
            )
        self.module = module if make is not None else copy.deepcopy(module)
        trained = {name: one for name, one in module.named_parameters() if one.requires_grad}
        self._names = {name: tuple(name.split(".")) for name in trained}
        self.parameters = checked_parameters(name, nested((self._names[key], _array(one)) for key, one in trained.items()))
        self.state = {key: _array(one) for key, one in every if key not in trained} or None

    def apply(self, parameters: PyTree, x: Array, state: PyTree, *, key: Key | None, training: bool) -> Any:
        environment = _environment()
        tensor = lambda array: torchax.tensor.Tensor(array, environment)
        key = jr.key(0) if key is None else key
        with _one_at_a_time, environment, torch.device("jax"), environment.override_property(prng=key):
            given: dict[str, Any] = {name: tensor(leaf_at(parameters, path)) for name, path in self._names.items()}
            given |= {name: tensor(array) for name, array in (state or {}).items()}
            self.module.train(training)
            outputs: Any = torch.func.functional_call(self.module, given, (tensor(channels_first(x)),))
            after = {name: given[name].jax().astype(array.dtype) for name, array in (state or {}).items()}
        plain = lambda one: one.jax() if isinstance(one, torchax.tensor.Tensor | torchax.tensor.View) else one
        return jax.tree.map(plain, outputs), after or None

    def fresh(self, key: Key) -> PyTree:
        """PyTorch draws on the host, seed by seed: its numbers come from a seed that the key gives."""
        if self.make is None:
            return None
        names = [leaf_at(self.parameters, path) for path in self._names.values()]
        shapes = [jax.ShapeDtypeStruct(one.shape, one.dtype) for one in names]
        number = jr.bits(key, dtype=jnp.uint32)
        leaves = jax.pure_callback(self._drawn, shapes, number, vmap_method="sequential")
        return as_before(self.name, self.parameters, nested(zip(self._names.values(), leaves, strict=True)))

    def _drawn(self, number: Any) -> list[np.ndarray]:
        assert self.make is not None
        with _one_at_a_time, torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(number))
            key = jr.wrap_key_data(jnp.asarray(np.array([0, number], np.uint32)))  # as `jr.key(number)`, without a computation
            found = dict(self.make(key).named_parameters())
        dtype = jnp.zeros(()).dtype
        return [found[name].detach().cpu().numpy().astype(dtype) for name in self._names]

    @contextlib.contextmanager
    def explained(self) -> Iterator[None]:
        try:
            yield
        except torchax.tensor.OperatorNotFound as error:
            operator = next((word for word in str(error).split() if "::" in word or "." in word), str(error))
            raise UserError(
                f"the model {self.name} uses the PyTorch operator {operator}, which torchax {torchax.__version__} has no form "
                f"of in JAX: write that step with other operators."
            ) from error
        except AssertionError as error:
            if "mixed math" not in str(error):
                raise
            raise UserError(
                f"the model {self.name} computes with a tensor that is neither a parameter nor a buffer: keep it by "
                f"self.register_buffer(name, tensor)."
            ) from error

    @property
    def remade(self) -> bool:
        return self.make is not None

    @property
    def structure(self) -> Any:
        return repr(self.module)

    @property
    def classes(self) -> list[type]:
        return own_classes(map(type, self.module.modules()), "torch")

    @property
    def versions(self) -> list[str]:
        return [f"torch {torch.__version__}", f"torchax {torchax.__version__}"]


def _array(tensor: torch.Tensor) -> Array:
    """A tensor's numbers; floating ones in JAX's own precision."""
    array = tensor.detach().cpu().numpy()
    dtype = jnp.zeros(()).dtype if array.dtype.kind == "f" else jax.dtypes.canonicalize_dtype(array.dtype)
    return jnp.asarray(array, dtype)


_environments: list[Any] = []


def _environment() -> Any:
    """PyTorch's operations as JAX's, with batch normalization that moves its running statistics, which torchax's own leaves."""
    if not _environments:
        environment = torchax.tensor.Environment()
        environment.override_op_definition(torch.nn.functional.batch_norm, _batch_norm)
        _environments.append(environment)
    return _environments[0]


def _batch_norm(
    x: Any,
    running_mean: Any = None,
    running_var: Any = None,
    weight: Any = None,
    bias: Any = None,
    *settings: Any,
    **named: Any,
) -> Any:
    """`torch.nn.functional.batch_norm`: in training by the batch's mean and biased variance, and the running variance moves to
    the unbiased one. `settings`: `training`, `momentum` and `eps`, in this order or by name."""
    told = {"training": False, "momentum": 0.1, "eps": 1e-5} | dict(
        zip(("training", "momentum", "eps"), settings, strict=False)
    )
    training, momentum, eps = (told | named).values()
    mean, variance = running_mean, running_var
    if training or running_mean is None:
        axes = [0, *range(2, x.ndim)]
        mean, variance = x.mean(axes), x.var(axes, unbiased=False)
        if running_mean is not None:
            count = x.numel() / x.shape[1]
            running_mean.copy_((1 - momentum) * running_mean + momentum * mean)
            running_var.copy_((1 - momentum) * running_var + momentum * variance * count / max(count - 1, 1))
    shape = [1, -1, *[1] * (x.ndim - 2)]
    y = (x - mean.reshape(shape)) * torch.rsqrt(variance.reshape(shape) + eps)
    y = y if weight is None else y * weight.reshape(shape)
    return y if bias is None else y + bias.reshape(shape)
