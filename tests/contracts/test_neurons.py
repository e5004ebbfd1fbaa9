"""What every model of `ascribe.neurons` keeps, read from its table of models."""

import jax
import numpy as np
import pytest

from ascribe import neurons
from ascribe.errors import UserError
from ascribe.neurons import MODELS, simulate
from ascribe.neurons.base import AbstractModel

WEIGHTS = np.array([[0.0, 4e-4, 0.0], [0.0, 0.0, -3e-4], [5e-4, 0.0, 0.0]])
MADE = {
    "hodgkin-huxley": neurons.HodgkinHuxley,
    "lif": neurons.LIF,
    "network": lambda: neurons.SpikingNetwork(neurons.LIF(), neurons.Connection(WEIGHTS)),
}
CURRENTS = {"hodgkin-huxley": np.array([5.0, 10.0, 20.0]), "lif": np.array([0.9, 1.5, 3.0])}
CURRENTS["network"] = CURRENTS["lif"]
each_model = pytest.mark.parametrize("name", list(MODELS))


def run(name, current=None, duration=0.05, **options):
    return simulate(MADE[name](), CURRENTS[name] if current is None else current, duration, **options)


def test_every_model_has_a_case():
    assert set(MADE) == set(MODELS)
    assert all(issubclass(kind, AbstractModel) for kind in MODELS.values())


@each_model
def test_parameters_are_array_leaves_and_new_values_compile_nothing(name):
    """Counted: currents, parameters and steps are data of one program."""
    model = MADE[name]()
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(model))
    neurons.simulate(model, CURRENTS[name], 0.02)
    other = jax.tree.map(lambda x: x * 1.01 if np.issubdtype(x.dtype, np.floating) else x, model)
    with jax.log_compiles(False), count_compilations() as compiled:
        neurons.simulate(other, 1.1 * CURRENTS[name], 0.02)
    assert compiled == []


class count_compilations:  # noqa: N801 - a context manager
    """The names of the programs that JAX compiles inside."""

    def __enter__(self):
        self.names = []
        self.listen = lambda event, duration, **about: (
            self.names.append(about.get("fun_name", event)) if event.endswith("backend_compile_duration") else None
        )
        jax.monitoring.register_event_duration_secs_listener(self.listen)
        return self.names

    def __exit__(self, *_):
        jax.monitoring.unregister_event_duration_listener(self.listen)


@each_model
def test_every_method_of_it_runs_and_agrees_on_the_number_of_spikes(name):
    counts = [len(run(name, method=method, dt=1e-5).spikes) for method in MODELS[name].methods]
    assert min(counts) >= max(counts) - 1 > 3


@pytest.mark.slow
@each_model
def test_every_trace_can_be_recorded_in_samples_of_any_spacing(name):
    traces = MODELS[name].traces
    assert traces[0] == "V"
    every = run(name, record=traces, record_every=1)
    for spacing in (2, 7, 50, 101, 128):
        some = run(name, record=traces, record_every=spacing)
        for trace in traces:
            np.testing.assert_allclose(some[trace], every[trace][::spacing], rtol=1e-9, atol=1e-13)
        np.testing.assert_array_equal(some.t, every.t[::spacing])
        np.testing.assert_allclose(some.spikes.times, every.spikes.times, rtol=1e-12)
    assert every.V.shape == (len(every.t), 3)
    assert run(name, record=()).traces == {}


@each_model
def test_it_starts_at_rest_and_stays_there_without_a_current(name):
    found = run(name, 0.0 if name != "network" else np.zeros(3))
    np.testing.assert_allclose(found.V, np.broadcast_to(found.V[:1], found.V.shape), atol=1e-9)
    assert len(found.spikes) == 0


@each_model
def test_a_current_may_be_given_in_several_ways(name):
    J = CURRENTS[name]
    constant = run(name)
    for same in ([(0.02, J), (1.0, J)], lambda t: J, lambda t: J + 0.0 * t):
        np.testing.assert_allclose(run(name, same).V, constant.V, atol=1e-9)
    stopped = run(name, [(0.03, J)])
    assert stopped.spikes.times.max(initial=0.0) < 0.036
    np.testing.assert_allclose(stopped.current[stopped.t > 0.0301], 0.0)


