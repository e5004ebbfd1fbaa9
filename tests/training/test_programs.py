"""One compilation does for all learning rates, hyper-parameter values, chunks and shards of a rule, and for tuning."""

import dataclasses
from types import SimpleNamespace

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import pytest

from ascribe import compare, networks, rules, train
from ascribe.rules import AbstractRule, Backpropagation, Credit
from ascribe.training import Specification, devices, driver, mesh

from . import tiny

TRACES = []


class Counted(AbstractRule):
    """Backpropagation, `strength` times; it says when JAX traces it."""

    strength: jax.Array = eqx.field(converter=lambda value: jnp.asarray(value, float), default=1.0)

    def __call__(self, network, state, batch, *, key):
        TRACES.append("traced")
        credit = Backpropagation()(network, state, batch, key=key)
        return Credit(credit.loss, jax.tree.map(lambda g: self.strength * g, credit.gradients))


OPTIONS = {"epochs": 6, "batch_size": tiny.BATCH, "diagnostics": False, "optimizer": "sgd"}


@pytest.fixture(scope="module")
def watched():
    """A tuned comparison: what its listener heard, and how often the rule was traced after its first chunk of epochs."""
    heard, traces = [], []

    def listener(progress):
        heard.append(progress)
        traces.append(len(TRACES))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(driver, "CHUNK_SECONDS", 1e9)  # so that chunks grow: 1, 2 and 3 epochs
        result = compare(
            tiny.data(),
            rules=[Counted()],
            network=tiny.mlp(),
            seeds=2,
            tune=3,
            tune_seeds=1,
            search={"Counted.strength": (0.5, 2.0)},
            listener=listener,
            **OPTIONS,
        )
    return result, heard, traces


def test_tuning_and_final_shards_trace_the_rule_only_while_compiling(watched):
    _, heard, traces = watched
    assert [progress.phase for progress in heard].count("compiling") == 1
    assert traces[0] < traces[1]
    assert set(traces[1:]) == {traces[1]}


@pytest.mark.parametrize(("rate", "strength"), [(0.125, 1.0), (0.25, 1.0), (0.25, 3.0)])
def test_another_rate_or_hyperparameter_does_not_recompile(watched, rate, strength):
    before, compiled = len(TRACES), []
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, seconds, **about: compiled.append(event) if "backend_compile" in event else None
    )
    runs = train(tiny.mlp(), tiny.data(), Counted(strength), learning_rate=rate, seeds=2, **OPTIONS)
    assert len(TRACES) == before + 1  # what the rule returns is asked by its shapes, and nothing is compiled
    assert not compiled
    assert len(runs.seeds) == 2


def test_a_higher_strength_is_a_higher_rate(watched):
    """The hyper-parameter that did not recompile did arrive."""
    once = train(tiny.mlp(), tiny.data(), Counted(3.0), learning_rate=0.1, seeds=2, **OPTIONS)
    other = train(tiny.mlp(), tiny.data(), Counted(1.0), learning_rate=0.1 * 3, seeds=2, **OPTIONS)
    assert jnp.allclose(jnp.asarray(once.train_loss), jnp.asarray(other.train_loss), rtol=1e-12)


def test_progress_has_its_phases_in_order_and_reaches_the_total(watched):
    _, heard, _ = watched
    phases = [progress.phase for progress in heard]
    assert list(dict.fromkeys(phases)) == ["compiling", "tuning", "training"]
    assert phases == sorted(phases, key=["compiling", "tuning", "training"].index)
    assert {progress.rule for progress in heard} == {"Counted"}
    for phase in ("tuning", "training"):
        told = [progress for progress in heard if progress.phase == phase]
        done = [progress.done for progress in told]
        assert done == sorted(set(done))
        assert len({progress.total for progress in told}) == 1
        assert done[-1] == told[-1].total
        assert all(progress.loss > 0 for progress in told)
    # Two runs at a time and six epochs: three candidates make two shards, the last one filled up.
    assert next(progress.total for progress in heard if progress.phase == "tuning") == 2 * 2 * 6
    assert heard[-1].total == 2 * 6


def test_chunks_of_epochs_grow_while_they_are_quick(watched):
    """To twice as many epochs each time; the runs of a comparison stop at the epochs of their class maps, too."""
    tuned, done = ([p.done for p in watched[1] if p.phase == phase] for phase in ("tuning", "training"))
    assert tuned[:3] == [2 * epoch for epoch in (1, 3, 6)]
    assert done == [2 * epoch for epoch in (1, 2, 5, 6)]


def test_chunks_do_not_change_what_is_trained(watched, monkeypatch):
    monkeypatch.setattr(driver, "CHUNK_SECONDS", 0.0)  # one epoch a chunk
    heard = []
    rate = float(watched[0].runs["Counted"].learning_rates[0])
    strength = watched[0].runs["Counted"].hyperparameters["strength"]
    runs = train(tiny.mlp(), tiny.data(), Counted(strength), learning_rate=rate, seeds=2, listener=heard.append, **OPTIONS)
    assert [progress.done for progress in heard if progress.phase == "training"] == [2, 4, 6, 8, 10, 12]
    for name, curve in watched[0].runs["Counted"].curves.items():
        assert (curve == runs.curves[name]).all(), name


