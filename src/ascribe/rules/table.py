"""The table of the rules: what each is called, the class and the options that it is built with, and where it is from."""

from typing import Any, NamedTuple

from .b_function import BFunction
from .backpropagation import Backpropagation
from .base import AbstractRule
from .direct_feedback_alignment import DirectFeedbackAlignment
from .direct_kolen_pollack import DirectKolenPollack
from .direct_random_target_projection import DirectRandomTargetProjection
from .equilibrium_propagation import EquilibriumPropagation
from .feedback_alignment import FeedbackAlignment
from .finite_differences import FiniteDifferences
from .forward_forward import ForwardForward
from .forward_gradient import ForwardGradient
from .forward_pass import ForwardPass, ForwardPassOneVersusRest
from .gradient_noise import GradientNoise, MatchedNoise
from .hebbian import Hebbian
from .indirect_feedback_alignment import IndirectFeedbackAlignment
from .kolen_pollack import KolenPollack
from .local_error import LocalError
from .node_perturbation import NodePerturbation
from .pepita import Pepita
from .perceptron import Perceptron
from .predictive_coding import PredictiveCoding
from .relaxed_identity import RelaxedIdentity
from .sign_symmetry import SignSymmetry
from .softhebb import SoftHebb
from .target_propagation import TargetPropagation
from .weight_mirror import WeightMirror
from .weight_perturbation import WeightPerturbation


class Entry(NamedTuple):
    """One row of the table: the class, one line about it and its source (with "ours" where the document has another form), what
    it is built with."""

    kind: type[AbstractRule]
    description: str
    source: str
    options: dict[str, Any] = {}  # noqa: RUF012 - a constant


