"""Every test runs in float64 with strict promotion, and with shape annotations checked while the package runs."""

import gc
import importlib
import os
import sys
from pathlib import Path

from .compiling import FLAGS

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # the tests' matrices are small: a second thread only waits
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {FLAGS}"

import jax
import jax.random as jr
import jaxtyping
import pytest

from .budget import Budget

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ascribe-tests" / "jax"

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_num_cpu_devices", 2)
jax.config.update("jax_compilation_cache_dir", str(CACHE))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)

# Before anything imports the package. Checking annotations takes three seconds: where tests are only listed, nothing is called.
if not {"--collect-only", "--collectonly", "--co"} & set(sys.argv):
    jaxtyping.install_import_hook("ascribe", "beartype.beartype")

# Programs and traces are millions of objects that stay: looking through them for garbage takes long.
gc.set_threshold(100_000, 20, 50)


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """All that is imported and listed stays too."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_configure(config):
    config.pluginmanager.register(Budget())
    # Two test processes may meet at one cache file; JAX then compiles as if it were not there, and says so.
    config.addinivalue_line("filterwarnings", "ignore:Error (reading|writing) persistent compilation cache:UserWarning")


@pytest.fixture
def getkey():
    """A function that returns another key at each call, the same ones in every test."""
    keys = iter(jr.split(jr.key(0), 1000))
    return lambda: next(keys)


@pytest.fixture
def as_installed():
    """Nothing but the package itself looks at what it is given, as at a user's: annotations are not checked."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture(autouse=True, scope="session")
def without_controls():
    """A comparison trains no controls that it is not asked for: they are two programs more, and have tests of their own. What
    other processes compare has them."""
    settings = importlib.import_module("ascribe.setup")
    usual, settings.DEFAULT_CONTROLS = settings.DEFAULT_CONTROLS, ()
    yield
    settings.DEFAULT_CONTROLS = usual


@pytest.fixture
def few_figures(monkeypatch):
    """Figures take long and have tests of their own: elsewhere a page has two at most, and no files of them are written."""
    drawing = importlib.import_module("ascribe.report.figures")
    few = {"learning_curves": drawing.learning_curves, "loss_surface": drawing.loss_surface}
    monkeypatch.setattr(drawing, "_FIGURES", few)
    monkeypatch.setattr(importlib.import_module("ascribe.report.page"), "write_vectors", lambda *_: [])


@pytest.fixture(autouse=True, scope="module")
def programs_are_forgotten():
    """Linux allows a process 65,530 memory maps, and every compiled program takes some: a long session would crash."""
    yield
    maps = Path("/proc/self/maps")
    if maps.exists() and maps.read_text(encoding="utf-8").count("\n") > 50_000:
        jax.clear_caches()
