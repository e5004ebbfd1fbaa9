"""Search over hyper-parameters: the same budget for every rule."""

from .tune import LEARNING_RATE as LEARNING_RATE
from .tune import Tuning as Tuning
from .tune import candidates as candidates
from .tune import ranges_of as ranges_of
from .tune import tune as tune
