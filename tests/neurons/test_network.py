"""Connections and networks of spiking neurons, against an event-driven solution and the dense, differentiable path."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ascribe.errors import UserError
from ascribe.neurons import LIF, Connection, SpikingNetwork, random_connection, simulate, surrogate_spikes

from .event_driven import first_crossing, rise, spikes

DRAW = np.random.default_rng(0)
COUNT = 40
WEIGHTS = (DRAW.random((COUNT, COUNT)) < 0.2) * DRAW.normal(0.001, 0.002, (COUNT, COUNT))
DRIVE = DRAW.uniform(0.9, 1.6, COUNT)


@pytest.fixture(scope="module")
def expected():
    return spikes(WEIGHTS, DRIVE, 0.3)


def by_neuron(found, count=COUNT):
    return [np.array([t for t, i in found if i == neuron]) for neuron in range(count)]


@pytest.mark.parametrize("dt", [2e-3, 5e-4, 3e-5])
def test_exact_spike_times_are_those_from_event_to_event_for_any_step(expected, dt):
    """Strong weights (a spike moves s by 0.2 ± 0.4 thresholds), so that neurons fire each other within a step."""
    network = SpikingNetwork(LIF(), Connection(WEIGHTS, DRIVE))
    found = simulate(network, 0.0, 0.3, dt=dt, record=()).spikes
    assert len(found) == len(expected)
    for neuron, times in enumerate(by_neuron(expected)):
        np.testing.assert_allclose(found.of(neuron), times, rtol=0, atol=1e-13)


def test_single_precision_is_within_a_thousandth_of_a_millisecond(expected):
    network = SpikingNetwork(LIF(), Connection(WEIGHTS, DRIVE))
    found = simulate(network, 0.0, 0.3, dt=1e-4, dtype=np.float32, record=()).spikes
    assert len(found) == len(expected)
    for neuron, times in enumerate(by_neuron(expected)):
        np.testing.assert_allclose(found.of(neuron), times, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("tau_m", "tau_s"), [(0.02, 0.02), (0.01, 0.03)])
def test_synapses_as_slow_as_the_membrane_and_slower(tau_m, tau_s):
    """At τ_s = τ_m the formula with 1/τ_m − 1/τ_s is 0/0."""
    reference = spikes(WEIGHTS, DRIVE, 0.15, tau_m=tau_m, tau_s=tau_s)
    network = SpikingNetwork(LIF(tau_m), Connection(WEIGHTS, DRIVE), tau_s)
    found = simulate(network, 0.0, 0.15, dt=5e-4, record=()).spikes
    np.testing.assert_allclose(found.times, [t for t, _ in reference], rtol=0, atol=1e-12)
    np.testing.assert_array_equal(found.neurons, [i for _, i in reference])


@pytest.mark.parametrize(
    ("tau_m", "tau_s", "dt", "strength", "duration"),
    [
        (0.02, 2e-3, 2e-3, 6.0, 0.15),
        (0.02, 5e-4, 2e-3, 6.0, 0.15),
        (0.02, 1e-5, 2e-3, 6.0, 0.15),
        (1e-4, 5e-5, 2e-3, 0.01, 0.01),
        (1e-3, 1e-5, 2e-4, 0.1, 0.02),
    ],
)
def test_short_time_constants_make_v_rise_and_fall_within_a_step(tau_m, tau_s, dt, strength, duration):
    """Most neurons fire only by the spikes of others, on the way to a peak, after which v falls below 1 again."""
    weights, drive = strength * WEIGHTS, DRIVE - 0.5
    drive[:3] = 1.5
    reference = spikes(weights, drive, duration, tau_m=tau_m, tau_s=tau_s)
    network = SpikingNetwork(LIF(tau_m), Connection(weights, drive), tau_s)
    found = simulate(network, 0.0, duration, dt=dt, record=()).spikes
    assert len(found) == len(reference) > 20
    np.testing.assert_allclose(found.times, [t for t, _ in reference], rtol=0, atol=1e-11)
    np.testing.assert_array_equal(found.neurons, [i for _, i in reference])


def test_the_first_crossing_is_found_from_any_state():
    """7 × 2,000 neurons alone, with currents whose peak is near the threshold, for synapses from much faster than the step
    to slower than the membrane."""
    count, dt, draw = 2000, 2e-3, np.random.default_rng(4)
    apart = SpikingNetwork(LIF(), Connection.sparse([[]] * count, 0.0, count))

    @partial(jax.jit, static_argnames="parts")
    def fired(tau_s, gap, s, drive, parts):
        network = eqx.tree_at(lambda network: network.tau_s, apart, tau_s)
        state = network.start((count,), jnp.float64)
        state = state._replace(gap=state.gap.at[:count].set(gap), s=state.s.at[:count].set(s))
        _, step = network.stepper(jnp.asarray(dt), "exact", parts)
        return dt * step(state, (drive,), jnp.asarray(0.0)).spike[:count]

    turned = 0
    for tau_s in (1e-5, 1e-4, 5e-4, 2e-3, 5e-3, 2e-2, 5e-2):
        gap, drive = 10.0 ** draw.uniform(-4, 0, count), draw.uniform(-2.0, 1.5, count)
        highest = max(rise(h, 0.02, tau_s) for h in np.linspace(0.0, dt, 200)[1:])
        s = gap / highest * draw.normal(1.2, 0.5, count)
        parts = SpikingNetwork(LIF(), apart.connection, tau_s).parts(dt, "exact")
        found = fired(tau_s, gap, s, drive, parts)
        expected = [first_crossing(1.0 - g, x, b, dt, tau_s=tau_s) for g, x, b in zip(gap, s, drive, strict=True)]
        np.testing.assert_allclose(np.where(found < 0, np.inf, found), expected, rtol=0, atol=1e-11)
        end = drive + (1.0 - gap - drive) * np.exp(-dt / 0.02) + s * rise(dt, 0.02, tau_s)
        turned += np.sum(np.isfinite(expected) & (end < 1.0))
    assert turned > 500


@pytest.mark.parametrize("peak", [0.9999, 1.0001])
def test_a_peak_above_the_threshold_fires_and_one_below_does_not(peak):
    """v = w (e^{−t/τ_s} − e^{−t/τ_m}) / (τ_s − τ_m) after the one spike that is sent."""
    tau_m, tau_s = 0.02, 0.003
    top = np.log(tau_m / tau_s) * tau_m * tau_s / (tau_m - tau_s)
    w = peak * tau_m / rise(top, tau_m, tau_s) * tau_s / tau_m
    pair = SpikingNetwork(LIF(), Connection([[0.0, 0.0], [w, 0.0]], [1.2, 0.0]), tau_s)
    sent = float(LIF().first_spike(1.2))
    expected = sent + first_crossing(0.0, w / tau_s, 0.0, 10 * top, tau_m, tau_s)
    for dt in (2e-3, 3e-4):
        heard = simulate(pair, 0.0, 0.06, dt=dt, record=()).spikes.of(1)
        np.testing.assert_allclose(heard, [expected] if peak > 1 else [], rtol=0, atol=1e-12)


@pytest.mark.parametrize("dt", [2e-3, 1e-4])
def test_neurons_that_reach_the_threshold_together_fire_together(dt):
    """Equal neurons that inhibit each other strongly: each has reached 1 when the others' spikes arrive."""
    equal = SpikingNetwork(LIF(), Connection(-0.02 * (1.0 - np.eye(5)), np.full(5, 1.5)))
    found = simulate(equal, 0.0, 0.1, dt=dt, record=()).spikes
    np.testing.assert_array_equal(found.counts(), found.counts()[0])
    np.testing.assert_allclose(found.times[:5], LIF().first_spike(1.5), rtol=1e-12)


