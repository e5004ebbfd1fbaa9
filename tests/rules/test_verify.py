"""What runs say of themselves where a rule is backpropagation: told from a trace alone, or from what was measured."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ascribe import rules
from ascribe.errors import UserError
from ascribe.networks import AbstractLayer, Activation, BatchNorm, Linear, Network, mlp
from ascribe.rules import AbstractRule, Credit, as_batch, backward_sweep, verify
from ascribe.rules.tools.same_computation import numbered
from ascribe.rules.tools.verify import notes

from ..training import tiny

EVERYWHERE = ("backpropagation's own gradients in every layer",)


class Twice(AbstractLayer):
    """Two matrices in one layer: x ↦ x + tanh(x A) B."""

    kind = "twice"
    inner: jax.Array
    outer: jax.Array

    def __init__(self, size, *, key=None):
        self.inner, self.outer = jnp.eye(size), 0.5 * jnp.eye(size)

    def config(self):
        return {"size": self.inner.shape[0]}

    def __call__(self, x, state=None, *, key=None, training=False):
        return x + jnp.tanh(x @ self.inner) @ self.outer, state


class OwnGradient(AbstractRule):
    """Backpropagation by `jax.grad` and in another unit."""

    def __call__(self, network, state, batch, *, key):
        loss_of = lambda network: 3 * batch.loss.values(network(batch.inputs), batch.targets).mean()
        loss, gradients = jax.value_and_grad(loss_of)(network)
        return Credit(loss / 3, jax.tree.map(lambda g: g / 3, gradients), state)


class Negated(AbstractRule):
    def __call__(self, network, state, batch, *, key):
        credit = backward_sweep(network, state, batch, key=key)
        return Credit(credit.loss, jax.tree.map(jnp.negative, credit.gradients), state)


def told(rule, network, curves=None, **options):
    """The notes of a rule on a batch of shapes alone."""
    made = as_batch(network, (np.zeros((4, 2), np.float32), np.zeros(4, int)))
    batch = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), made)
    return notes(rules.get(rule) if isinstance(rule, str) else rule, network, batch, curves or {}, **options)


ON_THE_WAY_BACK = [
    "feedback-alignment",
    "direct-feedback-alignment",
    "sign-symmetry",
    "sign-symmetry-batch-random",
    "sign-symmetry-fixed-random",
    "kolen-pollack",
    "b-function",
]


@pytest.mark.parametrize("name", ON_THE_WAY_BACK)
def test_a_rule_of_the_way_back_is_backpropagation_where_there_is_no_way_back(name):
    assert told(name, mlp([2, 1])) == EVERYWHERE
    assert told(name, mlp([2, 3, 1])) == ()
    assert told(name, mlp([2, 3, 1]), only="linear2") == EVERYWHERE
    assert told(name, mlp([2, 3, 1]), only="linear1") == ()
    above = ("backpropagation's own gradients in twice1/outer, batchnorm1, linear1",) if name == "b-function" else ()
    assert told(name, Network([Twice(2), BatchNorm(2), Linear(2, 1)])) == above


def test_the_layers_that_are_exact_are_named_where_it_is_a_part():
    above_only = rules.BFunction({"tanh1": "softplus"})
    network = mlp([2, 3, 4, 3, 1], activation="tanh")
    assert told(above_only, network) == ("backpropagation's own gradients in linear2, linear3, linear4",)
    assert told(rules.BFunction({"tanh3": "softplus"}), network) == ()
    last = Network([Linear(2, 3), Activation("tanh"), Linear(3, 2), Twice(2)])
    assert told(rules.BFunction(transport={"linear2": "random"}), last) == (
        "backpropagation's own gradients in linear2, twice1/inner, twice1/outer",
        "the error goes back as in backpropagation inside twice1",
    )


def test_a_layer_with_weights_inside_that_a_rule_leaves_alone_is_named():
    network = Network([Linear(2, 3), Activation("tanh"), Twice(3), Linear(3, 1)])
    assert told("feedback-alignment", network) == ()
    assert told("feedback-alignment", network, only="linear2") == EVERYWHERE
    inside = ("the error goes back as in backpropagation inside twice1",)
    assert told(rules.DirectFeedbackAlignment(cuts="macro"), network) == inside
    assert told("gradient-noise", network) == ()
    assert told(OwnGradient(), network) == ()  # it does not go through the sweep: nobody can tell before it is measured
    normalized = Network([Linear(2, 3), BatchNorm(3), Activation("tanh"), Linear(3, 1)])
    assert told("feedback-alignment", normalized) == ()


def test_noise_and_backpropagation_itself_have_no_note():
    for rule in ("backpropagation", "gradient-noise", "perceptron", "finite-differences"):
        assert told(rule, mlp([2, 1])) == ()


def measured(angles, ratio=1.0):
    """Curves of two runs, by layer and in total."""
    found = {}
    for suffix, angle in angles.items():
        found |= {
            f"gradient_angle{suffix}": np.full((2, 3), angle),
            f"gradient_norm_ratio{suffix}": np.full((2, 3), ratio),
        }
    return found


def test_a_rule_in_other_words_is_told_from_the_angle_that_was_measured():
    network = mlp([2, 3, 1])
    assert told(OwnGradient(), network, measured({"": 0.0, "/linear1": 0.0, "/linear2": 1e-5})) == EVERYWHERE
    assert told(OwnGradient(), network, measured({"": 0.0, "/linear1": 0.0, "/linear2": 0.0}, ratio=2.0)) == ()
    assert told(OwnGradient(), network, measured({"": 3.0, "/linear1": 0.0, "/linear2": 4.0})) == (
        "backpropagation's own gradients in linear1",
    )
    later = measured({"": 0.0, "/linear1": 0.0, "/linear2": 0.0})
    for curve in later.values():
        curve[1, 0] = 5.0  # one run began elsewhere
    assert told(OwnGradient(), network, later) == ()


def test_a_gradient_that_points_the_other_way_in_every_epoch_is_told():
    (sentence,) = told(Negated(), mlp([2, 3, 1]), measured({"": 180.0}))
    assert sentence == "its gradient points away from backpropagation's (180 degrees): is the sign wrong?"
    once = measured({"": 100.0})
    once["gradient_angle"][0, 1] = 89.0
    assert told(Negated(), mlp([2, 3, 1]), once) == told(Negated(), mlp([2, 3, 1])) == ()
    lost = measured({"": 100.0})
    lost["gradient_angle"][:, 1:] = np.nan  # both diverged
    assert "(100 degrees)" in told(Negated(), mlp([2, 3, 1]), lost)[0]


def test_a_gradient_of_zero_in_every_epoch_is_told():
    curves = measured({"": 20.0, "/linear2": 0.0}) | measured({"/linear1": np.nan}, ratio=0.0)
    zero = "its gradient is zero in linear1: is it cut off there (stop_gradient)?"
    assert zero in told(OwnGradient(), mlp([2, 3, 1]), curves)
    assert zero not in told(OwnGradient(), mlp([2, 3, 1]), curves, only="linear2")
    curves["gradient_norm_ratio/linear1"][0, 0] = 0.1
    assert zero not in told(OwnGradient(), mlp([2, 3, 1]), curves)


class Detached(AbstractRule):
    """Backpropagation of the sum of the losses, without the first layer."""

    def __call__(self, network, state, batch, *, key):
        credit = backward_sweep(network, state, batch, key=key)
        first = network.synaptic[0]
        gradients = eqx.tree_at(
            lambda tree: tree[first], credit.gradients, replace_fn=lambda g: jax.tree.map(jnp.zeros_like, g)
        )
        return Credit(credit.loss * len(batch.targets), gradients, state)


def test_another_loss_than_the_mean_of_the_batch_is_told():
    ratio = lambda *values: {"train_loss_ratio": np.asarray([values, values])}
    network = mlp([2, 3, 1])
    (sentence,) = told(Negated(), network, ratio(2.0, np.nan, 4.0))
    assert sentence.startswith("the loss that it returns is 3 times the batch's mean: its training loss and loss area do not")
    assert "0.5 times" in told(Negated(), network, ratio(0.25, 0.75))[0]
    for same in (ratio(1.0, 1.001), ratio(0.9, 1.1), ratio(np.nan)):
        assert told(Negated(), network, same) == ()


def test_runs_and_verify_tell_of_a_layer_that_is_cut_off_and_of_a_sum_of_losses():
    runs = tiny.trained(Detached(), diagnostics=True)
    examples = min(max(tiny.BATCH, 64), tiny.TRAIN)  # of the probe
    np.testing.assert_allclose(runs.curves["train_loss_ratio"], examples, rtol=1e-5)
    assert runs.notes[-2:] == (
        "its gradient is zero in linear1: is it cut off there (stop_gradient)?",
        f"the loss that it returns is {examples} times the batch's mean: its training loss and loss area do not compare",
    )
    batch = (np.ones((4, 2), np.float32), np.arange(4) % 2)
    assert str(verify(Detached, tiny.mlp(), batch)).splitlines()[0].endswith("in linear1; its gradient is zero in linear1")
    assert "train_loss_ratio" not in tiny.trained("feedback-alignment", diagnostics=True).curves


class Noisy(AbstractRule):
    """Backpropagation with noise of NumPy's, or of the step's key."""

    keyed: bool = eqx.field(static=True)

    def __call__(self, network, state, batch, *, key):
        credit = backward_sweep(network, state, batch, key=key)
        draw = (lambda shape: jax.random.normal(key, shape)) if self.keyed else np.random.default_rng().standard_normal
        return Credit(credit.loss, jax.tree.map(lambda g: g + draw(g.shape), credit.gradients), state)


def test_numbers_that_are_drawn_while_a_rule_is_traced_are_told():
    (note,) = told(Noisy(False), mlp([2, 3, 1]))
    assert note.startswith("it draws numbers while it is traced, once for all steps")
    assert told(Noisy(True), mlp([2, 3, 1])) == ()


class Gained(Negated):
    gain = 1.0

    def __call__(self, network, state, batch, *, key):
        credit = backward_sweep(network, state, batch, key=key)
        return Credit(credit.loss, jax.tree.map(lambda g: self.gain * g, credit.gradients), state)


def test_a_value_that_was_changed_is_seen(monkeypatch):
    batch = (np.ones((4, 2), np.float32), np.arange(4) % 2)
    assert not verify(Gained, tiny.mlp(), batch)
    monkeypatch.setattr(Gained, "gain", 2.0)
    np.testing.assert_allclose(verify(Gained, tiny.mlp(), batch).norm_ratios["total"], 2.0, rtol=1e-5)


def test_runs_carry_the_note_with_and_without_diagnostics():
    network = mlp([2, 1])
    for diagnostics in (True, False):
        runs = tiny.trained("feedback-alignment", network=network, diagnostics=diagnostics)
        assert runs.notes == EVERYWHERE
    assert tiny.trained(network=network).notes == ()


def test_a_class_is_a_rule_wherever_a_name_is_one():
    network, batch = tiny.mlp(), (np.ones((4, 2), np.float32), np.arange(4) % 2)
    assert verify(Negated, network, batch).differs == verify(Negated(), network, batch).differs
    assert rules.value_and_credit(Negated)(network, None, batch)[0] > 0
    with pytest.raises(UserError, match=r"the rule Noisy cannot be built without options .*: build it, as in Noisy\("):
        verify(Noisy, network, batch)
    assert rules.made(int) is int
    ours, theirs = (tiny.trained(rule) for rule in (Negated, Negated()))
    assert ours.rule == theirs.rule == "Negated"
    np.testing.assert_array_equal(ours.curves["train_loss"], theirs.curves["train_loss"])


def test_verify_takes_a_name():
    pair = np.ones((4, 2), np.float32), np.arange(4) % 2
    network = mlp([2, 3, 1], key=jax.random.key(0))
    assert verify("feedback-al", network, pair).differs == ("linear1",)
    assert str(verify("feedback-al", mlp([2, 1]), pair)).startswith("FeedbackAlignment is backpropagation here")


def test_the_same_computation_has_the_same_number_and_another_one_has_not():
    shape = jax.ShapeDtypeStruct((3,), jnp.float32)
    loop = lambda x, c: jax.lax.scan(lambda carry, one: (carry * c + one, None), 0.0, x)[0]

    def results(x, y):
        with jax.named_scope("here"):
            first = jax.nn.relu(jnp.sin(x)) @ y
        return {
            "same": (first, jax.nn.relu(jnp.sin(x)) @ y),
            "order": (x - y, y - x),
            "constant": (x * 2.0, x * 3.0),
            "array": (x * np.arange(3.0, dtype="f"), x * np.ones(3, "f")),
            "loop": (loop(x, 2.0), loop(x, 2.0)),
            "other loop": (loop(x, 2.0), loop(x, 3.0)),
            "branch": (jax.lax.cond(x[0] > 0, jnp.sin, jnp.cos, x), jax.lax.cond(x[0] > 0, jnp.cos, jnp.sin, x)),
            "draw": (jax.random.normal(jax.random.key(0), (3,)), jax.random.normal(jax.random.key(1), (3,))),
            "same draw": (jax.random.normal(jax.random.key(0), (3,)), jax.random.normal(jax.random.key(0), (3,))),
        }

    found, scopes = numbered(results, shape, shape)
    assert {name for name, (one, other) in found.items() if one == other} == {"same", "loop", "same draw"}
    assert any(scope.split("/")[0] == "here" for scope in scopes)


class Wants(AbstractRule):
    """Wants all 26 examples of the small data at once when it begins."""

    def init(self, network, data, *, key):
        assert data.inputs.shape[0] == tiny.TRAIN
        return jnp.zeros(tiny.TRAIN)

    def __call__(self, network, state, batch, *, key):
        credit = backward_sweep(network, state, batch, key=key)
        return Credit(credit.loss, credit.gradients, state)


def test_a_rule_that_cannot_be_traced_with_a_batch_has_what_was_measured():
    assert told(Wants(), mlp([2, 1])) == ()
    assert told(Wants(), mlp([2, 1]), measured({"": 0.0, "/linear1": 0.0})) == EVERYWHERE


class Boolean(AbstractRule):
    def __call__(self, network, state, batch, *, key):
        credit = backward_sweep(network, state, batch, key=key)
        return Credit(credit.loss, jax.tree.map(lambda g: g > 0, credit.gradients), state)


def test_verify_refuses_what_training_refuses():
    pair = np.ones((4, 2), np.float32), np.arange(4) % 2
    with pytest.raises(UserError, match=r"weight of Boolean is bool of the shape \(1, 2\); its weight is of the type"):
        verify(Boolean(), mlp([2, 1]), pair)


def test_verify_refuses_a_network_that_training_refuses():
    """Without data that it could be adapted to."""
    network, batch = Network([Twice(2), Linear(2, 1)]), (np.ones((4, 2), np.float32), np.arange(4) % 2)
    for name in ("target-propagation", "target-propagation-direct", "target-propagation-fixed"):
        with pytest.raises(UserError, match="inverses of dense layers in a row, and twice1 is none"):
            verify(name, network, batch)


def test_a_model_of_another_library_is_taken_as_it_is():
    model = eqx.nn.MLP(2, 1, 4, 2, key=jax.random.key(0))
    batch = (np.random.default_rng(0).normal(size=(8, 2)).astype("float32"), np.arange(8) % 2)
    assert verify("feedback-alignment", model, batch).differs == ("layers/0", "layers/1")
    assert not verify("backpropagation", model, batch)
    assert rules.check_gradients("backpropagation", model, batch)
    with pytest.raises(UserError, match=r"got '2x4': a text becomes one by ascribe.networks.build"):
        verify("feedback-alignment", "2x4", batch)
