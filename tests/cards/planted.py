"""Rules that are not what they say, each with one fault planted, and rules of the literature that the registry has not."""

import dataclasses
import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr

from ascribe import rules
from ascribe.networks import record
from ascribe.rules import AbstractRule, Credit, Terms, backward_sweep, random_feedback
from ascribe.rules.terms import layer_errors, output_error


class SignReader(rules.FeedbackAlignment):
    """ "Feedback alignment" whose B has the weights' signs."""

    def __call__(self, network, state, batch, *, key=None):
        feedback = {name: jnp.sign(network[name].weight) * jnp.abs(b) for name, b in state.items()}
        return backward_sweep(network, state, batch, Terms(feedback=feedback), key=key)


class Backpropagates(rules.FeedbackAlignment):
    """ "Feedback alignment" that draws B and returns backpropagation, as an own derivative of the loss."""

    def __call__(self, network, state, batch, *, key=None):
        value = lambda network: batch.loss.mean_and_error(record(network, batch.inputs, key=key)[0].output, batch.targets)[0]
        return Credit(*jax.value_and_grad(value)(network), state)


class Peeker(rules.DirectFeedbackAlignment):
    """ "Direct feedback alignment" whose error is centered over the batch."""

    def __call__(self, network, state, batch, *, key=None):
        centered = lambda delta: delta - jnp.mean(delta, axis=0, keepdims=True)
        return _swept(network, state, batch, state, key, centered)


class TargetReader(rules.DirectFeedbackAlignment):
    """ "Direct feedback alignment" that sends the target down in place of the error (direct random target projection)."""

    def __call__(self, network, state, batch, *, key=None):
        target = lambda delta: batch.loss.encode(batch.targets, delta.shape[1], delta.dtype) / delta.shape[0]
        return _swept(network, state, batch, state, key, target)


def _swept(network, state, batch, direct, key, changed):
    """The last layer by its own error, the others by another one."""
    tape, _ = record(network, batch.inputs, key=key)
    loss, delta = output_error(network, tape, batch, Terms())
    below = rules.terms.sweep_down(network, tape, changed(delta), Terms(direct=direct))
    exact = rules.terms.sweep_down(network, tape, delta, Terms(direct=direct))
    last = len(network.parts) - 1
    return Credit(loss, eqx.tree_at(lambda n: n.parts[last], below, exact.parts[last]), state)


class InsideScan(rules.FeedbackAlignment):
    """ "Feedback alignment" that adds Wᵀδ, a row of W at a time, in a loop."""

    def __call__(self, network, state, batch, *, key=None):
        tape, _ = record(network, batch.inputs, key=key)
        loss, delta = output_error(network, tape, batch, Terms())
        errors = layer_errors(network, tape, delta, Terms(feedback=state))
        gradients = list(backward_sweep(network, state, batch, Terms(feedback=state), key=key).gradients.layers)
        names = network.synaptic
        for lower, upper in itertools.pairwise(names):
            weight, error = network[upper].weight, errors[upper]
            add = lambda total, row: (total + row[1][:, None] * row[0][None, :], None)
            start = jnp.zeros((error.shape[0], weight.shape[1]), error.dtype)
            back, _ = jax.lax.scan(add, start, (weight, error.T))
            i = network.index(lower)
            gradients[i] = eqx.tree_at(lambda one: one.weight, gradients[i], back.T @ tape.inputs[i])
        return Credit(loss, network.with_layers(gradients), state)


class NextLayerReader(AbstractRule):
    """A "local" rule (Hebb's) that is gated by the activity of the next layer."""

    def __call__(self, network, state, batch, *, key=None):
        tape, _ = record(network, batch.inputs, key=key)
        gradients, names = list(network.layers), network.synaptic
        for number, name in enumerate(names):
            i = network.index(name)
            gate = (
                tape.preactivations(network)[names[number + 1]].mean(axis=1, keepdims=True) if number + 1 < len(names) else 1.0
            )
            gradients[i] = eqx.tree_at(lambda one: one.weight, gradients[i], (gate * tape.outputs(i)).T @ tape.inputs[i])
        return Credit(jnp.mean(tape.output), network.with_layers(gradients), state)


