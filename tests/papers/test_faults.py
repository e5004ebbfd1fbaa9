"""One fault at a time in the product, in memory, and an entry that it fails: what entries check is what the product computes.

A fault is a factor of a derivative, a sign, a step, a constant. Those of `tools/mutations.toml` are put into the source, for
the tests; these are for the entries.
"""

import dataclasses
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ascribe import autodiff, losses, networks, neurons, papers, rules
from ascribe.autodiff import approximation, by_hand, several_inputs
from ascribe.networks import ACTIVATIONS
from ascribe.neurons import LIF, HodgkinHuxley, PostSynapticFilter
from ascribe.papers import b_functions_rates, b_functions_zero_slope, course_notes_lif, course_notes_network

Patch = pytest.MonkeyPatch


@dataclasses.dataclass(frozen=True)
class Fault:
    """`put_in` makes it; `statement`: how a check of the entry begins that fails then; `compiled`: it is in what JAX compiles;
    `slow`: the entry takes more than a second or two."""

    entry: str
    why: str
    put_in: Callable[[Patch], None]
    statement: str
    compiled: bool = False
    slow: bool = False


# Makers of faults


def with_all_credit(patch):
    """And with few rates and seeds, for without the function's effect there is nothing to find with any number of them."""
    patch.setattr(rules.WhereSlope, "__call__", lambda self, z: rules.b_functions.evaluate(self.g, z))
    few = {"RATES": 3, "TUNING_SEEDS": (100_000,), "FRESH_SEEDS": (0, 1, 2)}
    for name, value in few.items():
        patch.setattr(b_functions_zero_slope, name, value)


def rule(operator: str, *rules: Callable):
    """Other derivative rules of an operator of the expression graph."""
    return lambda patch: patch.setitem(autodiff.DERIVATIVES, operator, rules)


def forward(operator: str, function: Callable):
    """Another function of an operator of the expression graph."""
    return lambda patch: patch.setattr(autodiff.OPERATORS[operator], "forward", function)


def activation(name: str, **changed: Callable):
    """Another function or derivative of an activation."""
    return lambda patch: patch.setitem(ACTIVATIONS, name, ACTIVATIONS[name]._replace(**changed))


def loss(name: str, **changed: Callable):
    """Another formula of a loss."""
    return lambda patch: patch.setattr(losses, name, dataclasses.replace(getattr(losses, name), **changed))


def scaled(owner: object, name: str, factor: float):
    """What a function returns, times a factor."""
    exact = getattr(owner, name)
    return lambda patch: patch.setattr(owner, name, lambda *args, **options: factor * exact(*args, **options))


def sodium(patch: Patch) -> None:
    exact = HodgkinHuxley.rest_minus_70
    more = lambda: eqx.tree_at(lambda model: model.g_Na, exact(), replace_fn=lambda g: 1.01 * g)
    patch.setattr(HodgkinHuxley, "rest_minus_70", more)


def closing(patch: Patch) -> None:
    exact = HodgkinHuxley.rates

    def rates(self, V):
        alpha, beta = exact(self, V)
        return alpha, beta._replace(h=1.001 * beta.h)

    patch.setattr(HodgkinHuxley, "rates", rates)


def late(patch: Patch) -> None:
    exact = PostSynapticFilter.filter
    patch.setattr(PostSynapticFilter, "filter", lambda *args, **options: np.roll(exact(*args, **options), 1, axis=0))


def half_a_step(patch: Patch) -> None:
    exact = rules.perceptron_numpy._one_pass

    def one_pass(rows, weights, pocket):
        before = weights.copy()
        found = exact(rows, weights, pocket)
        weights[:] = before + 0.5 * (weights - before)
        return found

    patch.setattr(rules.perceptron_numpy, "_one_pass", one_pass)


def waves(patch: Patch) -> None:
    exact = several_inputs._waves

    def twice(heights, spare):
        directions, amplitudes, left_out = exact(heights, spare)
        return directions, amplitudes * np.where(np.count_nonzero(directions, axis=1) > 1, 2.0, 1.0), left_out

    patch.setattr(several_inputs, "_waves", twice)


def longer_step(patch: Patch) -> None:
    exact = rules.ForwardPass._coefficients
    patch.setattr(rules.ForwardPass, "_coefficients", lambda *given: tuple(1.01 * c for c in exact(*given)))


