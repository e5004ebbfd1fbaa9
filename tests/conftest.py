"""Every test runs in float64 with strict promotion, and with shape annotations checked while the package runs.

Most of a test's time is spent compiling programs that run a few times, so XLA leaves out most optimizations, which takes half
the time. A test that computes longer than it compiles takes the fixture `optimized`. `XLA_FLAGS= python -m pytest …` runs all
with the compiler as users have it; the benchmarks and the installed command, processes of their own, always have that one
(`cases.AS_USERS_HAVE_IT`).
"""

import os
from pathlib import Path

import jax
import jax.random as jr
import jaxtyping
import pytest

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ascribe-tests" / "jax"

QUICK = "--xla_cpu_use_fusion_emitters=false"
if jax.__version_info__[:2] == (0, 10):  # another version may not know it, and a flag it does not know ends the process
    os.environ.setdefault("XLA_FLAGS", QUICK)

jax.config.update("jax_disable_most_optimizations", os.environ.get("XLA_FLAGS", QUICK) == QUICK)
jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_num_cpu_devices", 2)
jax.config.update("jax_compilation_cache_dir", str(CACHE))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)

jaxtyping.install_import_hook("ascribe", "beartype.beartype")


def pytest_configure(config):
    """Two test processes may meet at one cache file; JAX then compiles as if it were not there, and says so."""
    config.addinivalue_line("filterwarnings", "ignore:Error (reading|writing) persistent compilation cache:UserWarning")


@pytest.fixture
def getkey():
    """A function that returns another key at each call, the same ones in every test."""
    keys = iter(jr.split(jr.key(0), 1000))
    return lambda: next(keys)


@pytest.fixture
def optimized():
    """Compiled with XLA's optimizations: for a test that computes longer than it compiles."""
    before = jax.config.read("jax_disable_most_optimizations")
    jax.clear_caches()
    jax.config.update("jax_disable_most_optimizations", False)
    yield
    jax.config.update("jax_disable_most_optimizations", before)
    jax.clear_caches()


@pytest.fixture(autouse=True, scope="module")
def programs_are_forgotten():
    """Linux allows a process 65,530 memory maps, and every compiled program takes some: a long session would crash."""
    yield
    maps = Path("/proc/self/maps")
    if maps.exists() and maps.read_text(encoding="utf-8").count("\n") > 20_000:
        jax.clear_caches()