class CopiesAfterwards(rules.FeedbackAlignment):
    """ "Feedback alignment" that makes its B anew of the weights after every step."""

    def after_update(self, trainables, state):
        return trainables, {name: trainables[name].weight for name in state}


class CopiesAtFirst(rules.FeedbackAlignment):
    """ "Feedback alignment" whose fixed B are the weights at the start."""

    def init(self, network, data, *, key):
        return {name: network[name].weight for name in network.transported}


class LocalHebb(AbstractRule):
    """Hebb's rule: ΔW = -h(l) h(l-1)ᵀ, of what is at the synapse alone."""

    def __call__(self, network, state, batch, *, key=None):
        tape, _ = record(network, batch.inputs, key=key)
        gradients = list(network.layers)
        for name in network.synaptic:
            i = network.index(name)
            gradients[i] = eqx.tree_at(lambda one: one.weight, gradients[i], -tape.outputs(i).T @ tape.inputs[i])
        return Credit(jnp.mean(tape.output), network.with_layers(gradients), state)


class ModulatesError(AbstractRule):
    """PEPITA (Dellaferrera & Kreiman 2022, arXiv:2201.11665, equations 2 and 3): a second pass on x + F e; the hidden layers by
    the difference of the passes, the last one by e."""

    def init(self, network, data, *, key):
        return jr.normal(key, (network.outputs, data.inputs.shape[1]))

    def __call__(self, network, state, batch, *, key=None):
        tape, _ = record(network, batch.inputs, key=key)
        loss, delta = output_error(network, tape, batch, Terms())
        second, _ = record(network, batch.inputs + delta @ state, key=key)
        gradients, names = list(network.layers), network.synaptic
        for name in names:
            i = network.index(name)
            j = i if name == names[-1] else i + 1
            change = delta if name == names[-1] else tape.outputs(j) - second.outputs(j)
            gradients[i] = eqx.tree_at(lambda one: one.weight, gradients[i], change.T @ second.inputs[i])
        return Credit(loss, network.with_layers(gradients), state)


class Momentum(AbstractRule):
    """Backpropagation, averaged over steps in the rule's own state."""

    def init(self, network, data, *, key):
        return jax.tree.map(jnp.zeros_like, network)

    def __call__(self, network, state, batch, *, key=None):
        credit = backward_sweep(network, None, batch, key=key)
        mean = jax.tree.map(lambda old, new: 0.9 * old + new, state, credit.gradients)
        return Credit(credit.loss, mean, mean)


class LearnsInState(rules.KolenPollack):
    """Kolen-Pollack with B in the rule's state: W's own gradient moves it."""

    def trainables(self, network, data, *, key):
        return network

    def init(self, network, data, *, key):
        return random_feedback(network, self.scale, key=key)

    def __call__(self, network, state, batch, *, key=None):
        credit = backward_sweep(network, state, batch, Terms(feedback=state), key=key)
        moved = {name: b - 0.1 * credit.gradients[name].weight for name, b in state.items()}
        return dataclasses.replace(credit, state=moved)

    def after_update(self, trainables, state):
        return trainables, state

    def feedback(self, trainables, state):
        return state


class ClipsExamples(AbstractRule):
    """Backpropagation of each example, shortened to length 1 (Abadi et al. 2016, algorithm 1, without noise)."""

    def __call__(self, network, state, batch, *, key=None):
        value = lambda network, x, t: batch.loss.values(network(x[None]), t[None])[0]
        each = jax.vmap(jax.grad(value), (None, 0, 0))(network, batch.inputs, batch.targets)
        length = _length(each, 1)
        along = lambda leaf: leaf / jnp.maximum(length, 1.0).reshape(-1, *[1] * (leaf.ndim - 1))
        gradients = jax.tree.map(lambda leaf: jnp.mean(along(leaf), axis=0), each)
        return Credit(jnp.mean(batch.loss.values(network(batch.inputs), batch.targets)), gradients, state)


