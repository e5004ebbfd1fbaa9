"""The rival: what a JAX programmer would write by hand for one network, without ascribe's tape or loop.

Nothing here imports the library, except the convolution in the form under test: both sides use the same one.
"""

import jax
import jax.numpy as jnp
import jax.random as jr
import optax


def mlp_parameters(key, sizes):
    keys = jr.split(key, len(sizes) - 1)
    return [(jr.normal(k, (n, m)) * jnp.sqrt(2 / m), jnp.zeros(n)) for k, m, n in zip(keys, sizes[:-1], sizes[1:], strict=True)]


def mlp_forward(parameters, x):
    for weight, bias in parameters[:-1]:
        x = jax.nn.relu(x @ weight.T + bias)
    weight, bias = parameters[-1]
    return x @ weight.T + bias


def lenet_parameters(key):
    keys = jr.split(key, 5)
    shapes = [(5, 5, 1, 6), (5, 5, 6, 16)]
    convolutions = [
        (jr.normal(k, s) * jnp.sqrt(2 / (s[0] * s[1] * s[2])), jnp.zeros(s[3])) for k, s in zip(keys, shapes, strict=False)
    ]
    sizes = [400, 120, 84, 10]
    dense = [
        (jr.normal(k, (n, m)) * jnp.sqrt(2 / m), jnp.zeros(n)) for k, m, n in zip(keys[2:], sizes[:-1], sizes[1:], strict=True)
    ]
    return convolutions, dense


def max_pool(x):
    batch, height, width, channels = x.shape
    x = x[:, : height // 2 * 2, : width // 2 * 2]
    return jnp.max(x.reshape(batch, height // 2, 2, width // 2, 2, channels), axis=(2, 4))


def lenet_forward(convolve):
    def forward(parameters, x):
        (first, second), dense = parameters
        x = max_pool(jax.nn.relu(convolve(x, first[0], padding=2) + first[1]))
        x = max_pool(jax.nn.relu(convolve(x, second[0]) + second[1]))
        return mlp_forward(dense, x.reshape(x.shape[0], -1))

    return forward


def softmax_cross_entropy(forward):
    def loss(parameters, x, y):
        return optax.softmax_cross_entropy_with_integer_labels(forward(parameters, x), y).mean()

    return loss


def logistic_cross_entropy(forward):
    def loss(parameters, x, y):
        return optax.sigmoid_binary_cross_entropy(forward(parameters, x)[:, 0], y.astype(x.dtype)).mean()

    return loss


def train(loss, optimizer):
    """A whole training as one `lax.scan`: `(parameters, optimizer state, inputs, targets, batches)` to the first two and
    the losses; `batches`: `(steps, batch)` indices."""

    def run(parameters, state, inputs, targets, batches):
        def step(carry, indices):
            parameters, state = carry
            value, gradients = jax.value_and_grad(loss)(parameters, inputs[indices], targets[indices])
            updates, state = optimizer.update(gradients, state, parameters)
            return (optax.apply_updates(parameters, updates), state), value

        return jax.lax.scan(step, (parameters, state), batches)

    return run
