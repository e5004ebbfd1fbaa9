"""Neurons in time: ion channels, integrate-and-fire, synapses, networks of spiking neurons."""

from .connection import Connection as Connection
from .connection import random_connection as random_connection
from .filters import SYNAPSES as SYNAPSES
from .filters import PostSynapticFilter as PostSynapticFilter
from .hodgkin_huxley import HodgkinHuxley as HodgkinHuxley
from .lif import LIF as LIF
from .network import SpikingNetwork as SpikingNetwork
from .recording import Recording as Recording
from .simulate import simulate as simulate
from .spikes import SpikeTrain as SpikeTrain
from .spikes import poisson_spikes as poisson_spikes
from .surrogate import surrogate_spikes as surrogate_spikes
from .tuning import TuningCurve as TuningCurve
from .tuning import tuning_curve as tuning_curve

MODELS = {"hodgkin-huxley": HodgkinHuxley, "lif": LIF, "network": SpikingNetwork}
"""What `simulate` takes, by name."""