class ClipsBatch(AbstractRule):
    """Backpropagation of the batch, shortened to length 1."""

    def __call__(self, network, state, batch, *, key=None):
        credit = backward_sweep(network, state, batch, key=key)
        length = _length(credit.gradients, 0)
        gradients = jax.tree.map(lambda leaf: leaf / jnp.maximum(length, 1.0), credit.gradients)
        return dataclasses.replace(credit, gradients=gradients)


def _length(tree, first):
    return jnp.sqrt(sum(jnp.sum(leaf**2, axis=tuple(range(first, leaf.ndim))) for leaf in jax.tree.leaves(tree)))


class LocalReadouts(AbstractRule):
    """Local losses (Nøkland & Eidnes 2019, arXiv:1901.06656, equation 1): each layer by a fixed readout of its own."""

    def init(self, network, data, *, key):
        names = network.synaptic[:-1]
        return {
            name: jr.normal(k, (network.outputs, network[name].outputs))
            for name, k in zip(names, jr.split(key, len(names)), strict=True)
        }

    def __call__(self, network, state, batch, *, key=None):
        def total(network):
            x, losses = batch.inputs, []
            for name, layer in zip(network.names, network.layers, strict=True):
                x, _ = layer(jax.lax.stop_gradient(x) if layer.synaptic else x)
                if layer.synaptic:
                    answer = jnp.tanh(x) @ state[name].T if name in state else x
                    losses.append(jnp.mean(batch.loss.values(answer, batch.targets)))
            return sum(losses[1:], start=losses[0])

        return Credit(*jax.value_and_grad(total)(network), state)


class Launders(rules.FeedbackAlignment):
    """ "Feedback alignment" that returns backpropagation's error, and sends it through a layer once more, for nothing."""

    def __call__(self, network, state, batch, *, key=None):
        tape, _ = record(network, batch.inputs, key=key)
        loss, delta = output_error(network, tape, batch, Terms())
        errors = layer_errors(network, tape, delta, Terms())
        gradients, names = list(network.layers), network.synaptic
        for lower, upper in itertools.pairwise(names):
            passed = network[upper](errors[lower])[0]
            i = network.index(lower)
            error = errors[lower] + 0.0 * jnp.mean(passed, axis=1, keepdims=True)
            gradients[i] = eqx.tree_at(lambda one: one.weight, gradients[i], error.T @ tape.inputs[i])
        return Credit(loss, network.with_layers(gradients), state)


class PassesOn(LocalHebb):
    """ "Hebb's rule" in a loop over the examples that hands each one's input to the next."""

    def __call__(self, network, state, batch, *, key=None):
        credit = super().__call__(network, state, batch, key=key)
        step = lambda before, row: (row, row * before)
        _, rows = jax.lax.scan(step, jnp.ones(batch.inputs.shape[1:]), batch.inputs)
        output = record(network, batch.inputs)[0].outputs(0)
        return dataclasses.replace(
            credit, gradients=eqx.tree_at(lambda n: n.parts[0].weight, credit.gradients, output.T @ rows)
        )


class Scrambles(LocalHebb):
    """ "Hebb's rule" whose inputs are put in another order by a reshape."""

    def __call__(self, network, state, batch, *, key=None):
        credit = super().__call__(network, state, batch, key=key)
        rows = batch.inputs.reshape(batch.inputs.shape[1], -1).T
        output = record(network, batch.inputs)[0].outputs(0)
        return dataclasses.replace(
            credit, gradients=eqx.tree_at(lambda n: n.parts[0].weight, credit.gradients, output.T @ rows)
        )