def test_two_inhibiting_synapses_stop_a_spike_that_either_alone_would_only_delay():
    """Both of one sender, 0.1 ms before the spike: counted together."""
    early = float(LIF().inverse_rate(1.0 / (0.002 + float(LIF().first_spike(1.5)) - 1e-4)))
    twice = Connection.sparse([[1, 1], []], [[-0.001, -0.001], []], 2, bias=[early, 1.5])
    once = Connection([[0.0, 0.0], [-0.002, 0.0]], [early, 1.5])
    found = [simulate(SpikingNetwork(LIF(), c, 1e-3), 0.0, 0.05, dt=2e-3, record=()).spikes for c in (twice, once)]
    np.testing.assert_allclose(found[0].times, found[1].times, rtol=1e-12)


def test_neurons_may_differ():
    """Half of the neurons with other parameters, unconnected: each as it is alone."""
    tau_m, tau_ref = np.array([0.02, 0.01, 0.05]), np.array([0.002, 0.003, 0.001])
    cells = LIF(tau_m, tau_ref)
    network = SpikingNetwork(cells, Connection(np.zeros((3, 3)), [1.5, 2.0, 3.0]))
    found = simulate(network, 0.0, 0.5, dt=1e-3, record=())
    np.testing.assert_allclose(found.rates(), cells.rate([1.5, 2.0, 3.0]), rtol=1e-10)
    coupled = SpikingNetwork(cells, Connection(np.full((3, 3), 2e-4), [1.5, 2.0, 3.0]))
    coarse, fine = (simulate(coupled, 0.0, 0.3, dt=dt, record=()).spikes.times for dt in (1e-3, 1e-4))
    np.testing.assert_allclose(coarse, fine, rtol=0, atol=1e-12)