def leaking(patch: Patch) -> None:
    exact = rules.RelaxedIdentity.objective

    def objective(self, network, auxiliary, batch):
        some = eqx.tree_at(lambda rule: rule.hidden_weight, self, jnp.maximum(self.hidden_weight, 1e-3))
        return exact(some, network, auxiliary, batch)

    patch.setattr(rules.RelaxedIdentity, "objective", objective)


def next_class(self, targets, outputs, dtype):
    return jax.nn.one_hot((targets + 1) % outputs, outputs, dtype=dtype)


FORWARD_PASS = (
    Fault(
        "forward-pass-options",
        "weights below η keep their sign",
        lambda patch: patch.setattr(rules.ForwardPass, "after_update", lambda self, trainables, state: (trainables, state)),
        "with (14): those that fell below η",
        compiled=True,
    ),
    Fault(
        "forward-pass-options",
        "the offset of (11) is ten times as large",
        lambda patch: patch.setattr(rules.forward_pass, "OFFSET", -0.01),
        "(11): the output of a network",
        compiled=True,
    ),
    Fault(
        "forward-pass-options",
        "the ceiling of (12) is twice as high",
        lambda patch: patch.setattr(networks.activations, "CEILING", 20.0),
        "with (11, 12): the same, in all steps",
        compiled=True,
    ),
    Fault("forward-pass-natural", "steps by a hundredth longer", longer_step, "(13), one sign", compiled=True),
)

B_FUNCTIONS = (
    Fault(
        "b-functions-1a",
        "arctan' by a hundredth larger",
        lambda patch: patch.setitem(rules.B_FUNCTIONS, "arctan", lambda z: 1.01 / (1 + z * z)),
        "arctan: largest difference to central differences",
        compiled=True,
    ),
    Fault(
        "implicit-rate",
        "a rate by a thousandth larger",
        scaled(b_functions_rates, "rate_of", 1.001),
        "(5): B for W, one example at a time",
        compiled=True,
    ),
    Fault(
        "zero-slope-credit",
        "no credit is taken out where the slope is 0",
        with_all_credit,
        "functions that learn slower for their credit",
        compiled=True,
    ),
)

RELAXED_IDENTITY = (
    Fault(
        "relaxed-identity-output-alone",
        "hidden losses never weigh nothing",
        leaking,
        "the output's loss alone: largest gradient below the last layer",
        compiled=True,
    ),
)

LECTURE = (
    Fault(
        "threshold-units",
        "or with the bias of and",
        lambda patch: patch.setattr(networks, "or_unit", networks.and_unit),
        "or(u, v), of 00, 01, 10, 11",
    ),
    Fault(
        "threshold-units",
        "the signed threshold is 0 at 0",
        activation("sign", function=jnp.sign),
        "−1 or +1: it is 1 with ≥",
        compiled=True,
    ),
    Fault("perceptron", "half a step", half_a_step, "distance of w and b to those of scikit-learn's"),
    Fault(
        "perceptron",
        "0 for −1",
        lambda patch: patch.setattr(
            rules.PerceptronResult, "predict", lambda self, x: (x @ self.weights + self.bias >= 0).astype(int)
        ),
        "f(x) = σ(w · x + b), ±1",
    ),
    Fault(
        "vectorization",
        "an activation by a thousandth larger",
        lambda patch: patch.setitem(by_hand.ACTIVATIONS, "logistic", (lambda z: 1.001 / (1.0 + np.exp(-z)), None)),
        "largest difference between the two",
    ),
    Fault(
        "quadratic-backpropagation",
        "the logistic's derivative by a thousandth larger",
        activation("logistic", derivative=lambda z: 1.001 * networks.activations.logistic_derivative(z)),
        "(11): ∂J/∂w of layer 2",
        compiled=True,
        slow=True,
    ),
)

