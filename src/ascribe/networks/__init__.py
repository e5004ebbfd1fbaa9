"""Networks: layers one file each, activations beside their derivatives, and the tape that records a forward pass."""

import inspect as _inspect

from .activation import Activation as Activation
from .activations import ACTIVATIONS as ACTIVATIONS
from .activations import ActivationFunction as ActivationFunction
from .approximator import approximator as approximator
from .attention import Attention as Attention
from .batchnorm import BatchNorm as BatchNorm
from .block import Block as Block
from .block import from_function as from_function
from .build import build as build
from .conv2d import Conv2d as Conv2d
from .conv2d import convolve as convolve
from .dropout import Dropout as Dropout
from .embedding import Embedding as Embedding
from .equilibrium import Equilibrium as Equilibrium
from .flatten import Flatten as Flatten
from .foreign import from_model as from_model
from .gru import GRU as GRU
from .gru import gru as gru
from .label_goodness import LabelGoodness as LabelGoodness
from .last_step import LastStep as LastStep
from .layer import AbstractLayer as AbstractLayer
from .layernorm import LayerNorm as LayerNorm
from .lenet import lenet as lenet
from .linear import Linear as Linear
from .mixer import MixerBlock as MixerBlock
from .mixer import mixer as mixer
from .mlp import mlp as mlp
from .network import Network as Network
from .network import check_input as check_input
from .patches import Patches as Patches
from .pooling import AveragePool2d as AveragePool2d
from .pooling import GlobalAveragePool as GlobalAveragePool
from .pooling import MaxPool2d as MaxPool2d
from .registry import LAYERS as LAYERS
from .registry import Unbuilt as Unbuilt
from .registry import UnknownLayerError as UnknownLayerError
from .registry import from_config as from_config
from .registry import register_layer as register_layer
from .residual import Residual as Residual
from .resnet import resnet as resnet
from .rmsnorm import RMSNorm as RMSNorm
from .shift import Shift as Shift
from .simplenet import simplenet as simplenet
from .stack import Stack as Stack
from .subsample import Subsample as Subsample
from .synaptic import AbstractSynapticLayer as AbstractSynapticLayer
from .tape import Tape as Tape
from .tape import record as record
from .threshold_units import and_unit as and_unit
from .threshold_units import not_unit as not_unit
from .threshold_units import or_unit as or_unit
from .threshold_units import threshold_unit as threshold_unit
from .threshold_units import xor_network as xor_network
from .to_torch import to_torch as to_torch
from .transformer import TransformerBlock as TransformerBlock
from .transformer import transformer as transformer
from .vit import vit as vit

_layers = [one for one in vars().values() if _inspect.isclass(one) and issubclass(one, AbstractLayer)]
LAYERS |= {one.__name__: one for one in _layers if not _inspect.isabstract(one)}
