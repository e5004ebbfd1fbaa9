"""How the tests compile: XLA's flags, which are set before JAX is imported.

Thousands of small programs run once, so compiling is what takes long. XLA's newer emitters take twice as long over a small
program as the older ones, and optimization longer still. Without it, instructions that multiply and add in one rounding are
used in one place and not in another, so that a maximum is not found among the numbers that it was taken from, and gradients
through max pooling are wrong: hence only instructions that have none. XLA ends the process at a flag that it does not know,
so versions and processors that were not tried get one that all know.
"""

import platform
from importlib.metadata import version

TRIED = "--xla_backend_optimization_level=0 --xla_cpu_max_isa=AVX"
TRIED += " --xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1"
KNOWN = version("jaxlib").startswith("0.10.") and platform.machine() in ("x86_64", "AMD64")
FLAGS = TRIED if KNOWN else "--xla_backend_optimization_level=1"
