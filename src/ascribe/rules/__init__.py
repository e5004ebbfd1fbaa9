"""Learning rules: the contract (`base.py`), the shared backward sweep (`terms.py`), then one rule, one file."""

from . import meta_network as meta_network
from . import registry as registry
from . import rule_files as rule_files
from .b_function import BFunction as BFunction
from .b_function import implicit_rates as implicit_rates
from .b_functions import B_FUNCTIONS as B_FUNCTIONS
from .b_functions import WhereSlope as WhereSlope
from .backpropagation import Backpropagation as Backpropagation
from .base import AbstractRule as AbstractRule
from .base import Batch as Batch
from .base import Credit as Credit
from .base import LimitingCase as LimitingCase
from .base import Trainables as Trainables
from .base import hyperparameter as hyperparameter
from .base import network_of as network_of
from .direct_feedback_alignment import DirectFeedbackAlignment as DirectFeedbackAlignment
from .direct_kolen_pollack import DirectKolenPollack as DirectKolenPollack
from .direct_random_target_projection import DirectRandomTargetProjection as DirectRandomTargetProjection
from .equilibrium_propagation import EquilibriumPropagation as EquilibriumPropagation
from .feedback_alignment import FeedbackAlignment as FeedbackAlignment
from .feedback_matrices import random_feedback as random_feedback
from .finite_differences import FiniteDifferences as FiniteDifferences
from .forward_forward import ForwardForward as ForwardForward
from .forward_gradient import ForwardGradient as ForwardGradient
from .forward_pass import ForwardPass as ForwardPass
from .forward_pass import ForwardPassOneVersusRest as ForwardPassOneVersusRest
from .gradient_noise import GradientNoise as GradientNoise
from .gradient_noise import MatchedNoise as MatchedNoise
from .hebbian import Hebbian as Hebbian
from .indirect_feedback_alignment import IndirectFeedbackAlignment as IndirectFeedbackAlignment
from .kolen_pollack import KolenPollack as KolenPollack
from .local_error import LocalError as LocalError
from .meta_network import MetaNetwork as MetaNetwork
from .naming import activation_of as activation_of
from .naming import hidden_activations as hidden_activations
from .node_perturbation import NodePerturbation as NodePerturbation
from .pepita import Pepita as Pepita
from .perceptron import Perceptron as Perceptron
from .perceptron_numpy import PerceptronResult as PerceptronResult
from .perceptron_numpy import mistake_bound as mistake_bound
from .perceptron_numpy import perceptron_algorithm as perceptron_algorithm
from .predictive_coding import PredictiveCoding as PredictiveCoding
from .registry import about as about
from .registry import default_names as default_names
from .registry import describe as describe
from .registry import full_name as full_name
from .registry import get as get
from .registry import made as made
from .registry import name_of as name_of
from .registry import names as names
from .registry import settings as settings
from .registry import split_names as split_names
from .relaxed_identity import RelaxedIdentity as RelaxedIdentity
from .rounding import gradient_and_terms as gradient_and_terms
from .sign_symmetry import SignSymmetry as SignSymmetry
from .softhebb import SoftHebb as SoftHebb
from .target_propagation import TargetPropagation as TargetPropagation
from .terms import Terms as Terms
from .terms import backward_sweep as backward_sweep
from .terms import final_preactivation as final_preactivation
from .tools.check_gradients import GradientCheck as GradientCheck
from .tools.check_gradients import check_gradients as check_gradients
from .tools.value_and_credit import as_batch as as_batch
from .tools.value_and_credit import value_and_credit as value_and_credit
from .tools.verify import Verification as Verification
from .tools.verify import verify as verify
from .weight_mirror import WeightMirror as WeightMirror
from .weight_perturbation import WeightPerturbation as WeightPerturbation


def __getattr__(name: str) -> type[AbstractRule]:
    """The class of a registered rule that is not imported above."""
    for row in registry.TABLE.values():
        if row.kind.__name__ == name:
            return row.kind
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
