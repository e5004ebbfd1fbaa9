"""Whatever a hook of a rule returns in place of what it should: one sentence with its name and the rule's, and no training."""

import dataclasses
import inspect
import json
import re
import signal

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from ascribe import networks, rules, training
from ascribe.errors import UserError
from ascribe.rules import AbstractRule, Backpropagation, Credit, Terms, Trainables, backward_sweep, hooks
from ascribe.training import Driver, Specification, loop
from ascribe.training.driver import _State
from ascribe.training.keeping import Nothing

from ..training import tiny

pytestmark = pytest.mark.usefixtures("as_installed")


class Right(AbstractRule):
    """Backpropagation, with a state."""

    def init(self, network, data, *, key):
        return {"steps": jnp.asarray(0)}

    def __call__(self, trainables, state, batch, *, key):
        credit = Backpropagation()(rules.network_of(trainables), None, batch, key=key)
        return dataclasses.replace(credit, state=state)


def rehearsed(rule, **changes):
    settings, run, data = tiny.looped(tiny.mlp(), tiny.data(), Right(), **changes)
    run = dataclasses.replace(run, rule=rule)
    return eqx.filter_eval_shape(lambda *given: loop.rehearse(settings, *given), tiny.mlp(), run, data)


def wrong(**hooks):
    """A rule with these hooks; a hook that is no function returns what is given."""
    made = {name: hook if inspect.isfunction(hook) else lambda self, *_, hook=hook, **__: hook for name, hook in hooks.items()}
    return type("Wrong", (Right,), made | {"__module__": __name__})()


def with_credit(change):
    """A rule whose credit has other parts: `change(credit)` gives them by name."""

    def call(self, network, state, batch, *, key):
        credit = Right.__call__(self, network, state, batch, key=key)
        return dataclasses.replace(credit, **change(credit))

    return wrong(__call__=call)


def with_gradients(change):
    return with_credit(lambda credit: {"gradients": jax.tree.map(change, credit.gradients)})


def with_terms(**terms):
    def call(self, network, state, batch, *, key):
        return backward_sweep(network, state, batch, Terms(**terms), key=key)

    return wrong(__call__=call)


class Opaque:
    pass


