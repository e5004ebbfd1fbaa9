"""Learning rules: the contract (`base.py`), the shared backward sweep (`terms.py`), then one rule, one file."""

from .backpropagation import Backpropagation as Backpropagation
from .base import AbstractRule as AbstractRule
from .base import Batch as Batch
from .base import Credit as Credit
from .base import Trainables as Trainables
from .base import hyperparameter as hyperparameter
from .base import network_of as network_of
from .direct_feedback_alignment import DirectFeedbackAlignment as DirectFeedbackAlignment
from .feedback_alignment import FeedbackAlignment as FeedbackAlignment
from .feedback_matrices import random_feedback as random_feedback
from .kolen_pollack import KolenPollack as KolenPollack
from .registry import describe as describe
from .registry import full_name as full_name
from .registry import get as get
from .registry import name_of as name_of
from .registry import names as names
from .registry import settings as settings
from .sign_symmetry import SignSymmetry as SignSymmetry
from .terms import Terms as Terms
from .terms import backward_sweep as backward_sweep
from .terms import final_preactivation as final_preactivation
from .value_and_credit import as_batch as as_batch
from .value_and_credit import value_and_credit as value_and_credit
from .verify import Verification as Verification
from .verify import verify as verify