def test_spikes_are_delivered_one_by_one_and_together(monkeypatch):
    """As on a GPU, three at a time, and as on a processor: of none, a few and all of the neurons."""
    network, generator = SpikingNetwork(LIF(), Connection(WEIGHTS, DRIVE)), np.random.default_rng(1)
    s = np.array(network.start((COUNT,), np.float64).s)
    fires = np.zeros((6, len(s)), bool)
    for number, row in zip((0, 1, 3, 4, 20, COUNT), fires, strict=True):
        row[generator.permutation(COUNT)[:number]] = True
    s = generator.normal(size=fires.shape)
    delivered = lambda: jax.jit(lambda *given: jax.lax.map(lambda pair: network.arrive(*pair), given))(fires, s)
    alone = delivered()
    monkeypatch.setattr(jax.lax, "platform_dependent", lambda *given, cpu, default: default(*given))
    monkeypatch.setattr("ascribe.neurons.network.TOGETHER", 3)
    for found in (alone, delivered()):
        expected = s[:, :COUNT] + fires[:, :COUNT] @ WEIGHTS.T / 0.005
        np.testing.assert_allclose(found[:, :COUNT], expected, rtol=0, atol=1e-13)


def test_one_step_of_halley_s_method_leaves_the_cube_of_the_distance(monkeypatch):
    """v passes 1 at 0 and is looked at after t. With another curvature it would be Newton's square."""
    monkeypatch.setattr("ascribe.neurons.network.HALLEY", 1)
    monkeypatch.setattr("ascribe.neurons.network.TRIPS", 1)
    network, a, s = SpikingNetwork(LIF(), Connection([[0.0]])), jnp.asarray(0.5), 0.8
    tau_m, tau_s = network.neurons.tau_m, network.tau_s

    @jax.jit
    @jax.vmap
    def error(t):
        gap = a * jnp.expm1(-t / tau_m) - s * network.response(t, tau_m)
        return network._reached(gap, a, s * jnp.exp(-t / tau_s), tau_m, jnp.asarray(-1.0)) + t

    slopes = -np.diff(np.log2(np.abs(error(1e-3 * 0.5 ** np.arange(4)))))
    np.testing.assert_allclose(slopes, 3.0, atol=0.2)


def test_the_grid_approaches_the_exact_times(expected):
    network = SpikingNetwork(LIF(), Connection(0.2 * WEIGHTS, DRIVE))
    exact = simulate(network, 0.0, 0.1, record=()).spikes
    firsts = lambda train: np.array([train.of(i)[0] for i in range(COUNT) if len(train.of(i))])
    errors = []
    for dt in (4e-4, 1e-4, 2.5e-5):
        found = simulate(network, 0.0, 0.1, dt=dt, method="grid", record=()).spikes
        np.testing.assert_allclose(found.times / dt, np.round(found.times / dt), atol=1e-6)
        errors.append(np.abs(firsts(found) - firsts(exact)).mean())
    assert errors[0] > 3 * errors[1] > 9 * errors[2]


def test_a_spike_adds_its_weight_over_tau_to_the_current():
    """Neuron 0 drives 1 and nothing else is there: s_1 is w/τ_s e^{−t/τ_s} from each spike on, of area w."""
    W = np.array([[0.0, 0.0], [0.003, 0.0]])
    found = simulate(SpikingNetwork(LIF(), Connection(W, [2.0, 0.0])), 0.0, 0.1, dt=1e-4, record=("V", "s"), record_every=1)
    times = found.spikes.of(0)
    since = found.t[:, None] - times[None, :]
    written = np.where(since >= 0, 0.003 / 0.005 * np.exp(-np.maximum(since, 0.0) / 0.005), 0.0).sum(axis=1)
    np.testing.assert_allclose(found["s"][:, 1], written, atol=1e-12)
    np.testing.assert_array_equal(found["s"][:, 0], 0.0)


