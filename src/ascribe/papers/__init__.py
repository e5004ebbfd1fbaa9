"""The source documents' figures and printed numbers, redone, each with its checks: a file for each part of a document. How a
document is read, and where it slips: docs/documents/. Tables of other papers are in `published/`."""

from ascribe.checks import unknown

from .base import Check as Check
from .base import Entry as Entry
from .base import Listener as Listener
from .base import Result as Result
from .base import silent

LECTURE = "Solving Deeper Multilayer Perceptrons"
"""The lecture on perceptrons and backpropagation."""
FORWARD_PASS = "Binary Classifier Forward-Pass Optimization"
"""The document of the rule `forward-pass`."""
B_FUNCTIONS = "Function changes in the Backpropagation equation is equivalent to an implicit learning rate"
"""The document of the rule `b-function`."""
NOTES = "Neural networks (course notes)"
"""The course notes: derivatives, expression graphs, neurons."""
RELAXED_IDENTITY = "An Empirical Study of Relaxed Activation Identity's Effects on First-Order Optimization"
"""The document of the rule `relaxed-identity`."""

COUNTER_CURRENT = "Counter-Current Learning: A Biologically Plausible Dual Network Approach for Deep Learning"
TARGET_PROJECTION = (
    "Learning without feedback: fixed random learning signals allow for feedforward training of deep neural networks"
)
LOCAL_ERRORS = "Training neural networks with local error signals"
AUGMENTED_FEEDBACK = "Physical deep learning with biologically inspired training method"
FORWARD_FORWARD = "The forward-forward algorithm: some preliminary investigations"

