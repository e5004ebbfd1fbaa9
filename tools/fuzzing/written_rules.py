"""Rule files of the user's own in which one thing is wrong."""

import ascribe
from ascribe import datasets, networks, rules

from .children import Input
from .spoiling import spoiled
from .valid import COMPARE, Maker

HEAD = '''"""A rule."""
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import sys
from ascribe.rules import AbstractRule, Backpropagation, Credit, Trainables, hyperparameter

class R(AbstractRule):
'''
CALL = """
    def __call__(self, trainables, state, batch, *, key):
        credit = Backpropagation()(trainables, None, batch, key=key)
        loss, gradients, network_state = credit.loss, credit.gradients, credit.network_state
        {line}
        return Credit(loss, gradients, state, network_state)
"""
LINES = (
    *(
        "loss = None",
        "loss = 'x'",
        "loss = jnp.zeros(3)",
        "loss = 1",
        "loss = 1j * loss",
        "loss = [loss]",
        "loss = np.float64(1)",
    ),
    *(
        "gradients = None",
        "gradients = 5",
        "gradients = jax.tree.map(float, gradients)",
        "gradients = [gradients]",
        "gradients = {}",
    ),
    *("gradients = jax.tree.map(lambda g: g[:1], gradients)", "gradients = jax.tree.map(lambda g: 1j * g, gradients)"),
    *(
        "gradients = jax.tree.map(lambda g: g.astype(int), gradients)",
        "gradients = jax.tree.map(lambda g: None, gradients)",
    ),
    *("gradients = jax.tree.map(lambda g: g.sum(), gradients)", "gradients = jax.tree.map(lambda g: 'x', gradients)"),
    *(
        "gradients = jax.tree.map(lambda g: jnp.nan * g, gradients)",
        "gradients = jax.tree.map(lambda g: g.T, gradients)",
    ),
    *(
        "state = jnp.zeros(3)",
        "state = 'x'",
        "state = object()",
        "state = [1]",
        "network_state = 5",
        "network_state = {'x': loss}",
    ),
    *(
        "return None",
        "return loss",
        "return loss, gradients",
        "return Credit(loss, gradients)",
        "return credit.gradients",
        "return 5",
    ),
    *(
        "raise ValueError('of its own')",
        "raise OSError(5, 'of its own')",
        "raise KeyError('x')",
        "1 / 0",
        "sys.exit(0)",
        "sys.exit('x')",
    ),
    *("raise SystemExit", "raise RecursionError", "assert False", "raise StopIteration", "raise MemoryError"),
    *(
        "if loss > 0: pass",
        "float(loss)",
        "gradients.linear1",
        "jnp.zeros(3) @ jnp.zeros(4)",
        "batch.inputs.x",
        "yield",
        "raise Exception",
    ),
    *(
        "raise UnicodeError('\\udcff')",
        "jnp.asarray('x')",
        "np.asarray(loss)",
        "raise NotImplementedError('a\\nb')",
        "loss.block_until_ready()",
    ),
)
WRONG = (
    *(
        "None",
        "5",
        "'x'",
        "[]",
        "object()",
        "jnp.zeros(3)",
        "(1, 2, 3)",
        "{'a': 'x'}",
        "{'a': jnp.zeros(3)}",
        "{5: 1.0}",
        "{'a': None}",
    ),
    *(
        "jnp.nan",
        "lambda: None",
        "AbstractRule",
        "np.zeros((0,))",
        "('x',)",
        "'unit-interval'",
        "('unit-interval', 'x')",
        "{'a': 1j}",
    ),
    *(
        "1 / 0",
        "sys.exit(0)",
        "[][1]",
        "{}['x']",
        "open('/nowhere/x')",
        "None.x",
        "(None, None)",
        "(5, 5)",
        "trainables, state, 3",
    ),
)
HOOKS = {
    "init": "self, network, data, *, key",
    "trainables": "self, network, data, *, key",
    "after_update": "self, trainables, state",
    "after_epoch": "self, trainables, state, data, *, epoch",
    "metrics": "self, trainables, state, batch, *, before, after",
    "notes": "self, curves",
    "finish": "self, trainables, state, data",
    "feedback": "self, trainables, state",
    "encoding": "self, data",
    "adapt": "self, network, data",
}
FIELDS = (
    *(
        "tasks = 5",
        "tasks = None",
        "tasks = ('x',)",
        "tasks = 'binary'",
        "tasks = ()",
        "forced = 5",
        "forced = {'x': 1}",
        "forced = {'epochs': 3}",
    ),
    *(
        "forced = {'optimizer': 'x'}",
        "forced = {'optimizer': None}",
        "forced = {'learning_rate': 'x'}",
        "forced = {'batch_size': -1}",
    ),
    *(
        "forced = {'learning_rate': -1.0}",
        "x: int",
        "x: float = hyperparameter(5.0, '[0, 1]')",
        "x: float = hyperparameter('x')",
        "init = 5",
    ),
    *(
        "__call__ = 5",
        "metrics = None",
        "finish = 'x'",
        "x: object = eqx.field(default_factory=object)",
        "x: float = jnp.nan",
        "notes = ()",
    ),
    *(
        "def __init__(self): raise OSError(2, 'gone')",
        "def __init__(self, x): pass",
        "def __init__(self): pass",
        "def __post_init__(self): 1 / 0",
    ),
    *(
        "x: list = eqx.field(default_factory=list, static=True)",
        "def __check_init__(self): raise ValueError('x')",
        "forced = {'optimizer': {'x': 'sgd'}}",
    ),
)
FILES = (
    *(
        "",
        "x",
        "import nowhere",
        "raise ValueError('x')",
        "import sys; sys.exit(0)",
        "import sys; sys.exit(3)",
        "raise SystemExit('x')",
        "R = 5",
    ),
    *(
        "R = None",
        "def R(): return None",
        "def R(): return 5",
        "def R(x): pass",
        "class R: pass",
        "R = lambda: 1 / 0",
        "class R(",
        "\x00",
        "1 / 0",
    ),
    *("import os; os.chdir('/')", "print('x')", "from ascribe.rules import AbstractRule as R", "R = 'backprop'"),
    *(
        "from ascribe.rules import Backpropagation as R",
        "from ascribe.rules import Backpropagation\nR = Backpropagation()",
        "raise RecursionError",
    ),
    *(
        "def f(): f()\nf()",
        "# -*- coding: nonsense -*-",
        "\tx",
        "class R:\n  tasks = ()\n  def __call__(self): pass",
        "R = [R for R in ()]",
    ),
)


