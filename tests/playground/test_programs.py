"""What a page knows of rules: the control, a user's own rule, what can be put back, and what is refused."""

import contextlib
import json

import jax
import jax.numpy as jnp
import jaxtyping
import pytest

from ascribe import rules
from ascribe.errors import UserError
from ascribe.playground import programs
from ascribe.playground.alike import alike
from ascribe.playground.emitter import emit
from ascribe.playground.forms import struct, symbols

from .node import needs_node, node

OWN = """
import jax
import jax.numpy as jnp

from ascribe.rules import AbstractRule, Credit, backward_sweep


class Halved(AbstractRule):
    "Half of backpropagation's gradient; it looks at the size of its batch."

    def __call__(self, network, state, batch, *, key):
        found = backward_sweep(network, state, batch, key=key)
        count = jnp.zeros(len(batch.inputs)).shape[0]
        return Credit(found.loss, jax.tree.map(lambda one: one * (count / (2 * count)), found.gradients), state)


class OfSquares(AbstractRule):
    "Backpropagation, but the transposed gradient of weights that are as many forth as back."

    def __call__(self, network, state, batch, *, key):
        found = backward_sweep(network, state, batch, key=key)
        turned = lambda one: one.T if one.ndim == 2 and one.shape[0] == one.shape[1] else one
        return Credit(found.loss, jax.tree.map(turned, found.gradients), state)
"""
OWN_RULES = {"halved": "Halved", "of squares": "OfSquares"}
SCRIPT = """
const job = JSON.parse(require("fs").readFileSync(process.argv[3]));
const machine = require(process.argv[2]).load(job.page);
const random = (n, f) => Float32Array.from({ length: n }, (_, k) => f(Math.sin(12.9898 * (k + 1)) * 43758.5453 % 1));
const x = random(32, (u) => 4 * u - 2), y = Float32Array.from({ length: 16 }, (_, k) => k % 2), found = {};
const make = (rule, more = {}) =>
  machine.learner({ rule, architecture: "2-4-1", activation: "tanh", optimizer: "sgd", seed: 1, data: { x, y }, ...more });
const weights = (learner) => learner.weights().map(({ weights }) => Array.from(weights));
for (const rule of Object.keys(job.page.rules)) {
  const learner = make(rule), begin = weights(learner), losses = [];
  for (let k = 0; k < 3; k++) losses.push(learner.step(x, y, 0.5));
  const saved = learner.state(), after = weights(learner);
  learner.step(x, y, 0.5);
  learner.restore(saved);
  const read = learner.read(x, y);
  const layers = read.layers.map(({ angle, normRatio, credit, backpropagation, activity }) => ({
    angle, normRatio, sizes: [credit.length, backpropagation.length, activity ? activity.length : 0],
  }));
  found[rule] = { begin, after, again: weights(learner), losses, layers, loss: read.loss, told: learner.evaluate(x, y).loss };
}
const learner = make("feedback-alignment"), [first] = learner.feedback();
learner.setFeedback(first.name, new Float32Array(first.values.length).fill(7));
found.set = Array.from(learner.feedback()[0].values);
found.scaled = make("feedback-alignment", { hyperparameters: { scale: 2 } }).feedback().map(({ values }) => Array.from(values));
found.plain = make("feedback-alignment").feedback().map(({ values }) => Array.from(values));
try { make("halved").step(random(6, (u) => u), new Float32Array(3), 0.1); } catch (error) { found.refused = error.message; }
found.three = make("halved", { inputs: 3, data: null }).weights().map(({ shape }) => shape);
try { make("of squares", { inputs: 3 }); } catch (error) { found.inputs = error.message; }
found.wide = make("feedback-alignment", { inputs: 5, data: null, architecture: "2-9-7-1" }).weights().map(({ shape }) => shape);
const count = () => machine.instances.reduce((sum, one) => sum + one.size, 0), before = count();
for (let k = 0; k < 50; k++) learner.step(x, y, 0.1);
found.instances = [before, count()];
for (let k = 1; k < 60; k++) learner.predict(new Float32Array(2 * k));
found.most = Math.max(...machine.instances.map((one) => one.size));
require("fs").writeFileSync(process.argv[4], JSON.stringify(found));
"""


@contextlib.contextmanager
def unchecked():
    """Without the checks of annotations, which know no symbols for sizes."""
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        yield
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    file = tmp_path_factory.mktemp("rules") / "own.py"
    file.write_text(OWN)
    built = {name: rules.get(name) for name in ("backpropagation", "feedback-alignment")}
    with unchecked():
        own = {name: rules.get(f"{file}:{kind}") for name, kind in OWN_RULES.items()}
        return programs.page_data({**built, **own}, ["2-4-1", "2-9-1", "2-4-4-1"], ["tanh"], ["sgd"])


@pytest.fixture(scope="module")
def found(page):
    return node(SCRIPT, {"page": page})


