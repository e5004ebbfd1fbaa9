"""Programs of the playground, run by Node."""

import json
import shutil
import subprocess
import tempfile
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ascribe.playground import emitter, programs

NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="no Node is installed, which runs the page's script here")

RUN_PROGRAMS = """
const job = JSON.parse(require("fs").readFileSync(process.argv[3]));
const Ascribe = require(process.argv[2]);
const found = job.map(({ program, sizes, inputs }) => {
  const made = Ascribe.program(program, sizes || {});
  const once = () => {
    inputs.forEach((one, k) => made.inputs[k].array.set(one.map(Number)));
    made.run();
    return made.outputs.map(({ array }) => Array.from(array, String));
  };
  const first = once(), second = once();
  if (JSON.stringify(first) !== JSON.stringify(second)) throw new Error("a program remembers what it ran before");
  return first;
});
require("fs").writeFileSync(process.argv[4], JSON.stringify(found));
"""


def node(script, job):
    """What a script makes of a job; it is given the paths of the engine, of the job and of its answer."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, name) for name in ("run.js", "engine.js", "job.json", "found.json")]
        for path, text in zip(paths, (script, programs.engine(), json.dumps(job)), strict=False):
            path.write_text(text, encoding="utf-8")
        done = subprocess.run([NODE, *map(str, paths)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(paths[3].read_text(encoding="utf-8"))


def numbers(texts):
    return np.array([float(text.replace("Infinity", "inf")) for text in texts])


def raw(leaf):
    """An array as the engine has it, flat, in float64."""
    key = jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    return np.asarray(jax.random.key_data(leaf) if key else leaf).ravel().astype(np.float64)


def ran(cases):
    """The outputs of `(function, arguments)` in JAX, and of their programs in Node: pairs of flat arrays, for each case."""
    jobs = []
    for function, given in cases:
        program, _ = emitter.emit(function, *given)
        inputs = [[str(one).replace("inf", "Infinity") for one in raw(leaf)] for leaf in jax.tree.leaves(given)]
        jobs.append({"program": program, "inputs": inputs})
    wanted = jax.jit(lambda every: [function(*given) for (function, _), given in zip(cases, every, strict=True)])(
        [given for _, given in cases]
    )
    found = node(RUN_PROGRAMS, jobs)
    return [
        [(raw(ours), numbers(theirs)) for ours, theirs in zip(jax.tree.leaves(one), outputs, strict=True)]
        for one, outputs in zip(wanted, found, strict=True)
    ]
