"""Our side of the races: the library's own step inside one `lax.scan`, on given batches."""

import jax
import jax.numpy as jnp
import jax.random as jr
from measure import floating_point_operations

from ascribe import losses, rules
from ascribe.training import Setup, loop
from ascribe.training.evaluate import Examples


def race(network, names, inputs, targets, batches, key, *, batch_size):
    """The compiled scans of several rules on one network, by name, and the floating-point operations that XLA counts."""
    programs, operations = {}, {}
    for rule in names:
        state, run, data, train = training(network, rule, inputs, targets, batch_size=batch_size)
        compiled = jax.jit(train).lower(state, run, data, batches, key).compile()
        operations[rule] = floating_point_operations(compiled)
        programs[rule] = lambda compiled=compiled, a=(state, run, data, batches, key): jax.block_until_ready(compiled(*a))
    return programs, operations


def training(network, rule, inputs, targets, *, optimizer="sgd", batch_size, learning_rate=0.01):
    """`(state, run, data, train)`: `train(state, run, data, batches, key)` is the library's step scanned over batches."""
    task = "binary" if network.outputs == 1 else "classification"
    loss = losses.default_for(task, network.outputs)
    settings = Setup(optimizer=optimizer, loss=loss, epochs=1, batch_size=batch_size, diagnostics=False)
    examples = Examples(inputs, targets, jnp.ones(1))
    data = loop.Data(examples, Examples(inputs[:8], targets[:8], jnp.ones(1)))
    rule = rules.get(rule) if isinstance(rule, str) else rule
    run = loop.Run(rule, jnp.asarray(learning_rate), jnp.asarray(0, jnp.uint32))
    network = network.initialize(jr.key(0))
    state = jax.jit(lambda run, data: loop.initialize(settings, network, run, data))(run, data)

    def train(state, run, data, batches, key):
        def one_step(state, item):
            indices, number = item
            return loop.step(settings, run, state, data, indices, jr.fold_in(key, number))

        return jax.lax.scan(one_step, state, (batches, jnp.arange(len(batches))))

    return state, run, data, train