OTHER = networks.mlp([2, 5, 1], activation="tanh")
LOSS = "the loss that Wrong returns is one real number; got "
RULES = {
    "no credit": (wrong(__call__=None), "a rule returns a Credit(loss, gradients, state); Wrong returned None"),
    "loss None": (with_credit(lambda credit: {"loss": None}), LOSS + "None"),
    "loss a text": (with_credit(lambda credit: {"loss": "low"}), LOSS + "the text 'low'"),
    "loss a vector": (with_credit(lambda credit: {"loss": jnp.ones(3)}), LOSS + "float64 of the shape (3,)"),
    "loss complex": (with_credit(lambda credit: {"loss": credit.loss.astype(complex)}), LOSS + "complex128"),
    "integers": (
        with_gradients(lambda g: g.astype(int)),
        "of Wrong is int64 of the shape (3, 2); its weight is of the",
    ),
    "complex": (with_gradients(lambda g: g.astype(complex)), "of Wrong is complex128 of the shape (3, 2); its weight"),
    "another type": (with_gradients(lambda g: g.astype(jnp.float32)), "is float32 of the shape (3, 2); its weight"),
    "Python numbers": (with_gradients(lambda g: 0.0), "of Wrong has the shape (); its weight has (3, 2)"),
    "texts": (with_gradients(lambda g: "up"), "of Wrong has the shape (); its weight has (3, 2)"),
    "another shape": (with_gradients(lambda g: g[:1]), "of Wrong has the shape (1, 2); its weight has (3, 2)"),
    "no gradients": (
        with_credit(lambda credit: {"gradients": None}),
        "the gradients of Wrong have another structure than what it trains (a Network); got None: return one number for each",
    ),
    "a gradient left out": (
        with_credit(lambda credit: {"gradients": eqx.tree_at(lambda n: n["linear2"].bias, credit.gradients, None)}),
        "than what it trains (a Network); got nothing for linear2.bias: return one number",
    ),
    "a shape": (
        with_credit(lambda credit: {"gradients": eqx.tree_at(lambda n: n["linear2"].bias, credit.gradients, jnp.zeros(2))}),
        "the gradient linear2.bias of Wrong has the shape (2,); its weight has (1,)",
    ),
    "no state": (
        with_credit(lambda credit: {"state": None}),
        "the state that Wrong returns is not of the kind that its",
    ),
    "network_state": (
        with_credit(lambda credit: {"network_state": 1.0}),
        "the network_state that Wrong returns is not",
    ),
    "init a number": (
        wrong(init=5.0),
        "`init` of the rule Wrong returns arrays, alone or in dicts, lists and modules; got the",
    ),
    "init a text": (
        wrong(init={"kind": "random"}),
        "`init` of the rule Wrong returns arrays, alone or in dicts, lists and",
    ),
    "init an object": (
        wrong(init=Opaque()),
        "`init` of the rule Wrong returns arrays, alone or in dicts, lists and modules; got an",
    ),
    "trainables None": (
        wrong(trainables=None),
        "`trainables` of the rule Wrong returns the network, or Trainables(network",
    ),
    "trainables others": (
        wrong(trainables=OTHER),
        "`trainables` of the rule Wrong returns the network that it was given with",
    ),
    "trainables texts": (
        wrong(trainables=lambda self, network, data, *, key: Trainables(network, feedback={"linear2": "random"})),
        "`trainables` of the rule Wrong returns floating-point arrays, alone or in dicts",
    ),
    "auxiliaries": (
        wrong(trainables=lambda self, network, data, *, key: Trainables(network, auxiliary=jnp.ones((1, 3), jnp.float32))),
        "`trainables` of the rule Wrong returns auxiliaries of the shape (layers, examples, …), here (…, 26, …); it returned "
        "float32 of the shape (1, 3): weights of its own belong in `feedback`.",
    ),
    "init without a key": (
        wrong(init=lambda self, network, data: None),
        "`init` of the rule Wrong is written def init(self, network, data, *, key); with these, got an unexpected keyword",
    ),
    "after_update None": (
        wrong(after_update=None),
        "`after_update` of the rule Wrong returns the pair (trainables, state)",
    ),
    "after_update of integers": (
        wrong(after_update=lambda self, network, state: (jax.tree.map(lambda w: w.astype(int), network), state)),
        "`after_update` of the rule Wrong returns the trainables that it was given with other numbers in it",
    ),
    "after_update without state": (
        wrong(after_update=lambda self, network, state: (network, None)),
        "`after_update` of the rule Wrong returns the state that it was given with other numbers in it; it returned another",
    ),
    "after_epoch None": (
        wrong(after_epoch=None),
        "`after_epoch` of the rule Wrong returns the pair (trainables, state)",
    ),
    "after_epoch of others": (
        wrong(after_epoch=lambda self, network, state, data, *, epoch: (OTHER, state)),
        "`after_epoch` of the rule Wrong returns the trainables that it was given with other numbers in it",
    ),
    "finish None": (
        wrong(finish=None),
        "`finish` of the rule Wrong returns the network that predicts; it returned None",
    ),
    "finish of others": (
        wrong(finish=OTHER),
        "`finish` of the rule Wrong returns the network that was trained with other",
    ),
    "derivative": (
        with_terms(derivative={"linear1": lambda z: z[:1]}),
        "the derivative g(z) of layer tanh1 has the shape of what it is taken at, (8, 3), or is one number; got the shape",
    ),
    "derivative None": (with_terms(derivative={"tanh1": lambda z: None}), "or is one number; got NoneType"),
    "cost gradient": (with_terms(cost_gradient=lambda y, t: (y - t)[:1]), "the cost gradient has the shape of what it"),
    "output derivative": (with_terms(output_derivative=lambda z: z[:1]), "the output derivative has the shape of what"),
    "error": (with_terms(error={"linear1": lambda delta: delta[:, :1]}), "the error of layer linear1 has the shape of"),
}
MEASURED = {
    "metric of no letters": (wrong(metrics={"\a": 1.0}), "a metric is one number under a name of its own; Wrong gives '"),
    "metrics a text": (wrong(metrics="fast"), "`metrics` returns a dict of names to numbers; that of Wrong returned a str"),
    "metric a text": (wrong(metrics={"speed": "fast"}), "a metric is one number under a name of its own; Wrong gives 'speed'"),
    "metric None": (wrong(metrics={"speed": None}), "a metric is one number under a name of its own; Wrong gives 'speed'"),
    "metric without a name": (wrong(metrics={3: 1.0}), "a metric is one number under a name of its own; Wrong gives 3"),
    "feedback None": (wrong(feedback=None), "`feedback` of the rule Wrong returns a dict of layers' names to"),
    "feedback nowhere": (wrong(feedback={"linear9": jnp.ones(3)}), "got 'linear9': the layers with weights are linear1"),
    "feedback small": (wrong(feedback={"linear2": jnp.ones(3)}), "`feedback` of the rule Wrong returns weights in the shape"),
}  # fmt: skip


@pytest.mark.parametrize(("rule", "sentence"), RULES.values(), ids=RULES)
def test_what_a_hook_may_not_return_is_refused_before_anything_is_compiled(rule, sentence):
    with pytest.raises(UserError, match=re.escape(sentence)):
        rehearsed(rule)


