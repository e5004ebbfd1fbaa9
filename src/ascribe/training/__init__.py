"""Training: one loop (`loop.py`), mapped over runs and devices (`devices.py`), driven in chunks (`train.py`)."""

from . import devices as devices
from . import optimizers as optimizers
from .demands import Demands as Demands
from .demands import honor as honor
from .demands import made as made
from .devices import use_all_cores as use_all_cores
from .hypergradient import hypergradient as hypergradient
from .landscape import LossLandscape as LossLandscape
from .landscape import landscape as landscape
from .progress import Listener as Listener
from .progress import Progress as Progress
from .progress import silent as silent
from .runs import Runs as Runs
from .seeds import check_seeds as check_seeds
from .train import Experiment as Experiment
from .train import Rules as Rules
from .train import Specification as Specification
from .train import Trained as Trained
from .train import check_rule as check_rule
from .train import leaf as leaf
from .train import make_settings as make_settings
from .train import named_rules as named_rules
from .train import positive as positive
from .train import train as train
from .train import with_array_leaves as with_array_leaves