def test_the_bias_is_a_column_of_the_weights():
    W, b, x = DRAW.normal(size=(3, 4)), DRAW.normal(size=3), DRAW.normal(size=(5, 4))
    connection = Connection(W, b)
    np.testing.assert_allclose(connection(x), x @ W.T + b)
    np.testing.assert_allclose(connection.augmented(), np.column_stack([W, b]))
    np.testing.assert_allclose(connection.augmented() @ np.append(x[0], 1.0), connection(x[0]))
    np.testing.assert_allclose(Connection(W)(x), x @ W.T)


def test_a_sparse_connection_is_its_matrix():
    sparse = Connection.sparse([[1, 2], [], [0]], [[0.5, -1.0], [], [2.0]], 3, bias=[0.1, 0.2, 0.3])
    W = np.array([[0, 0, 2.0], [0.5, 0, 0], [-1.0, 0, 0]])
    np.testing.assert_array_equal(sparse.matrix(), W)
    np.testing.assert_allclose(sparse(np.ones(3)), W.sum(1) + np.array([0.1, 0.2, 0.3]))
    listed = [np.flatnonzero(WEIGHTS[:, j]) for j in range(COUNT)]
    same = Connection.sparse(listed, [WEIGHTS[row, j] for j, row in enumerate(listed)], COUNT, DRIVE)
    runs = [simulate(SpikingNetwork(LIF(), c), 0.0, 0.1, record=()).spikes for c in (same, Connection(WEIGHTS, DRIVE))]
    np.testing.assert_allclose(runs[0].times, runs[1].times, atol=1e-13)


def test_two_synapses_on_one_neuron_add_up():
    twice = Connection.sparse([[1, 1], []], [[0.002, 0.001], []], 2, bias=[2.0, 0.5])
    once = Connection(np.array([[0.0, 0.0], [0.003, 0.0]]), [2.0, 0.5])
    np.testing.assert_allclose(twice.matrix(), once.matrix())
    for method in ("exact", "grid"):
        a, b = (simulate(SpikingNetwork(LIF(), c), 0.0, 0.1, method=method, record=("s",)) for c in (twice, once))
        np.testing.assert_allclose(a["s"], b["s"], atol=1e-12)


def test_a_random_connection_has_its_probability_and_its_seed():
    made = random_connection(300, 300, 0.1, 0.5, seed=1)
    W = np.asarray(made.matrix())
    assert abs((W != 0).sum() - 9000) < 4 * np.sqrt(8100)
    assert set(np.unique(W)) == {0.0, 0.5}
    assert not np.diag(W).any()
    assert np.array_equal(W, random_connection(300, 300, 0.1, 0.5, seed=1).matrix())
    assert not np.array_equal(W, random_connection(300, 300, 0.1, 0.5, seed=2).matrix())
    signs = np.where(np.arange(300) < 200, 1.0, -4.0)
    assert (np.asarray(random_connection(300, 300, 0.1, signs).matrix())[:, 250] <= 0).all()
    assert np.diag(np.asarray(random_connection(300, 300, 1.0, 1.0, own=True).matrix())).all()


@pytest.mark.parametrize("dt", [1e-4, 5e-4])
def test_the_differentiable_path_has_the_same_spikes(dt):
    network = SpikingNetwork(LIF(), Connection(WEIGHTS, DRIVE))
    steps = round(0.1 / dt)
    dense = np.asarray(surrogate_spikes(network, jnp.zeros((steps, COUNT)), dt))
    grid = simulate(network, 0.0, 0.1, dt=dt, method="grid", record=()).spikes
    place = np.round(grid.times / dt).astype(int) - 1
    expected = np.zeros((steps, COUNT))
    expected[place[place < steps], grid.neurons[place < steps]] = 1
    assert dense.sum() > 100
    np.testing.assert_array_equal(dense, expected)