@pytest.mark.parametrize(("rule", "sentence"), MEASURED.values(), ids=MEASURED)
def test_what_is_measured_may_not_be_anything_else(rule, sentence):
    with pytest.raises(UserError, match=re.escape(sentence)):
        rehearsed(rule, diagnostics=True)


def test_a_rule_is_looked_at_when_an_experiment_is_made():
    with pytest.raises(UserError, match="`finish` of the rule Wrong returns the network that predicts"):
        tiny.experiment(tiny.mlp(), tiny.data(), wrong(finish=None), 2)


class Memory(Nothing):
    """A keeper of one checkpoint."""

    keeps = True

    def save(self, key, checkpoint):
        self.kept = checkpoint

    def checkpoint(self, key):
        return self.kept


def test_a_random_key_in_a_state_is_kept_and_restored():
    experiment = tiny.experiment(tiny.mlp(), tiny.data(), Right(), 2)
    one = _State(Driver(experiment, keeper=Memory()), [Specification(0, 0.1), Specification(1, 0.1)], "training")
    states = {"key": jr.split(jr.key(3), 2), "number": jnp.arange(2.0)}
    one.save(1, states, 0.0)
    _, restored, *_ = one.restored(jax.tree.map(lambda leaf: leaf[::-1], states))
    assert restored["key"].dtype == states["key"].dtype
    np.testing.assert_array_equal(jr.key_data(restored["key"]), jr.key_data(states["key"]))
    np.testing.assert_array_equal(restored["number"], states["number"])


def numbers(self, network, state, batch, *, key):
    credit = Backpropagation()(network, None, batch, key=key)
    return Credit(0.5, jax.tree.map(lambda g: g * jnp.nan, credit.gradients), state)


RIGHT = {
    "NaN, and a loss from Python": wrong(__call__=numbers),
    "one number for a derivative": with_terms(derivative={"linear1": lambda z: 0.5}),
    "a key and a NumPy array as state": wrong(init=lambda *_, key, **__: {"key": key, "array": np.ones(3)}),
    "a list for a pair": wrong(after_update=lambda self, network, state: [network, state]),
    "metrics of every kind of number": wrong(metrics={"a": 1, "b": 0.5, "c": jnp.asarray(2), "d": np.float32(3)}),
    "feedback in the weight's shape": wrong(feedback={"linear2": jnp.ones((1, 3))}),
}


@pytest.mark.parametrize("rule", RIGHT.values(), ids=RIGHT)
def test_what_a_hook_may_return_is_taken(rule):
    assert rehearsed(rule, diagnostics=True).curves["train_loss"].values.shape == (tiny.EPOCHS,)


ATTRIBUTES = {
    "tasks a number": ({"tasks": 5}, "`tasks` of the rule Wrong is a tuple of binary, classification, regression, as in"),
    "tasks a text": ({"tasks": "binary"}, "`tasks` of the rule Wrong is a tuple of"),
    "tasks of another kind": ({"tasks": ("binray",)}, "`tasks` of the rule Wrong is a tuple of"),
    "forced a text": ({"forced": "sgd"}, "`forced` of the rule Wrong is a dict"),
    "forced rate": ({"forced": {"learning_rate": "fast"}}, "the rule Wrong forces a positive `learning_rate`"),
    "forced batch": ({"forced": {"batch_size": 0.5}}, "the rule Wrong forces a positive `learning_rate`"),
    "forced pair": ({"forced": {"optimizer": []}}, "an optimizer with a rate of its own is a pair"),
    "forced factory": ({"forced": {"optimizer": lambda rate: 5}}, "returns an Optax transformation, as optax.adam does; got"),
    "forced optimizer": ({"forced": {"optimizer": 5}}, "unknown optimizer 5"),
    "encoding None": ({"encoding": lambda self, data: None}, "`encoding` of the rule Wrong returns a tuple of texts"),
    "encoding a text": ({"encoding": lambda self, data: "unit-interval"}, "`encoding` of the rule Wrong returns a tuple of"),
    "encoding unknown": ({"encoding": lambda self, data: ("upside-down",)}, "upside-down"),
    "adapt a number": ({"adapt": lambda self, network, data: 5}, "`adapt` of the rule Wrong returns a Network; it returned"),
}  # fmt: skip


@pytest.mark.parametrize(("attributes", "sentence"), ATTRIBUTES.values(), ids=ATTRIBUTES)
def test_what_a_rule_says_of_itself_is_checked_first(attributes, sentence):
    rule = type("Wrong", (Right,), attributes)()
    with pytest.raises(UserError, match=re.escape(sentence)):
        training.train(tiny.mlp(), tiny.data(), rule, **tiny.WORLD)


