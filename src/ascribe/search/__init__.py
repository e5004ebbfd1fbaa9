"""Search over hyper-parameters: the same budget for every rule."""

from .discover import BAYESIAN as BAYESIAN
from .discover import RANDOM as RANDOM
from .discover import Evaluations as Evaluations
from .discover import Objective as Objective
from .discover import Space as Space
from .discover import Z as Z
from .discover import best_few as best_few
from .discover import learned_curve as learned_curve
from .discover import left_out as left_out
from .discover import search as search
from .expected_improvement import expected_improvement as expected_improvement
from .expected_improvement import log_expected_improvement as log_expected_improvement
from .expected_improvement import suggest as suggest
from .gaussian_process import GaussianProcess as GaussianProcess
from .gaussian_process import condition as condition
from .gaussian_process import fit as fit
from .tune import LEARNING_RATE as LEARNING_RATE
from .tune import Tuning as Tuning
from .tune import candidates as candidates
from .tune import ranges_of as ranges_of
from .tune import specifications as specifications
from .tune import tune as tune
