"""How the tests compile: XLA's flags, which are set before JAX is imported.

Thousands of small programs run once, so compiling is what takes long. XLA's newer emitters take twice as long over a small
program as the older ones, and full optimization longer still. None at all (level 0) is no choice: the gradient through a
normalization and a max pooling is wrong then, or NaN with the newer emitters. XLA ends the process at a flag that it does not
know, so versions that were not tried get only the one that all know.
"""

from importlib.metadata import version

TRIED = (
    "--xla_backend_optimization_level=1 --xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1"
)
FLAGS = TRIED if version("jaxlib").startswith("0.10.") else "--xla_backend_optimization_level=1"