@pytest.mark.parametrize("kind", [np.int32, np.float16, np.float32, bool])
def test_the_differentiable_path_takes_currents_of_any_kind(kind):
    """In the network's precision: under 2 as under 2.0."""
    network = SpikingNetwork(LIF(), Connection(np.full((2, 2), 0.003), [0.5, 0.75]))
    given = (np.ones((60, 2)) + (kind is not bool)).astype(kind)
    run = jax.jit(lambda currents: surrogate_spikes(network, currents, 1e-3))
    found, expected = run(given), run(given.astype(np.float64))
    assert found.dtype == expected.dtype == np.float64
    assert found.sum() > 0
    np.testing.assert_array_equal(found, expected)


def test_the_differentiable_path_takes_lists():
    network = SpikingNetwork(LIF(), Connection([[0.0]]))
    np.testing.assert_array_equal(surrogate_spikes(network, [[30], [0], [0]], 1e-3), [[1.0], [0.0], [0.0]])


def test_its_gradient_is_that_of_the_replaced_derivative():
    """One neuron, one step from v to a spike: ∂z/∂b is g(·) · ∂v/∂b, with the g that was asked for."""
    network = SpikingNetwork(LIF(), Connection([[0.0]]))
    current = jnp.array([[20.0]])
    slope = jax.grad(lambda J: surrogate_spikes(network, J, 1e-3, derivative="logistic", steepness=4.0).sum())(current)
    v = 20.0 * (1 - np.exp(-0.05))
    y = 1 / (1 + np.exp(-4.0 * (v - 1.0)))
    assert float(slope[0, 0]) == pytest.approx(4.0 * y * (1 - y) * (1 - np.exp(-0.05)))
    other = jax.grad(lambda J: surrogate_spikes(network, J, 1e-3, derivative="threshold").sum())(current)
    assert float(other[0, 0]) == 0.0


def test_a_network_learns_a_number_of_spikes_by_it():
    """Gradient descent on the weights, from 0 to as many spikes as asked for."""
    drive = jnp.concatenate([jnp.full((300, 4), 1.5), jnp.zeros((300, 1))], axis=1)

    empty = SpikingNetwork(LIF(), Connection(np.zeros((5, 5))))

    def spikes_of_the_last(w):
        W = jnp.zeros((5, 5)).at[4, :4].set(w)
        network = eqx.tree_at(lambda network: network.connection.weights, empty, W.T)
        return surrogate_spikes(network, drive, 1e-3, derivative="logistic", steepness=5.0)[:, 4].sum()

    loss = jax.jit(jax.value_and_grad(lambda w: (spikes_of_the_last(w) - 12.0) ** 2))
    w = jnp.full(4, 0.002)
    start, _ = loss(w)
    for _ in range(60):
        _, gradient = loss(w)
        w = w - 2e-4 * gradient / (1e-9 + jnp.linalg.norm(gradient))
    assert float(start) == 144.0
    assert float(loss(w)[0]) <= 4.0


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (lambda: Connection([1.0, 2.0]), r"weights are a matrix \(post, pre\)"),
        (lambda: Connection(np.eye(2), [1.0]), "one number for each of the 2 receiving neurons"),
        (lambda: Connection([[np.inf]]), "the weights has to be finite"),
        (lambda: Connection.sparse([[3]], 1.0, 3), "numbered from 0 to 2; neuron 0 has 3 to 3"),
        (lambda: Connection.sparse([[1]], [[1.0, 2.0]], 3), "differ in length"),
        (lambda: random_connection(5, 5, 1.5, 1.0), "`probability` is a number from 0 to 1; got 1.5"),
        (lambda: random_connection(5, 5, 0.5, [1.0, 2.0]), "one for each of the 5 senders"),
        (lambda: SpikingNetwork(LIF(), Connection(np.ones((2, 3)))), "from its neurons to its neurons; got 3 to 2"),
        (lambda: SpikingNetwork(LIF([0.01] * 3), Connection(np.eye(2))), "of 2 neurons, and their parameters"),
        (lambda: SpikingNetwork(LIF(), Connection(np.eye(2)), 5.0), "tau_s=5 is in seconds; did you mean 0.005"),
        (lambda: simulate(SpikingNetwork(LIF(), Connection(np.eye(2))), [1.0, 2.0, 3.0], 0.1), "same neurons"),
        (lambda: surrogate_spikes(SpikingNetwork(LIF(), Connection(np.eye(2))), jnp.ones((5, 3))), "shape .steps, 2."),
    ],
)
def test_what_does_not_fit_is_said_in_a_sentence(wrong, sentence):
    with pytest.raises(UserError, match=sentence):
        wrong()