def rule_files(maker: Maker) -> Input:
    """A file with a rule in which one hook returns something wrong, raises, ends the process, or that is no such file."""
    chance = maker.chance
    kind = chance.randrange(10)
    if kind < 4:
        what = chance.choice(LINES)
        text = HEAD + CALL.format(line=what)
    elif kind < 7:
        hook, wrong = chance.choice(sorted(HOOKS)), chance.choice(WRONG)
        what = f"{hook}: return {wrong}"
        signature = HOOKS[hook] if chance.random() < 0.9 else "self"
        text = HEAD + f"    def {hook}({signature}):\n        return {wrong}\n" + CALL.format(line="pass")
    elif kind == 7:
        what = chance.choice(FIELDS)
        text = HEAD + f"    {what}\n" + ("" if "__call__" in what else CALL.format(line="pass"))
    else:
        what = chance.choice(FILES)
        text = what
    data = text.encode("utf-8", errors="surrogatepass")
    if kind == 9 and chance.random() < 0.4:
        what, data = "spoiled text", spoiled(chance, (HEAD + CALL.format(line="pass")).encode())
    path = maker.write("input_rule.py", data)
    name = chance.choice((":R",) * 12 + (":Nowhere", ":", "", ":R:R", ":__doc__", ":jnp"))
    given = f"{path}{name}"
    way = chance.randrange(10)
    if way < 4:
        return Input(f"{what!r} in compare --rules x.py{name}", [*COMPARE, "--rules", given, "--out", "out"])
    if way < 6:
        return Input(f"{what!r} in rules.get", lambda: rules.get(given))
    if way < 7:
        return Input(f"{what!r} in verify", lambda: _verified(given))
    return Input(f"{what!r} in train", lambda: _trained(given))


def _trained(given: str) -> None:
    data = datasets.load("moons", samples=20)
    ascribe.train(networks.mlp([2, 2, 1]), data, given, epochs=1, seeds=1, batch_size=8)


def _verified(given: str) -> None:
    network = networks.mlp([2, 2, 1])
    ascribe.verify(rules.get(given), network, datasets.load("moons", samples=20).train)