NOTES_1 = (
    Fault("channels", "β of h by a thousandth larger", closing, "h_∞ against the formula", compiled=True, slow=True),
    Fault("hodgkin-huxley", "one hundredth more sodium", sodium, "rates at 10, 20", compiled=True, slow=True),
    Fault(
        "lif",
        "the claim's time constant is by a thousandth larger",
        lambda patch: patch.setattr(
            LIF, "subthreshold", lambda self, t, v_in: v_in * (1 - np.exp(-np.asarray(t) / (1.001 * 0.02)))
        ),
        "the claim solves",
        slow=True,
    ),
    Fault(
        "lif-beside-spike",
        "a refractory time that is by a hundredth longer",
        lambda patch: patch.setattr(
            course_notes_lif, "LIF", lambda tau_m, tau_ref, **options: LIF(tau_m, 1.01 * tau_ref, **options)
        ),
        "the LIF neuron between two spikes",
        slow=True,
    ),
    Fault(
        "tuning-curve",
        "a refractory time that is by a thousandth longer",
        lambda patch: patch.setattr(course_notes_lif, "LIF", lambda tau_m, tau_ref: LIF(tau_m, 1.001 * tau_ref)),
        "simulated against G",
        slow=True,
    ),
    Fault(
        "activations",
        "tanh' by a thousandth larger",
        activation("tanh", derivative=lambda z: 1.001 * networks.activations.tanh_derivative(z)),
        "hyperbolic tangent: derivative against central differences",
        compiled=True,
    ),
    Fault(
        "activations",
        "a threshold that is open at 0",
        activation("threshold", function=lambda z: (z > 0).astype(z.dtype)),
        "threshold at 0",
        compiled=True,
    ),
    Fault(
        "softmax-one-hot",
        "softmax of half the scores",
        forward("softmax", lambda x, axis: np.exp(0.5 * x) / np.exp(0.5 * x).sum(axis=axis, keepdims=True)),
        "softmax(0.6, 3.4, -1.2, 0.05) against",
    ),
    Fault(
        "post-synaptic-currents",
        "an area by a millionth larger",
        scaled(PostSynapticFilter, "impulse_response", 1 + 1e-6),
        "AMPA-like, n = 0, τ_s = 10 ms: area",
    ),
    Fault("spike-train", "a filter that is a step late", late, "n = 0, dt = 1 ms: largest difference from the sum"),
    Fault(
        "two-neurons",
        "weights by a hundredth larger",
        lambda patch: patch.setattr(
            course_notes_network, "Connection", lambda W, *b: neurons.Connection(1.01 * np.asarray(W), *b)
        ),
        "s jumps at the first spike by w/τ_s",
        slow=True,
    ),
    Fault(
        "spiking-network",
        "a filtered train by a thousandth larger",
        scaled(PostSynapticFilter, "filter", 1.001),
        "s is the sum of w_ij times the filtered spikes",
        slow=True,
    ),
)

NOTES_2 = (
    Fault(
        "supervised-learning",
        "one-hot targets of the next class",
        lambda patch: patch.setattr(losses.Loss, "encode", next_class),
        "the one-hot target of a 7",
    ),
    Fault(
        "supervised-learning",
        "the error of the logistic without the target",
        rule("logistic_cross_entropy", lambda s, y, z, t: s * (autodiff.logistic(z) - 0.99 * t) / len(t), None),
        "classification, logistic output, cross entropy",
    ),
    Fault(
        "universal-approximation",
        "steps that are not steep",
        lambda patch: patch.setattr(approximation, "STEEPNESS", 0.1),
        "ε = 0.1, 43 hidden units",
        slow=True,
    ),
    Fault("universal-approximation", "products of cosines twice as high", waves, "2 inputs, ε = 0.1", slow=True),
    Fault(
        "losses",
        "the squared error without its half",
        forward("squared_error", lambda y, t: np.sum(np.square(y - t)) / (len(y) if np.ndim(y) > 1 else 1)),
        "2.3.1: L = ½ ‖y − t‖²",
    ),
    Fault(
        "losses",
        "the categorical cross entropy with a minus too many",
        loss("CATEGORICAL_CROSS_ENTROPY", value=lambda y, t: jnp.sum(t * jnp.log(y), axis=-1)),
        "L = −ln 0.4",
    ),
    Fault(
        "losses",
        "softmax' error with a target by a thousandth smaller",
        rule("softmax_cross_entropy", lambda s, y, z, t: s * (autodiff.softmax(z) - 0.999 * t) / len(t), None),
        "categorical cross entropy with softmax: ∂E/∂z",
    ),
)