TABLE: dict[str, Entry] = {
    "backpropagation": Entry(Backpropagation, "every term exact: the gradient of the loss", "Rumelhart et al. (1986)"),
    "feedback-alignment": Entry(FeedbackAlignment, "fixed random weights carry the error back", "Lillicrap et al. (2016)"),
    "direct-feedback-alignment": Entry(
        DirectFeedbackAlignment,
        "the output error reaches every layer at once, through fixed random weights",
        "Nøkland (2016)",
    ),
    "sign-symmetry": Entry(
        SignSymmetry,
        "the weights' signs, all of one size, carry the error back",
        "Liao et al. (2016)",
        {"kind": "uniform"},
    ),
    "sign-symmetry-batch-random": Entry(
        SignSymmetry,
        "the weights' signs with sizes drawn anew for every batch",
        "Liao et al. (2016)",
        {"kind": "batch-random"},
    ),
    "sign-symmetry-fixed-random": Entry(
        SignSymmetry, "the weights' signs with sizes drawn once", "Liao et al. (2016)", {"kind": "fixed-random"}
    ),
    "kolen-pollack": Entry(
        KolenPollack,
        "feedback weights that learn to be the weights: same gradient, same decay",
        "Kolen & Pollack (1994); Akrout et al. (2019)",
    ),
    "direct-random-target-projection": Entry(
        DirectRandomTargetProjection,
        "the target reaches every hidden layer at once",
        "Frenkel et al. (2021)",
    ),
    "weight-mirror": Entry(
        WeightMirror,
        "feedback weights that learn the weights from noise",
        "Akrout et al. (2019)",
    ),
    "direct-kolen-pollack": Entry(
        DirectKolenPollack,
        "direct feedback that learns by Kolen-Pollack's rule",
        "Webster et al. (2021)",
    ),
    "indirect-feedback-alignment": Entry(
        IndirectFeedbackAlignment,
        "the output error goes to the first hidden layer, and forward from there",
        "Nøkland (2016)",
    ),
    "b-function": Entry(
        BFunction,
        "another function g(z) in place of σ'(z): softplus's derivative, or b-function:NAME",
        "Function changes in the Backpropagation equation …, (1)–(5)",
        {"derivative": "softplus"},
    ),
    "gradient-noise": Entry(
        GradientNoise, "backpropagation with noise that fades from step to step", "Neelakantan et al. (2015)"
    ),
    "gradient-noise-matched": Entry(
        MatchedNoise,
        "backpropagation with noise of the size of what b-function changes",
        "ours, after Neelakantan et al. (2015)",
    ),
    "weight-perturbation": Entry(
        WeightPerturbation,
        "random moves of all weights, credited with what the loss did",
        "Cauwenberghs (1993)",
    ),
    "node-perturbation": Entry(
        NodePerturbation,
        "noise at every unit, credited with what the loss did",
        "Flower & Jabri (1993)",
    ),
    "forward-gradient": Entry(
        ForwardGradient,
        "the loss's slope along a random direction of all weights",
        "Baydin et al. (2022)",
    ),
    "local-error": Entry(
        LocalError,
        "every hidden layer learns from a loss of its own",
        "Nøkland & Eidnes (2019)",
    ),
    "forward-pass": Entry(
        ForwardPass,
        "no backward pass: which neurons activated, the output, the label, and the weights themselves",
        "ours, after Lerman (2021)",
    ),
    "forward-pass-as-published": Entry(
        ForwardPass,
        "the forward-pass rule as its document states it: rules 1 to 3, (8), (11) to (14), every input activated",
        "Lerman (2021)",
        {
            "input_activation": "always",
            "inactive": "all",
            "flip_label": True,
            "error_scaled": False,
            "stabilized": True,
            "natural": True,
            "transforms": (),
            "epsilon": 1e-3,
        },
    ),
    "forward-pass-one-versus-rest": Entry(
        ForwardPassOneVersusRest,
        "the forward-pass rule for several classes, each against the rest",
        "ours, after Lerman (2021)",
    ),
    "relaxed-identity": Entry(
        RelaxedIdentity,
        "an auxiliary activation for every example and layer, relaxed from the output down before each step",
        "ours, after Mertens Velasquez",
        {
            "kind": "persistent",
            "coordinates": "residual",
            "hidden_loss": "sum",
            "hidden_weight": 100.0,
            "inner_steps": "depth",
            "inner_rate": 1.0,
            "consolidate": "never",
        },
    ),
    "relaxed-identity-as-published": Entry(
        RelaxedIdentity,
        "an auxiliary activation for every example and layer, trained like a weight, so that layers learn apart",
        "Mertens Velasquez, Relaxed Activation Identity",
        {"relax_output": True, "consolidate": "never"},
    ),
    "relaxed-identity-transient": Entry(
        RelaxedIdentity,
        "auxiliary activations from each batch's forward pass, relaxed for a few steps",
        "ours, after Mertens Velasquez",
        {"kind": "transient", "hidden_loss": "sum", "inner_steps": 5},
    ),
    "predictive-coding": Entry(
        PredictiveCoding,
        "activities settle between input and target, and each layer learns from its own prediction error",
        "Rao & Ballard (1999); Whittington & Bogacz (2017)",
    ),
    "equilibrium-propagation": Entry(
        EquilibriumPropagation,
        "the network settles freely and nudged towards the target, and weights learn from the difference",
        "Scellier & Bengio (2017); Laborieux et al. (2021)",
    ),
    "forward-forward": Entry(
        ForwardForward,
        "every layer learns, in two forward passes, to be active for right labels and not for wrong ones",
        "Hinton (2022)",
    ),
    "perceptron": Entry(
        Perceptron,
        "on each mistake, add the example: one layer, unit steps from 0",
        "Rosenblatt (1957); Farrahi (2020)",
    ),
    "finite-differences": Entry(
        FiniteDifferences,
        "two evaluations of the loss for every weight: no derivative anywhere",
        "Neural networks (course notes), section 3.1.2",
    ),
    "pepita": Entry(
        Pepita,
        "a second forward pass with the error at the input; what it changes is the credit",
        "Dellaferrera & Kreiman (2022)",
    ),
    "softhebb": Entry(
        SoftHebb,
        "hidden layers learn without error: the units that win a soft competition move towards the input",
        "Journé et al. (2023); Moraitis et al. (2022)",
    ),
    "hebbian": Entry(
        Hebbian,
        "hidden layers learn without error, by the generalized Hebbian algorithm: principal components of the input",
        "Sanger (1989); Oja (1982)",
    ),
    "target-propagation": Entry(
        TargetPropagation,
        "targets in place of errors, made layer by layer by learned inverses (difference target propagation)",
        "Lee et al. (2015)",
        {"kind": "difference"},
    ),
    "target-propagation-direct": Entry(
        TargetPropagation,
        "targets for every layer straight from the output, by learned linear inverses (DDTP-linear)",
        "Meulemans et al. (2020)",
        {"kind": "direct"},
    ),
    "target-propagation-fixed": Entry(
        TargetPropagation,
        "targets made layer by layer by fixed random feedback (fixed-weight difference target propagation)",
        "Shibuya et al. (2023)",
        {"kind": "fixed"},
    ),
}


BY_DEFAULT = (
    "backpropagation",
    "feedback-alignment",
    "direct-feedback-alignment",
    "direct-random-target-projection",
    "kolen-pollack",
    "b-function",
    "node-perturbation",
    "local-error",
    "forward-pass",
    "forward-pass-one-versus-rest",
    "relaxed-identity",
    "predictive-coding",
    "equilibrium-propagation",
    "forward-forward",
    "pepita",
    "softhebb",
    "target-propagation",
)
"""The rules of a comparison that names none: one of each kind, as many as fit into a table that is read at once."""