def test_shards_do_not_change_what_is_trained(watched):
    """Five runs through a program two runs wide: as five runs of their own."""
    experiment = tiny.experiment(tiny.mlp(), tiny.data(), Counted(), 2, epochs=6)
    specifications = [Specification(seed, 0.1 * (seed + 1)) for seed in range(5)]
    curves = experiment.train(specifications, "training").curves["train_loss"]
    assert curves.shape == (5, 6)
    for i, one in enumerate(specifications):
        pair = experiment.train([one, one], "training").curves["train_loss"]
        assert (pair[0] == curves[i]).all()


def test_runs_are_divided_among_the_devices(watched):
    assert mesh.mesh_for(1).devices.size == 1
    assert mesh.mesh_for(100).devices.size == jax.device_count()
    assert tiny.experiment(tiny.mlp(), tiny.data(), Counted(), 3).width % jax.device_count() == 0


def test_what_fits_into_memory_is_at_least_one_run(monkeypatch):
    network = tiny.mlp().initialize(jr.key(0))
    monkeypatch.setattr(devices, "_memory", lambda: 0)
    assert devices.runs_that_fit(network, 1000, (2,), 8, in_turn=False) == 1
    monkeypatch.setattr(devices, "_memory", lambda: 2**30)
    many = devices.runs_that_fit(network, 1000, (2,), 8, in_turn=False)
    assert many > devices.runs_that_fit(network, 1000, (2,), 8000, in_turn=False) > 1
    assert many > devices.runs_that_fit(network, 10**7, (2,), 8, in_turn=False) > 1


@pytest.mark.slow
def test_the_memory_estimate_covers_what_the_compiled_program_takes(monkeypatch):
    """XLA's own count for a program of 16 runs, against the estimate of what 16 runs take."""
    runs, network = 16, networks.mlp([20, 64, 64, 1])
    experiment = tiny.experiment(network, tiny.data(features=20), rules.KolenPollack(), runs)
    stacked = experiment.stack([Specification(seed, 1e-2) for seed in range(runs)])
    states = experiment.initialize(stacked)
    zero, one_epoch = jnp.asarray(0, jnp.int32), jnp.asarray(1, jnp.int32)
    program = jax.jit(lambda *given: experiment.programs.advance(*given, zero, one_epoch))
    count = program.lower(stacked, states, experiment.device_data).compile().memory_analysis()
    taken = jax.device_count() * (count.temp_size_in_bytes + count.output_size_in_bytes)
    one = jax.tree.map(lambda leaf: leaf[0], stacked)
    size = devices.state_bytes(devices.rehearse(experiment.recipe.setup, network, one, experiment.device_data))
    monkeypatch.setattr(devices, "_memory", lambda: 2**40)
    estimate = runs * 2**40 / devices.runs_that_fit(network, size, (20,), tiny.BATCH, in_turn=False)
    assert taken < estimate < 50 * taken


class Gained(Backpropagation):
    """Backpropagation times a number of the class, and one of the module."""

    gain = 1.0

    def __call__(self, *given, key):
        credit = super().__call__(*given, key=key)
        return dataclasses.replace(credit, gradients=jax.tree.map(lambda g: self.gain * FACTOR * g, credit.gradients))


FACTOR = 1.0


def test_a_value_that_a_rule_reads_counts_as_it_is_now(monkeypatch):
    """Of the class or of the module: the program of the value before is another one."""

    def loss():
        return tiny.trained(Gained()).train_loss[:, -1].tolist()

    first = loss()
    monkeypatch.setattr(Gained, "gain", 0.5)
    half = loss()
    monkeypatch.setattr(Gained, "gain", 1.0)
    monkeypatch.setitem(globals(), "FACTOR", 0.5)
    assert loss() == half != first


def test_compiled_programs_are_kept_only_where_they_can_be_written(tmp_path, monkeypatch):
    """JAX warns of every program that it cannot write, in a folder of somebody else as on a machine without a home."""
    given = {}
    config = SimpleNamespace(jax_compilation_cache_dir=None, update=given.__setitem__)
    monkeypatch.setattr(devices, "jax", SimpleNamespace(config=config))
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    devices.use_compilation_cache()
    assert not given
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with monkeypatch.context() as one:
        one.setattr(devices.os, "access", lambda *_: False)
        devices.use_compilation_cache()
    assert not given
    devices.use_compilation_cache()
    assert given["jax_compilation_cache_dir"] == str(tmp_path / "ascribe" / "compiled")
    assert (tmp_path / "ascribe" / "compiled").is_dir()
