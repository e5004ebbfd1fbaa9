"""Networks: layers one file each, activations beside their derivatives, and the tape that records a forward pass."""

from ascribe.arguments import explained
from ascribe.errors import UserError

from .activation import Activation as Activation
from .activations import ACTIVATIONS as ACTIVATIONS
from .activations import ActivationFunction as ActivationFunction
from .approximator import approximator as approximator
from .batchnorm import BatchNorm as BatchNorm
from .build import build as build
from .conv2d import Conv2d as Conv2d
from .conv2d import convolve as convolve
from .dropout import Dropout as Dropout
from .flatten import Flatten as Flatten
from .layer import AbstractLayer as AbstractLayer
from .lenet import lenet as lenet
from .linear import Linear as Linear
from .mlp import mlp as mlp
from .network import Network as Network
from .network import check_input as check_input
from .pooling import AveragePool2d as AveragePool2d
from .pooling import MaxPool2d as MaxPool2d
from .shift import Shift as Shift
from .simplenet import simplenet as simplenet
from .stack import Stack as Stack
from .tape import Tape as Tape
from .tape import record as record
from .threshold_units import and_unit as and_unit
from .threshold_units import not_unit as not_unit
from .threshold_units import or_unit as or_unit
from .threshold_units import threshold_unit as threshold_unit
from .threshold_units import xor_network as xor_network

LAYERS: dict[str, type[AbstractLayer]] = {
    layer.__name__: layer
    for layer in (Linear, Conv2d, MaxPool2d, AveragePool2d, Flatten, Dropout, BatchNorm, Shift, Activation)
}
"""Every layer by its class name: what `Network.config` writes and `from_config` reads."""


@explained
def from_config(config: list[dict]) -> Network:
    """The network that `Network.config()` described, with parameters of its initializers' laws."""
    unknown = [entry["layer"] for entry in config if entry["layer"] not in LAYERS]
    if unknown:
        raise UserError(f"there is no layer {unknown[0]!r} in this version of ascribe; it has {', '.join(LAYERS)}.")
    return Network(LAYERS[entry["layer"]](**{k: v for k, v in entry.items() if k != "layer"}) for entry in config)
