"""The perceptron as a rule: on each mistake, add the example (`perceptron_numpy.py` has the algorithm and its bound).

Source: Rosenblatt (1957), Cornell Aeronautical Laboratory report 85-460-1; "Solving Deeper Multilayer Perceptrons (MLPs)"
(lecture), the slides on the perceptron and its learning rule. Novikoff (1962), "On convergence proofs for perceptrons", for
the bound; Gallant (1990), doi:10.1109/72.80230, for the pocket.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import jax.random as jr

from ascribe.datasets import Dataset
from ascribe.errors import UserError
from ascribe.networks import Linear, Network
from ascribe.types import Array, Key, PyTree, Scalar

from .base import AbstractRule, Batch, Credit, LimitingCase, network_of


class Perceptron(AbstractRule[Network, PyTree]):
    """∂E/∂W = -Σ y x and ∂E/∂b = -Σ y over the mistakes of the batch, those with y z <= 0; z = Wx + b, y = 2t - 1.

    For one dense layer with one output. At batch size 1, SGD at rate 1 and from zeros (all of which it forces) it is
    `perceptron_algorithm`, every update the same number. Its gradient is that of Σ max(0, -y z), so where no z is
    0 it is `Backpropagation` on that loss; the loss that it reports is the batch's. Where the loss has no link
    (squared error), outputs are told apart at 1/2 and not at 0, and z is measured from there.

    The state is Gallant's pocket: the weights with the longest run of right answers while they stood. The network at the
    end is the pocket or the last weights, whichever makes fewer mistakes on the training data.
    """

    tasks: ClassVar[tuple[str, ...]] = ("binary",)
    forced: ClassVar[Mapping[str, Any]] = {"optimizer": "sgd", "learning_rate": 1.0, "batch_size": 1}

    def adapt(self, network: Network, data: Dataset) -> Network:
        return Network([Linear(data.features, 1, initializer="zeros")])

    def init(self, network: Network, data: Batch, *, key: Key | None = None) -> PyTree:
        zero = jnp.asarray(0, jnp.int32)
        return {"pocket": _one_unit(network), "run": zero, "longest": zero}

    def __call__(self, trainables: Network, state: PyTree, batch: Batch, *, key: Key | None = None) -> Credit:
        z, pull = jax.vjp(lambda network: network(batch.inputs), _one_unit(trainables))
        y = _signs(batch, z)
        wrong = _wrong(batch, z, y)
        gradients = pull(jnp.where(wrong, -y, jnp.zeros_like(y)))[0]
        loss = jnp.mean(batch.loss.values(z, batch.targets))
        return Credit(loss, gradients, _keep(state, trainables, ~wrong), batch.network_state)

    def limiting_case(self, network: Network, batch: Batch, *, key: Key) -> LimitingCase:
        """On weights that are drawn, for the rule begins at zeros, where every z is 0; and on their negatives, which are
        wrong where those are right."""
        drawn = jax.tree.map(lambda leaf: jr.normal(key, leaf.shape, leaf.dtype), network)
        both = (drawn, jax.tree.map(jnp.negative, drawn))

        def hinge(network: Network) -> Scalar:
            z = network(batch.inputs)
            margin = z if batch.loss.link == "logistic" else z - 0.5
            return jnp.sum(jax.nn.relu(-_signs(batch, z) * margin))

        ours = [self(one, self.init(one, batch, key=key), batch, key=key).gradients for one in both]
        return LimitingCase("no z is 0", "jax.grad of Σ max(0, -y z)", ours, [jax.grad(hinge)(one) for one in both])

    def finish(self, trainables: Network, state: PyTree, data: Batch) -> Network:
        last, pocket = network_of(trainables), state["pocket"]
        better = _count_mistakes(pocket, data) < _count_mistakes(last, data)
        return jax.tree.map(lambda kept, final: jnp.where(better, kept, final), pocket, last)


def _one_unit(network: Network) -> Network:
    layer = network.first
    if len(network.parts) > 1 or not layer.dense or layer.outputs != 1:
        raise UserError(
            f"the perceptron trains one Linear layer with one output; got {network}: "
            f"use Perceptron().adapt(network, data), as ascribe.train does."
        )
    return network


def _signs(batch: Batch, z: Array) -> Array:
    """y = 2t - 1, `(batch, 1)`, in z's type."""
    if batch.loss.link == "softmax" or jnp.issubdtype(batch.targets.dtype, jnp.floating):
        raise UserError(
            f"the perceptron needs labels 0 and 1, whole numbers, and a loss for one output; got "
            f"{batch.targets.dtype} and {batch.loss.name}: use bernoulli-cross-entropy."
        )
    return 2 * batch.loss.encode(batch.targets, 1, z.dtype) - 1


def _wrong(batch: Batch, z: Array, y: Array) -> Array:
    """Where y z <= 0, z counted from where the loss tells the classes apart: `(batch, 1)`."""
    return y * (z if batch.loss.link == "logistic" else z - 0.5) <= 0


def _count_mistakes(network: Network, batch: Batch) -> Array:
    z = network(batch.inputs)
    return jnp.sum(_wrong(batch, z, _signs(batch, z)))


def _keep(state: PyTree, network: Network, right: Array) -> PyTree:
    """The pocket after the answers of one batch: a run goes on while all are right, for the weights stand still then."""
    run = jnp.where(jnp.all(right), state["run"] + right.shape[0], 0).astype(state["run"].dtype)
    better = run > state["longest"]
    pocket = jax.tree.map(lambda new, old: jnp.where(better, new, old), network, state["pocket"])
    return {"pocket": pocket, "run": run, "longest": jnp.maximum(run, state["longest"])}
