"""Terms inside layers that cannot be: each is refused in one sentence. (That they do what they say: tests/limits.)"""

import re

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from ascribe.errors import UserError
from ascribe.networks import Activation, Linear, Network, Residual, from_function
from ascribe.rules import BFunction, DirectFeedbackAlignment, FeedbackAlignment, Terms, backward_sweep
from ascribe.rules.naming import activation_of, hidden_activations, matched
from ascribe.training.freezing import check_layer, one_layer

from .. import models
from ..cases import assert_identical

ANYTHING = jnp.ones((3, 2))
HIDDEN = jnp.ones((12, 4))


def swept(name, **terms):
    """A trace of a sweep with these terms."""
    network, batch = models.network_of(name), models.batch_of(name)
    return jax.eval_shape(lambda: backward_sweep(network, None, batch, Terms(**terms), key=jr.key(0)).gradients)


REFUSED = [
    (
        "gru",
        {"feedback": {"hiden*": HIDDEN}},
        "the pattern 'hiden*' matches none of input, hidden, head: is hidden meant?",
    ),
    ("gru", {"error": {"zzz*": abs}}, "the pattern 'zzz*' matches none of input, hidden, head."),
    (
        "gru",
        {"feedback": {"hiden": HIDDEN}},
        "no layer 'hiden': its layers are block1, with the sites input, hidden, head.",
    ),
    ("gru", {"direct": {"nothing": ANYTHING}}, "this network has no layer 'nothing'"),
    ("gru", {"feedback": {"hidden": ANYTHING}}, "feedback has the weight's own shape (12, 4); got (3, 2)."),
    ("gru", {"feedback": {"hidden": [[1.0]]}}, "feedback has the weight's own shape (12, 4); got list."),
    ("gru", {"feedback": {"input": jnp.ones((12, 2))}}, "no error passes below the site input: it takes no feedback."),
    ("gru", {"direct": {"input": ANYTHING}}, "no error passes below the site input: it takes no feedback."),
    ("gru", {"direct": {"hidden": ANYTHING}}, "direct feedback to layer hidden has the shape (3, 4); got (3, 2)."),
    (
        "gru",
        {"direct": {"head/input": ANYTHING}},
        "direct feedback to layer head/input has the shape (3, 4); got (3, 2).",
    ),
    (
        "gru",
        {"derivative": {"hidden/tanh": lambda z: jnp.ones(2)}},
        "the derivative g(z) of hidden/tanh has the shape of what it is taken at, (5, 4), or is one number; got the shape (2,)",
    ),
    ("gru", {"derivative": {"hidden/tanh": lambda z: "z"}}, "or is one number; got str."),
    (
        "gru",
        {"derivative": {"hidden": jnp.ones_like}},
        "several activations follow the site hidden: name one of hidden/logistic, hidden/logistic@2, hidden/tanh.",
    ),
    ("gru", {"derivative": {"head": jnp.ones_like}}, "no activation follows the site head: its derivative"),
    (
        "gru",
        {"error": {"hidden": lambda delta: delta[:1]}},
        "the error of the site hidden has the shape of what it is taken at, (5, 12), or is one number; got the shape (1, 12)",
    ),
    (
        "branching",
        {"feedback": {"yes": HIDDEN}},
        "the site yes is inside lax.cond, lax.while_loop or a custom_vjp, where",
    ),
    ("branching", {"error": {"no": abs}}, "the site no is inside lax.cond, lax.while_loop or a custom_vjp, where"),
]


@pytest.mark.usefixtures("as_installed")
@pytest.mark.parametrize(("name", "terms", "sentence"), REFUSED)
def test_a_term_that_cannot_be_is_refused(name, terms, sentence):
    with pytest.raises(UserError, match=re.escape(sentence)) as told:
        swept(name, **terms)
    assert "\n" not in str(told.value)


def mapped():
    """A network whose examples are gone through one by one inside a layer, so that no value there has an axis of them."""
    apply = lambda p, x: jax.lax.map(lambda one: jnp.tanh(one @ p["inner"]), x) @ p["head"]
    layer = from_function(apply, models.drawn(inner=(3, 4), head=(4, 3)))
    return Network([Linear(3, 3, key=jr.key(0)), layer])


