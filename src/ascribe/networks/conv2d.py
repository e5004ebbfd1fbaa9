"""The convolutional synaptic layer, in two equal forms."""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from ascribe.checks import at_least, flag, whole
from ascribe.errors import UserError
from ascribe.types import Array, Float, Key, PyTree

from . import initializers
from .layer import check_image, size_of
from .sites import is_read
from .slices import convolve_slices, views_of
from .synaptic import AbstractSynapticLayer


def convolve(
    x: Float[Array, "batch height width channels"],
    weight: Float[Array, "kernel_height kernel_width channels fan_out"],
    *,
    stride: int = 1,
    padding: int = 0,
    form: str | None = None,
) -> Float[Array, "batch out_height out_width fan_out"]:
    """Cross-correlation of channels-last images, zero-padded.

    `form="native"` is XLA's convolution. `form="slices"` gathers the kernel's shifted views side by side and multiplies
    once: equal to rounding, and on a CPU several times faster inside `lax.scan`, where XLA leaves its fast convolution
    path (`benchmarks/lenet.py` measures both). The default is the faster one for the platform in use.
    """
    form = form or ("slices" if jax.default_backend() == "cpu" else "native")
    if form == "native" or is_read():
        return jax.lax.conv_general_dilated(
            x, weight, (stride, stride), [(padding, padding)] * 2, dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
    return convolve_slices(x, weight, strides=(stride, stride), padding=((padding, padding), (padding, padding)))


def patches(
    x: Float[Array, "batch height width channels"], kernel_height: int, kernel_width: int, *, stride: int, padding: int
) -> Float[Array, "batch out_height out_width view"]:
    """What the kernel sees at every place, in the order (kernel_width, kernel_height, channels)."""
    return views_of(x, kernel_height, kernel_width, (stride, stride), ((padding, padding), (padding, padding)))


def is_image_shape(shape: Any) -> bool:
    """Whether it is a (height, width, channels)."""
    three = isinstance(shape, tuple | list) and len(shape) == 3
    return three and all((whole(size) or 0) > 0 for size in shape)


class Conv2d(AbstractSynapticLayer):
    """z = W * x + b: a two-dimensional convolution of channels-last images.

    `weight`: `(kernel, kernel, channels, fan_out)`; `bias`: `(fan_out,)` or None. `stride` and `padding` (zeros on each
    side) count pixels and hold for both axes. The argument `fan_out` counts output channels, as `outputs` does; the property
    counts what one input reaches, kernel² as many.
    """

    weight: Float[Array, "kernel kernel channels fan_out"]
    bias: Float[Array, " fan_out"] | None
    stride: int = eqx.field(static=True)
    padding: int = eqx.field(static=True)
    initializer: str = eqx.field(static=True)

    kind: ClassVar[str] = "conv"
    convolutional: ClassVar[bool] = True

    def __init__(
        self,
        channels: int,
        fan_out: int,
        kernel: int,
        *,
        stride: int = 1,
        padding: int = 0,
        bias: bool = True,
        initializer: str = "he-normal",
        key: Key | None = None,
    ):
        channels, fan_out = size_of("channels", "Conv2d", channels), size_of("fan_out", "Conv2d", fan_out)
        kernel, self.stride = size_of("kernel", "Conv2d", kernel), size_of("stride", "Conv2d", stride)
        self.padding = at_least(0, "`padding` of Conv2d", padding)
        self.initializer = initializers.check(initializer)
        key = initializers.own_key(key)
        self.weight = initializers.draw(initializer, key, (kernel, kernel, channels, fan_out), in_axis=2, out_axis=3)
        self.bias = jnp.zeros(fan_out) if flag("bias", bias) else None

    def __call__(
        self,
        x: Float[Array, "batch height width channels"],
        state: PyTree = None,
        *,
        key: Key | None = None,
        training: bool = False,
    ) -> tuple[Float[Array, "batch out_height out_width fan_out"], PyTree]:
        z = convolve(x, self.weight, stride=self.stride, padding=self.padding)
        return (z if self.bias is None else z + self.bias[None, None, None, :]), state

    def config(self) -> dict[str, Any]:
        kernel, _, channels, fan_out = self.weight.shape[-4:]
        return {
            "channels": channels,
            "fan_out": fan_out,
            "kernel": kernel,
            "stride": self.stride,
            "padding": self.padding,
            "bias": self.bias is not None,
            "initializer": self.initializer,
        }

    @property
    def fan_in(self) -> int:
        kernel, _, channels, _ = self.weight.shape[-4:]
        return kernel * kernel * channels

    @property
    def fan_out(self) -> int:
        kernel, _, _, outputs = self.weight.shape[-4:]
        return kernel * kernel * outputs

    @property
    def outputs(self) -> int:
        return self.weight.shape[-1]

    def check_shape(self, name: str, shape: tuple[int, ...]) -> None:
        check_image(name, shape)
        kernel, _, channels, _ = self.weight.shape
        if shape[2] != channels:
            raise UserError(f"layer {name} takes {channels} channels but gets the shape {shape}.")
        if min(shape[:2]) + 2 * self.padding < kernel:
            raise UserError(f"the image is too small for layer {name}: a kernel of {kernel} pixels does not fit into {shape}.")

    def workspace(self, outputs: int) -> int:
        """The gathered views of the kernel, and what their products and gradients make of them."""
        return 3 * (outputs // self.outputs) * self.fan_in

    def design_matrix(self, x: Float[Array, "batch height width channels"]) -> Float[Array, "equations fan_in"]:
        kernel = self.weight.shape[0]
        views = patches(x, kernel, kernel, stride=self.stride, padding=self.padding)
        return views.reshape(-1, views.shape[-1])

    def weight_of(self, matrix: Float[Array, "fan_out fan_in"]) -> Float[Array, "kernel kernel channels fan_out"]:
        kernel, _, channels, outputs = self.weight.shape
        return jnp.swapaxes(matrix.T.reshape(kernel, kernel, channels, outputs), 0, 1)
