"""`train`: one rule, many seeds, one compiled program."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ascribe import losses
from ascribe.datasets import DataLike
from ascribe.networks import Network
from ascribe.setup import Setup

from .driver import FINAL
from .named_rules import RuleLike, check_data, check_rule, named_rule
from .network_sources import network_for
from .optimizers import Factory
from .processes import number
from .progress import Listener, or_one_line, silent
from .recipe import Specification, complete, honor
from .results import runs_of
from .runs import Runs
from .seeds import check_seeds
from .trainer import Trainer


def train(
    network: str | Network | Callable[..., Network],
    data: DataLike,
    rule: RuleLike,
    *,
    optimizer: str | Factory | Mapping[str, Any] = "adam",
    learning_rate: float = 1e-3,
    epochs: int = 50,
    batch_size: int = 32,
    seeds: int | Sequence[int] = 8,
    select: str = "last",
    score: str | None = None,
    loss: str | losses.Loss | None = None,
    diagnostics: bool = True,
    quality: int = 0,
    only: str | None = None,
    devices_per_run: int = 1,
    listener: Listener | None = None,
) -> Runs:
    """Trains one rule over many seeds in one compiled program.

    **Arguments:**

    - `network`: hidden layers as `"64x64"` (`networks.build`), a template, initialized anew for each seed, or a factory
      `key -> Network`;
    - `data`: a `Dataset`, or what `datasets.load` makes one of: a name, a path, a data frame, a pair of arrays;
    - `rule`: a rule or its name; `loss`: by default cross entropy for classes (Bernoulli for a single output), squared
      error for numbers;
    - `optimizer`: a name, a factory `learning_rate -> optax.GradientTransformation` (schedules included: the rate is a
      traced array), or a mapping of the labels `network`, `auxiliary`, `feedback` to either;
    - `epochs`, `batch_size`, `seeds` (a number, or a list of integers);
    - `select`: the network that is tested, of the `"last"` epoch or of the `"best-validation"` one;
    - `score`: the measure that says which is the best, and that results name first: `"accuracy"` (the default for classes),
      `"balanced_accuracy"`, `"macro_f1"`, `"auc"`, `"log_loss"` or `"loss"`; for numbers `"rmse"` (the default), `"r2"` or
      `"loss"`. It is recorded on validation after every epoch; the test split is measured by all of them in the end;
    - `diagnostics`: measure the angle to backpropagation's gradient after every epoch (costs two gradients);
    - `quality`: after every epoch draw the rule's credit so many times, each with a batch and randomness of its own, and record
      its signal-to-noise ratio and its bias against backpropagation, by layer (`credit_snr/linear1`, `credit_bias/linear1`;
      costs two gradients a draw); 0 for none;
    - `only`: the name of the one layer with weights that is trained, or `"first"` or `"last"` of them; all others of the
      network stay as they began;
    - `devices_per_run`: how many devices divide every batch of a run, for networks that keep one busy; the others train
      other runs. The numbers are those of one device, to rounding;
    - `listener`: called with a `Progress` between chunks of epochs; a logger (`ascribe.loggers`) hears the numbers too. By
      default a notebook shows one line (`OneLine`), and nobody hears anything elsewhere; `silent` is nobody anywhere.

    **Returns:** `Runs`. A run that diverges is recorded as such and leaves its neighbors alone. A rule that needs another
    network, encoded inputs or settings of its own gets them, and `runs.notes` says so.

    **Raises:** `UserError` for anything that does not fit together, before anything is compiled.
    """
    setup = Setup(
        optimizer=optimizer,
        learning_rate=learning_rate,
        epochs=epochs,
        batch_size=batch_size,
        select=select,
        score=score,
        loss=loss,
        diagnostics=diagnostics,
        quality=quality,
        only=only,
        devices_per_run=devices_per_run,
    )
    data = check_data(data)
    name, built = named_rule(rule)
    check_rule(built, name, data)
    recipe = complete(honor(built, name, network_for(network, data), data, setup))
    chosen = [Specification(seed, recipe.setup.learning_rate) for seed in check_seeds(seeds)]
    recipe = dataclasses.replace(recipe, width=len(chosen))
    trainer = Trainer(recipe, listener=or_one_line(listener) if number() == 0 else silent)
    trainer.experiment.check_results(len(chosen))
    notes = () if only is None else (f"only {recipe.setup.only} was trained",)
    return runs_of(trainer, chosen, trainer.train(chosen, FINAL), data, notes)
