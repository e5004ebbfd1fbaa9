"""Which axis of a weight lies where."""

import jax
import jax.numpy as jnp
import pytest

from ascribe.cards.axes import Place, contracted, moved
from ascribe.jaxprs import trace


def summed(function, weight, *others):
    """The axes of the weight that each product of a function sums over, by the operations before it."""
    graph, _ = trace(function, weight, *others)
    places = {graph.inputs[0]: Place.of(0, weight.shape)}
    found = []
    for equation in graph.equations:
        own = [places.get(one) for one in equation.inputs]
        for i, place in enumerate(own):
            if equation.name in ("dot_general", "conv_general_dilated") and place is not None:
                found.append(set(contracted(equation, i, place)))
        places[equation.outputs[0]] = moved(equation, own)
    return found


def test_a_convolution_sums_over_its_inputs_and_on_its_way_back_over_its_outputs():
    kernel, x = jnp.zeros((3, 3, 2, 5)), jnp.zeros((1, 6, 6, 2))
    numbers = ("NHWC", "HWIO", "NHWC")
    convolve = lambda w, x: jax.lax.conv_general_dilated(x, w, (1, 1), "SAME", dimension_numbers=numbers)
    back = lambda w, x, d: jax.vjp(lambda x: convolve(w, x), x)[1](d)[0]
    assert summed(convolve, kernel, x) == [{0, 1, 2}]
    assert summed(back, kernel, x, jnp.zeros((1, 6, 6, 5)))[-1] == {0, 1, 3}


@pytest.mark.parametrize(
    ("change", "axes"),
    [
        (lambda w: w.reshape(6, 5).T, {0, 1}),  # merged
        (lambda w: w.reshape(2, 3, 1, 5)[:, :, 0].reshape(6, 5).T, {0, 1}),  # split again, and a unit axis dropped
        (lambda w: 2 * jnp.flip(w, 2).transpose(2, 0, 1).reshape(5, 6), {0, 1}),
        (lambda w: w.reshape(30)[None].reshape(6, 5).T, {0, 1}),  # as one long vector
    ],
)
def test_axes_are_followed_through_reshapes(change, axes):
    assert summed(lambda w, x: change(w) @ x, jnp.zeros((2, 3, 5)), jnp.zeros(6)) == [axes]


def test_a_reshape_across_axes_is_not_followed():
    assert summed(lambda w, x: w.reshape(5, 6) @ x, jnp.zeros((2, 3, 5)), jnp.zeros(6)) == []


def test_an_axis_of_one_number_is_nothing_that_is_summed_over():
    """A reshape puts it beside either neighbor."""
    for change in (lambda w: w.reshape(4, 3).T, lambda w: w.reshape(12).reshape(4, 1, 3)[:, 0].T):
        assert summed(lambda w, x, change=change: change(w) @ x, jnp.zeros((4, 1, 3)), jnp.zeros(4)) == [{0}]
    product, back = lambda w, x: w @ x, lambda w, d: w.T @ d
    assert summed(product, jnp.zeros((1, 1)), jnp.zeros(1)) != summed(back, jnp.zeros((1, 1)), jnp.zeros(1))
    assert summed(product, jnp.zeros((1, 3)), jnp.zeros(3)) != summed(back, jnp.zeros((1, 3)), jnp.zeros(1))