@pytest.mark.parametrize(
    ("notes", "sentence"),
    [
        (
            lambda self, curves: 5,
            "no notes of its own: `notes` of the rule Wrong returns a tuple of texts; it returned the",
        ),
        (
            lambda self, curves: 1 // 0,
            r"no notes of its own: the rule wrong failed in .*test_hooks.py, line \d+: ZeroDiv",
        ),
    ],
)
def test_notes_that_fail_cost_no_results(notes, sentence):
    (note,) = hooks.notes(wrong(notes=notes), "wrong", {})
    assert re.match(sentence, note)


def blamed(hook):
    return hooks.adapt(wrong(adapt=hook), "wrong", tiny.mlp(), tiny.data())


class Remembering(AbstractRule):
    """Momentum in a dict beside the rule, as in a loop of one's own."""

    kept = {}  # noqa: RUF012 - the mistake

    def __call__(self, network, state, batch, *, key):
        credit = backward_sweep(network, state, batch, key=key)
        self.kept["sum"] = jax.tree.map(jnp.add, credit.gradients, self.kept.get("sum", credit.gradients))
        return Credit(credit.loss, self.kept["sum"], state)


def test_an_array_of_one_step_that_is_kept_beside_the_state_is_told():
    with pytest.raises(UserError, match=r"the rule Remembering failed in .*UnexpectedTracerError: .*: hand it on in the state"):
        tiny.trained(Remembering())


def test_leaving_python_is_an_error_of_the_rule():
    def leave(self, network, data):
        raise SystemExit(0)

    def interrupt(self, network, data):
        raise KeyboardInterrupt

    with pytest.raises(UserError, match=r"the rule wrong failed in .*, line \d+: it leaves Python \(SystemExit 0\)"):
        blamed(leave)
    with pytest.raises(UserError, match=r"the rule wrong failed in .*, line \d+: KeyboardInterrupt\."):
        blamed(interrupt)


@pytest.mark.parametrize("own", [False, True], ids=["Python's handler", "a handler of ours"])
def test_a_real_interruption_goes_through(own):
    def slow(self, network, data):
        signal.raise_signal(signal.SIGINT)
        return network

    elsewhere = {}
    exec("def answer(number, frame):\n    raise KeyboardInterrupt\n", elsewhere)
    before = signal.signal(signal.SIGINT, elsewhere["answer"] if own else signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            blamed(slow)
    finally:
        signal.signal(signal.SIGINT, before)


FILES = {
    "leaves at once": ("import sys\nsys.exit(0)\n", r"cannot be run: it leaves Python \(SystemExit 0\).* \(line 2\)"),
    "interrupts at once": ("raise KeyboardInterrupt\n", r"cannot be run: KeyboardInterrupt \(line 1\)"),
    "has no file": ("def __init__(self):\n        raise OSError('no such matrix')", r"cannot be built .*OSError: no such.*4"),
    "leaves when built": ("def __init__(self):\n        raise SystemExit", r"cannot be built .*it leaves Python"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "sentence"), FILES.values(), ids=FILES)
def test_a_file_that_fails_is_refused_with_its_line(text, sentence, tmp_path):
    path = tmp_path / "my_rule.py"
    method = f"from ascribe.rules import Backpropagation\nclass Mine(Backpropagation):\n    {text}\n"
    path.write_text(method if text.startswith("def") else text)
    with pytest.raises(UserError, match=sentence):
        rules.get(f"{path}:Mine")


def test_a_hook_that_is_misspelled_is_named():
    class Wrong(Backpropagation):
        def after_updat(self, network, state):
            return network, state

    class Fine(Backpropagation):
        def update(self, network):
            return network

    with pytest.raises(
        UserError, match="the rule Wrong has a method after_updat, which nothing calls: the hook is after_update;"
    ):
        hooks.check_attributes(Wrong(), "Wrong")
    hooks.check_attributes(Fine(), "Fine")


def test_a_setting_that_is_no_number_of_json_s_is_told_as_text():
    class Odd(Right):
        low: float = -np.inf
        rows: jax.Array = eqx.field(default_factory=lambda: jnp.asarray([1.0, np.nan]))

    told = rules.settings(Odd())
    assert (told["low"], told["rows"]) == ("-inf", [1.0, "nan"])
    json.dumps(told, allow_nan=False)


@pytest.mark.parametrize("loss", [1, 0.5, np.float64(0.5)])
def test_a_loss_that_is_a_plain_number_is_taken_as_one_of_the_network_s_kind(loss):
    rule, network, rows = with_credit(lambda credit: {"loss": loss}), tiny.mlp(), tiny.data().train
    batch = rules.as_batch(network, (rows.inputs[:4], rows.targets[:4]))
    batch = dataclasses.replace(batch, network_state=network.initial_state())
    state = rule.init(network, batch, key=jr.key(0))
    credit = jax.eval_shape(lambda: hooks.credit(rule, network, state, batch, key=jr.key(0)))
    assert credit.loss.shape == () and credit.loss.dtype == network.dtype