@each_model
def test_single_precision_is_near_double_precision(name):
    single, double = run(name, dtype=np.float32), run(name, dtype=np.float64)
    assert single.V.dtype == np.float32
    np.testing.assert_allclose(single.spikes.times, double.spikes.times, atol=2e-6)


def test_double_precision_is_not_single_precision_without_a_word():
    with jax.enable_x64(False):
        assert simulate(neurons.LIF(), 1.5, 0.01).V.dtype == np.float32
        assert simulate(neurons.LIF(), 1.5, 0.01, dtype=float).V.dtype == np.float32  # Python's, as JAX takes it
        for dtype in (np.float64, np.dtype("float64"), "float64", jax.numpy.float64):
            with pytest.raises(UserError, match="`dtype` is float64, which JAX has only with its 64 bits: set JAX_ENABLE"):
                simulate(neurons.LIF(), 1.5, 0.01, dtype=dtype)


@each_model
def test_it_may_start_at_any_voltage(name):
    rest = run(name, np.zeros(3))
    same = run(name, np.zeros(3), initial=rest.V[0])
    np.testing.assert_allclose(same.V, rest.V, atol=1e-6)
    V = rest.V[0] + np.array([0.1, 0.2, 0.3])
    np.testing.assert_allclose(run(name, np.zeros(3), initial=V).V[0], V)
    with pytest.raises(UserError, match=r"`initial` is a voltage for each neuron, of the shape \(3,\); got \(2,\)"):
        run(name, initial=[0.1, 0.2])


@each_model
def test_a_neuron_is_the_same_alone_and_among_others(name):
    if name == "network":
        pytest.skip("its neurons hear each other")
    together = run(name)
    for neuron, J in enumerate(CURRENTS[name]):
        alone = run(name, float(J))
        assert alone.V.ndim == 1
        np.testing.assert_allclose(alone.V, together.V[:, neuron], atol=1e-9)
        np.testing.assert_allclose(alone.spikes.times, together.spikes.of(neuron), atol=1e-12)


@each_model
def test_parameters_broadcast_as_vmap_maps(name):
    """Every parameter as an array of two: as if each had been simulated by itself."""
    if name == "network":
        pytest.skip("its parameters are per neuron already")
    model, J = MADE[name](), float(CURRENTS[name][1])
    for path, leaf in jax.tree_util.tree_leaves_with_path(model):
        field = path[0].name
        values = np.array([1.0, 1.05]) * float(leaf) if float(leaf) else np.array([0.0, 0.01])
        both = simulate(MODELS[name](**{field: values}), J, 0.03)
        for number, value in enumerate(values):
            one = simulate(MODELS[name](**{field: float(value)}), J, 0.03)
            np.testing.assert_allclose(both.V[:, number], one.V, atol=1e-8, err_msg=field)


@each_model
@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"duration": -1.0}, "duration has to be above 0, in seconds; got -1"),
        ({"dt": 0.0}, "dt has to be above 0"),
        ({"dt": 0.1, "duration": 0.05}, "dt=0.1 s is longer than the duration of 0.05 s"),
        ({"duration": 1e9}, "both are in seconds: did you mean that"),
        ({"current": np.nan}, "the current has to be finite"),
        ({"current": [(0.1, 1.0), (-0.1, 2.0)]}, "lasts longer than 0 seconds; got -0.1"),
        ({"current": [(0.1, [1.0, 2.0]), (0.1, [1.0, 2.0, 3.0])]}, "for the same neurons; got shapes"),
        ({"current": lambda t: np.log(-1.0 - t)}, "the current has to be finite"),
        ({"current": lambda t: {}[t]}, "it failed with KeyError"),
        ({"current": "much"}, "the current is a number or an array of numbers"),
        ({"method": "magic"}, "is stepped by .*; got 'magic' for `method`"),
        ({"record": ("V", "x")}, "has the traces V.*; got 'x' for `record`"),
        ({"record_every": 0}, "`record_every` is a positive integer; got 0"),
    ],
)
def test_what_does_not_fit_is_said_in_a_sentence(name, options, sentence):
    with np.errstate(all="ignore"), pytest.raises(UserError, match=sentence):
        run(name, **options)


def test_what_is_no_model_is_refused():
    with pytest.raises(UserError, match="the model is a HodgkinHuxley, a LIF or a SpikingNetwork; got float"):
        simulate(3.0, 1.0, 0.1)