NOTES_3 = (
    Fault(
        "gradient-ascent",
        "sin' by a thousandth larger",
        rule("sin", lambda s, y, x: 1.001 * s * autodiff.cos(x)),
        "ascent: every step is k ∇E by hand",
    ),
    Fault(
        "gradient-ascent",
        "a step multiplier by a thousandth smaller",
        lambda patch: patch.setattr(
            autodiff.GradientDescent,
            "step",
            lambda self, of: [p.assign(p.value - 0.999 * self.rate * p.grad) for p in of],
        ),
        "descent: every step is −k ∇E by hand",
    ),
    Fault(
        "finite-differences",
        "a cross entropy in bits",
        loss("BERNOULLI_CROSS_ENTROPY", value=lambda y, t: -jnp.sum(jnp.log2(jnp.where(t == 1, y, 1 - y)), axis=-1)),
        "∂E/∂θ1 of our network, by central differences",
        compiled=True,
        slow=True,
    ),
    Fault(
        "error-backpropagation",
        "σ' by a thousandth larger, by hand",
        lambda patch: patch.setitem(
            by_hand.ACTIVATIONS,
            "logistic",
            (autodiff.logistic, lambda z: 1.001 * autodiff.logistic(z) * autodiff.logistic(-z)),
        ),
        "all derivatives, unit by unit, and backpropagation by hand in rows",
    ),
    Fault(
        "error-backpropagation",
        "σ' by a thousandth larger, in the rule",
        activation("logistic", derivative=lambda z: 1.001 * networks.activations.logistic_derivative(z)),
        "all derivatives, unit by unit, and the rule backpropagation",
        compiled=True,
    ),
)

NOTES_4 = (
    Fault(
        "expression-graph",
        "the product's derivatives are swapped",
        rule("multiply", lambda s, y, a, b: s * a, lambda s, y, a, b: s * b),
        "x.grad = cos(x) + y",
    ),
    Fault(
        "expression-graph",
        "an Op takes the values that its arguments happen to hold",
        lambda patch: patch.setattr(autodiff.Op, "evaluate", autodiff.Op.compute),
        "Op.evaluate asks its arguments",
    ),
    Fault("chain-rule", "exp' by a thousandth larger", rule("exp", lambda s, y, x: 1.001 * s * y), "g.grad = F'(g)"),
    Fault(
        "expression-graph",
        "gradients are not set to zero",
        lambda patch: patch.setattr(autodiff.Var, "zero_grad", lambda self: None),
        "Op.backward(2): x.grad",
    ),
    Fault(
        "small-network",
        "σ' by a thousandth larger",
        rule("logistic", lambda s, y, x: 1.001 * s * y * (1.0 - y)),
        "E.backward(): ∇_W E",
    ),
    Fault(
        "xor-by-graph",
        "tanh' with the wrong sign",
        rule("tanh", lambda s, y, x: s * (y * y - 1.0)),
        "the cost of every epoch",
    ),
    Fault(
        "matrix-gradients",
        "the left derivative of a matrix product by 1/10,000 larger",
        rule(
            "matmul",
            lambda s, y, a, b: 1.0001 * s @ autodiff.transpose(b),
            lambda s, y, a, b: autodiff.transpose(a) @ s,
        ),
        "∇_A L of A·B",
    ),
)

FAULTS = (*FORWARD_PASS, *B_FUNCTIONS, *RELAXED_IDENTITY, *LECTURE, *NOTES_1, *NOTES_2, *NOTES_3, *NOTES_4)


@pytest.fixture
def without_compiled_programs():
    """A program that was compiled before has no fault, and one that was compiled with it has it for ever."""
    jax.clear_caches()
    yield
    jax.clear_caches()


def marked(fault):
    return pytest.param(fault, id=f"{fault.entry}: {fault.why}", marks=[pytest.mark.slow] if fault.slow else [])


def failing(fault, patch):
    fault.put_in(patch)
    return [check.statement for check in papers.reproduce(fault.entry).checks if not check.passed]


@pytest.mark.parametrize("fault", [marked(fault) for fault in FAULTS if not fault.compiled])
def test_a_fault_fails_its_entry(fault, monkeypatch):
    found = failing(fault, monkeypatch)
    assert any(statement.startswith(fault.statement) for statement in found), found


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:overflow")  # what a fault does to numbers is no defect of the test
@pytest.mark.parametrize("fault", [marked(fault) for fault in FAULTS if fault.compiled])
def test_a_fault_in_a_compiled_program_fails_its_entry(fault, monkeypatch, without_compiled_programs):
    found = failing(fault, monkeypatch)
    assert any(statement.startswith(fault.statement) for statement in found), found


def test_every_entry_of_these_documents_has_a_fault():
    documents = (papers.LECTURE, papers.NOTES)
    entries = {name for name, entry in papers.TABLE.items() if entry.source.startswith(documents)}
    assert entries <= {fault.entry for fault in FAULTS} <= set(papers.TABLE)