# The last number is measured: minutes of CPU time in a process of its own, with the pictures.
_ENTRIES = (
    Entry("forward-pass", "learning from the forward pass alone: which of its options learn, and the trust region",
          f"{FORWARD_PASS}, rules 1–3, (8), (13)", "forward_pass", "forward_pass", 1.5),
    Entry("forward-pass-options", "Definition 0.1, (9), (10), (11) with (12), (14): what each option does to a few weights",
          f"{FORWARD_PASS}, Definition 0.1, (9)–(12), (14)", "forward_pass_options", "options", 0.1),
    Entry("forward-pass-natural", "the natural rate (13): a step of the log odds, whatever the output was, and where that ends",
          f"{FORWARD_PASS}, (13) and the text after it", "forward_pass_natural", "natural", 0.1),
    Entry("implicit-rate", "a replaced term as a learning rate: of which layers, unit by unit, and where it is none",
          f"{B_FUNCTIONS}, (3)–(5)", "b_functions_rates", "implicit_rate", 0.3),
    Entry("zero-slope-credit", "credit where the exact derivative is 0: which functions learn slower for it, and which faster",
          f"{B_FUNCTIONS}, text after (4)", "b_functions_zero_slope", "zero_slope_credit", 0.3),
    Entry("b-functions-1a", "the derivatives that can stand in place of the ReLU's",
          f"{B_FUNCTIONS}, figure 1a", "b_functions", "figure_1a", 0.1),
    Entry("b-functions-1b",
          "two Gaussians, all but one layer frozen: how far each derivative lowers the loss, and its path on the surface",
          f"{B_FUNCTIONS}, figure 1b", "b_functions", "figure_1b", 0.8),
    Entry("b-functions-2-digits",
          "b-functions found on digits, and their loss curves beside backpropagation's at the same and at a learned rate",
          f"{B_FUNCTIONS}, figure 2, small", "b_functions", "figure_2_digits", 0.6),
    Entry("b-functions-2-mnist",
          "the same on 2,000 images of MNIST with four hidden layers; with --full on all of it, for a GPU",
          f"{B_FUNCTIONS}, figure 2, small", "b_functions", "figure_2_mnist", 1.0, full=True),
    Entry("b-functions-2-cifar10",
          "the same on CIFAR-10 with SimpleNet, thin and on 200 images; with --full the document's own size, for a GPU",
          f"{B_FUNCTIONS}, figure 2", "b_functions", "figure_2_cifar10", 3.0, full=True),
    Entry("relaxed-identity-shallow",
          "landscapes of backpropagation and of relaxed identity, four hidden layers; how far seeds agree",
          f"{RELAXED_IDENTITY}, figures 2, 3", "relaxed_identity", "shallow", 0.6),
    Entry("relaxed-identity-deep",
          "a hundred hidden layers: where backpropagation fails, and whether relaxed identity does not; --full: 10,000 steps",
          f"{RELAXED_IDENTITY}, figures 4, 5", "relaxed_identity", "deep", 2.0, full=True),
    Entry("relaxed-identity-output-alone", "the output's loss alone: only the last layer learns",
          f"{RELAXED_IDENTITY}, section 3", "relaxed_identity_sections", "output_alone", 0.1),
    Entry("relaxed-identity-dimensions",
          "how far seeds disagree in two and in more dimensions, with and without regularization",
          f"{RELAXED_IDENTITY}, section 5", "relaxed_identity_sections", "dimensions", 0.3),
    Entry("relaxed-identity-mini-batches", "relaxed identity in mini-batches, as published and with one workaround",
          f"{RELAXED_IDENTITY}, section 5", "relaxed_identity_sections", "mini_batches", 0.2),
    Entry("threshold-units", "or, and, not by one threshold unit each, xor by two layers of them",
          f"{LECTURE}, (2)", "perceptrons_lecture", "threshold_units", 0.05),
    Entry("perceptron", "the perceptron algorithm on points that a line separates",
          f"{LECTURE}, Learning Rule", "perceptrons_lecture", "perceptron", 0.03),
    Entry("vectorization", "a layer unit by unit against one matrix product: equal, and faster",
          f"{LECTURE}, (1)", "perceptrons_lecture_backpropagation", "vectorization", 0.03),
    Entry("quadratic-backpropagation",
          "backpropagation for the quadratic cost, written out, and gradient descent until convergence",
          f"{LECTURE}, (3)–(21)", "perceptrons_lecture_backpropagation", "quadratic_backpropagation", 0.05),
    Entry("channels", "the gates of the ion channels: steady states and time constants over the voltage",
          f"{NOTES}, 1.3", "course_notes_channels", "channels", 0.03),
    Entry("hodgkin-huxley", "a neuron under a negative, no, a small and a large current: no spikes, one, many, faster",
          f"{NOTES}, 1.3", "course_notes_channels", "hodgkin_huxley", 0.06),
    Entry("lif-beside-spike", "a leaky integrate-and-fire neuron beside one spike of the Hodgkin–Huxley model",
          f"{NOTES}, 1.3, 1.4", "course_notes_lif", "lif_beside_spike", 0.03),
    Entry("lif", "the leaky integrate-and-fire neuron, and the solution of its equation between spikes",
          f"{NOTES}, 1.4", "course_notes_lif", "lif", 0.03),
    Entry("tuning-curve", "the rate of that neuron under constant inputs, simulated and in closed form",
          f"{NOTES}, 1.4, LIF Firing Rate", "course_notes_lif", "tuning_curve", 0.03),
    Entry("activations", "every activation function of a single neuron beside its derivative",
          f"{NOTES}, 1.5", "course_notes_activations", "activations", 0.03),
    Entry("softmax-one-hot", "softmax and one-hot of the four numbers of the notes",
          f"{NOTES}, 1.5", "course_notes_activations", "softmax_and_one_hot", 0.01),
    Entry("post-synaptic-currents", "what one spike injects: filters of area 1",
          f"{NOTES}, 1.6", "course_notes_synapses", "post_synaptic_currents", 0.02),
    Entry("spike-train", "a spike train, and the sum of its post-synaptic currents",
          f"{NOTES}, 1.6", "course_notes_synapses", "spike_train", 0.03),
    Entry("two-neurons", "one neuron drives another through a weight: both voltages, and the current between",
          f"{NOTES}, 1.7", "course_notes_network", "two_neurons", 0.06),
    Entry("spiking-network", "a network of neurons, one in five of which inhibits: who fires when",
          f"{NOTES}, 1.7, Full LIF Neuron Model", "course_notes_network", "spiking_network", 0.11),
    Entry("supervised-learning", "regression beside classification, and the targets of digits",
          f"{NOTES}, 2.1", "course_notes_supervised", "supervised_learning", 0.04),
    Entry("universal-approximation",
          "steps, pieces, and sigmoid networks built, not trained, to any error, of one input and of several; how they grow",
          f"{NOTES}, 2.2", "course_notes_approximation", "universal_approximation", 0.05),
    Entry("losses", "each loss by its formula, with the output that it goes with, and the derivative of the pair",
          f"{NOTES}, 2.3", "course_notes_losses", "losses_with_their_outputs", 0.02),
    Entry("gradient-ascent", "uphill and downhill on surfaces, until convergence, and a top that is not the highest",
          f"{NOTES}, 3.1.1", "course_notes", "gradient_ascent", 0.03),
    Entry("finite-differences", "a derivative by central differences, and the order in which they converge",
          f"{NOTES}, 3.1.2", "course_notes", "finite_differences", 0.04),
    Entry("error-backpropagation", "the network 3–4–2: every derivative unit by unit, in matrices, in rows and in columns",
          f"{NOTES}, 3.2", "course_notes_backpropagation", "error_backpropagation", 0.03),
    Entry("expression-graph", "f = sin(x) + x·y: evaluated, differentiated, drawn",
          f"{NOTES}, 4.1", "course_notes_graphs", "expression_graph", 0.01),
    Entry("chain-rule", "F(G(H(x))): the derivative at every step of the way",
          f"{NOTES}, 4.1.2", "course_notes_graphs", "chain_rule", 0.01),
    Entry("small-network", "E = d(c(b(a(X))), T): forward pass, backward pass, one step, and algorithm 1 until convergence",
          f"{NOTES}, 4.2.2", "course_notes_graphs", "small_network", 0.01),
    Entry("xor-by-graph", "xor, learned by walking an expression graph",
          f"{NOTES}, 4.2.2, algorithm 2", "course_notes_graphs", "xor_by_graph", 0.01),
    Entry("matrix-gradients", "the gradients of a sum and of a product of matrices",
          f"{NOTES}, 4.2.3", "course_notes_graphs", "matrix_gradients", 0.01),
    Entry("counter-current-mnist", "five rules on MNIST in one protocol: BP, FA, DFA, DRTP, FW-DTP",
          f"{COUNTER_CURRENT}, table 1", "published.counter_current", "mnist", 1.5, full=True),
    Entry("counter-current-fashion-mnist", "the same five on Fashion-MNIST",
          f"{COUNTER_CURRENT}, table 1", "published.counter_current", "fashion_mnist", 1.5, full=True),
    Entry("counter-current-cifar10", "the same five on CIFAR-10",
          f"{COUNTER_CURRENT}, table 1", "published.counter_current", "cifar10", 4.0, full=True),
    Entry("target-projection-mnist", "direct random target projection beside backpropagation, MNIST after 10 epochs",
          f"{TARGET_PROJECTION}, the authors' code", "published.target_projection", "mnist", 2.0, full=True),
    Entry("local-errors-mnist", "local losses pred, sim and predsim beside the global one, MNIST",
          f"{LOCAL_ERRORS}, table 1", "published.local_errors", "mnist", 2.5, full=True),
    Entry("local-errors-cifar10", "the same on CIFAR-10",
          f"{LOCAL_ERRORS}, table 4", "published.local_errors", "cifar10", 1.5, full=True),
    Entry("augmented-feedback-mnist", "a mixer under direct feedback, with another function in place of σ', and its last layer",
          f"{AUGMENTED_FEEDBACK}, table 2", "published.augmented_feedback", "mnist", 2.5, full=True),
    Entry("forward-forward-mnist", "forward-forward beside backpropagation, MNIST",
          f"{FORWARD_FORWARD}, section 3.3", "published.forward_forward", "mnist", 1.5, full=True),
)  # fmt: skip
TABLE: dict[str, Entry] = {entry.name: entry for entry in _ENTRIES}
"""Every entry by its name: what `ascribe reproduce NAME` redoes."""


def names() -> list[str]:
    """Every entry, document by document."""
    return list(TABLE)


def get(name: str) -> Entry:
    """The entry of that name; a `UserError` names one that is close."""
    if name not in TABLE:
        raise unknown("entry", name, TABLE, "list them with `ascribe reproduce --list`")
    return TABLE[name]


def reproduce(name: str, *, full: bool = False, listener: Listener = silent) -> Result:
    """Redoes the entry of that name: `result.passed`, `result.checks`, `result.figures` (name to Altair chart). `full`: in the
    document's own size, where the entry has one."""
    return get(name).run(listener, full=full)