@needs_node
def test_every_rule_starts_from_the_same_weights(found):
    starts = [found[rule]["begin"] for rule in ("backpropagation", "feedback-alignment", "halved", "frozen")]
    assert all(one == starts[0] for one in starts)


@needs_node
def test_the_control_learns_in_its_last_layer_alone(found):
    begin, after = found["frozen"]["begin"], found["frozen"]["after"]
    assert after[0] == begin[0]
    assert after[1] != begin[1]
    assert found["frozen"]["losses"][-1] < found["frozen"]["losses"][0]


@needs_node
def test_a_rule_of_a_file(page, found):
    assert page["rules"]["halved"]["batches"] == [1, 8, 16, 32, 64]
    assert page["rules"]["backpropagation"]["batches"] is None
    for layer in found["halved"]["layers"]:
        assert abs(layer["angle"]) < 0.1
        assert abs(layer["normRatio"] - 0.5) < 1e-6
    assert found["refused"] == "halved takes batches of 1, 8, 16, 32, 64"
    assert found["three"] == [[4, 3], [1, 4]]
    assert found["inputs"] == "of squares looks at the number of its inputs, and was compiled for 2."


def test_a_rule_that_looks_for_square_weights_has_programs_for_two_inputs(page):
    """Those of any number of inputs would not know that there may be as many as units."""
    inputs = lambda rule: {place: one["inputs"] for place, one in page["rules"][rule]["forms"]["tanh"].items()}
    assert inputs("halved") == {"2-4-1": None, "2-9-1": None, "2-4-4-1": None}
    assert inputs("of squares") == {"2-4-1": 2, "2-9-1": None, "2-4-4-1": 2}


@pytest.mark.parametrize(
    ("function", "is_alike"),
    [
        (lambda x: x / x.shape[1], True),
        (lambda x: jnp.tanh(x).sum(axis=1) * jnp.sqrt(1 / x.shape[1]), True),
        (lambda x: jax.lax.scan(lambda c, row: (c + row, c), x.sum(axis=0), x)[1], True),
        (lambda x: x * (3 if x.shape[1] == 2 else 1), False),
        (lambda x: jnp.tanh(x) if x.shape[1] == 2 else x, False),
        (lambda x: jax.lax.scan(lambda c, row: (c + row, c if x.shape[1] == 2 else row), x.sum(axis=0), x)[1], False),
    ],
)
def test_a_program_for_any_number_of_inputs_beside_that_for_two(function, is_alike):
    batch, _, inputs, *_ = symbols()
    with jax.enable_x64(False), jax.numpy_dtype_promotion("standard"):
        of_any, of_two = (emit(function, struct(batch, one))[0] for one in (inputs, 2))
    assert alike(of_any, of_two, {"b": 101, "n": 2}) is is_alike


@needs_node
def test_the_programs_of_a_rule_are_for_all_widths_and_inputs(page, found):
    """The page names no 2-9-7-1."""
    assert found["wide"] == [[9, 5], [7, 9], [1, 7]]
    assert list(page["rules"]["feedback-alignment"]["forms"]["tanh"]) == ["1", "2"]
    assert list(page["rules"]["halved"]["forms"]["tanh"]) == ["2-4-1", "2-9-1", "2-4-4-1"]


@needs_node
def test_a_state_can_be_put_back(found):
    for rule in ("backpropagation", "feedback-alignment", "halved", "frozen"):
        assert found[rule]["again"] == found[rule]["after"]
        assert abs(found[rule]["loss"] - found[rule]["told"]) < 1e-7


@needs_node
def test_feedback_weights_and_numbers_of_a_rule_can_be_set(found):
    assert set(found["set"]) == {7}
    assert found["scaled"] == [[2 * one for one in values] for values in found["plain"]]


@needs_node
def test_instances_are_few(found):
    before, after = found["instances"]
    assert after == before
    assert found["most"] == 24


def test_feedback_is_named_by_its_layer_and_a_pocket_is_none():
    built = {name: rules.get(name) for name in ("perceptron", "direct-kolen-pollack")}
    with unchecked():
        found = programs.page_data(built, ["2-4-4-1"], ["tanh"], ["sgd"])["rules"]
    names = lambda rule: [one["name"] for one in found[rule]["forms"]["tanh"]["2"]["layout"]["feedback"]]
    assert names("perceptron") == []
    assert names("direct-kolen-pollack") == ["linear2", "linear3"]


def test_the_data_is_the_same_every_time_and_plain(page):
    assert json.loads(json.dumps(page, allow_nan=False)) == page
    assert page["rules"]["frozen"]["control"]


def test_what_a_page_cannot_have_is_refused():
    with pytest.raises(UserError, match="forward-pass-one-versus-rest"):
        programs.page_data(
            {"forward-pass-one-versus-rest": rules.get("forward-pass-one-versus-rest")}, ["2-4-1"], ["tanh"], ["sgd"]
        )