def test_no_error_can_be_brought_to_a_site_without_an_axis_of_examples():
    batch = models.batch_of("low_rank")
    batch = type(batch)(batch.inputs[:, :3], batch.targets, batch.loss)
    sentence = "the signal of the site block1/inner has no axis of examples, so that no error can be brought there directly"
    with pytest.raises(UserError, match=sentence + ": use cuts='macro', or another rule"):
        jax.eval_shape(lambda: DirectFeedbackAlignment().init(mapped(), batch, key=jr.key(0)))
    with pytest.raises(UserError, match=sentence):
        backward_sweep(mapped(), None, batch, Terms(direct={"block1/inner": jnp.ones((3, 3))}))
    macro = jax.eval_shape(lambda: DirectFeedbackAlignment(cuts="macro").init(mapped(), batch, key=jr.key(0)))
    assert {name: one.shape for name, one in macro.items()} == {"block1": (3, 3), "block1/head/input": (3, 4)}


def test_what_is_inside_is_asked_for_after_it_was_looked_for():
    network, batch = Network(models.layers_of("gru")), models.batch_of("gru")
    for ask in (lambda: network.transported, lambda: network.outputs):
        with pytest.raises(UserError, match=r"what the layer block1 holds inside .* take network.located\(input_shape\)"):
            ask()
    with pytest.raises(UserError, match=r"what the layer block1 holds inside"):
        FeedbackAlignment().init(network, batch, key=jr.key(0))
    with pytest.raises(UserError, match=r"layer block1 does not accept examples of the shape \(3,\): build it for them"):
        network.located((3,))
    with pytest.raises(UserError, match="no error passes through layer input: feedback belongs to hidden, head"):
        BFunction(transport={"input": "random"}).init(network.located((12, 2)), batch, key=jr.key(0))


def test_a_name_that_is_written_out_comes_before_a_pattern():
    found = matched({"*/up": 1, "a/up": 2, "b/*": 3}, ("a/up", "b/up", "b/down"))
    assert found == {"a/up": 2, "b/up": 3, "b/down": 3}


def test_an_activation_is_called_by_its_site_where_it_is_the_only_one():
    network = models.network_of("mixer")
    assert activation_of(network, "up") == activation_of(network, "up/silu") == "up/silu"
    assert activation_of(network, "tokens_up") == "tokens_up/gelu"


def test_the_output_s_activation_is_no_hidden_one_wherever_it_is():
    apply = lambda p, x: jax.nn.sigmoid(jnp.tanh(x @ p["first"]) @ p["second"])
    layer = from_function(apply, models.drawn(first=(3, 4), second=(4, 3)))
    last, below = Network([layer]).located((3,)), Network([layer, Linear(3, 2)]).located((3,))
    assert hidden_activations(last) == ("first/tanh",)
    assert hidden_activations(below) == ("block1/first/tanh", "block1/second/logistic")


def test_one_site_can_be_trained_alone():
    old = models.network_of("gru")
    new = jax.tree.map(lambda leaf: leaf + 1, old)
    after = one_layer(check_layer("only", old, "hidden"), new, old)
    changed = [name for name in old.synaptic if np.any(after[name].weight != old[name].weight)]
    assert changed == ["hidden"]
    assert_identical(after["hidden"].weight, new["hidden"].weight)
    for name in ("block1", "hiden", 3):
        with pytest.raises(UserError, match=r"`only` names one layer with weights of the network \(input, hidden, head\)"):
            check_layer("only", old, name)


def test_a_rule_that_replaces_all_derivatives_does_not_leave_a_composite_exact_without_a_word():
    network = Network([Linear(2, 3), Residual([Linear(3, 3), Activation("tanh")]), Linear(3, 1)])
    with pytest.raises(UserError, match=r"what the layer residual1 holds inside is found for inputs of one shape: take"):
        hidden_activations(network)
    assert hidden_activations(network.located((2,))) == ("residual1/branch/linear1/tanh",)
