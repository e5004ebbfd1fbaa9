"""`discover`: learn a b-function on one data set, then say honestly what it is worth.

The search itself is in `search/discover.py`. What it found is compared on fresh seeds with backpropagation at the same rate
(the comparison of "Function changes in the Backpropagation equation is equivalent to an implicit learning rate", figure
2b), with backpropagation at a rate that is learned as g was, for the same area, and at one tuned as in `compare`, by
validation; and with controls that tell a shape from a size: c·σ' with tuned c, and noise of the same size; then on another
width and on other data.
"""

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict, Unpack

import jax.numpy as jnp
import numpy as np

from ascribe import datasets, networks, rules, search, training
from ascribe.checks import at_least, flag, positive
from ascribe.checksums import checksum
from ascribe.datasets import DataLike, Dataset
from ascribe.errors import Interrupted, UserError, shown
from ascribe.memory import check_room
from ascribe.networks import Network
from ascribe.rules import AbstractRule, Backpropagation, BFunction, MatchedNoise, WhereSlope
from ascribe.search import Evaluations, Objective, Space
from ascribe.training import Checkpoint, Engine, Keeper, Listener, NetworkSource, Setup
from ascribe.training.progress import or_one_line

from . import discovery
from .compare import compare
from .comparison import Comparison
from .discovery import Discovery
from .plan import TUNING_SEEDS
from .stores import open_store, recorded_end, versions, warn_outdated

AfterRound = Callable[[str, Evaluations], None]


class Training(TypedDict, total=False):
    """How the target network is trained while g is searched: the settings of a `Setup` that `discover` takes."""

    optimizer: str
    learning_rate: float
    epochs: int
    batch_size: int
    loss: str | None


TRAINING = Training(optimizer="sgd", learning_rate=0.01, epochs=10, batch_size=32, loss=None)
"""The defaults of these."""


def discover(
    data: DataLike,
    *,
    network: str | NetworkSource = "64x64",
    activation: str = "relu",
    layer: str | None = None,
    hidden: int = 1,
    hidden_activation: str = "tanh",
    bound: float = 3.0,
    evaluations: int = 200,
    batch: int = 8,
    seeds: int = 8,
    fresh_seeds: int = 20,
    tune: int = 8,
    random_search: bool = True,
    widths: bool = True,
    transfer: DataLike | None = "auto",
    seed: int = 0,
    listener: Listener | None = None,
    after_round: AfterRound = lambda kind, evaluations: None,
    command: str | None = None,
    store: str | Path | Keeper | None = None,
    cluster: Engine | None = None,
    **options: Unpack[Training],
) -> Discovery:
    """Learns a b-function and compares it.

    **Arguments:**

    - `data`: a `Dataset`, or what `datasets.load` makes one of: a name, a path, a data frame, a pair of arrays;
    - `network`, `activation`: the target network, as in `compare`;
    - `optimizer` ("sgd"), `learning_rate` (0.01), `epochs` (10), `batch_size` (32), `loss`: its training, as in `compare`; the
      rate is not tuned, for the search is to make up for that;
    - `layer`: the activation layer (or the layer before it) whose derivative is learned; by default the last hidden one;
    - `hidden`, `hidden_activation`, `bound`: the meta-network (`rules.MetaNetwork`), and how large each number of ω may get;
    - `evaluations`, `batch`, `seeds`: candidates in all, candidates at a time, seeds of each;
    - `fresh_seeds`, `tune`: seeds of the comparison, and candidate rates of what is tuned in it (three times as many of
      what is tuned for the area);
    - `random_search`: also search at random with the same budget;
    - `widths`: whether the found g is tried in a network of twice the width too;
    - `transfer`: other data on which the found g is tried; `"auto"` chooses, None leaves it out;
    - `seed`: of the search itself;
    - `store`: a folder, an SQLite file, the address of a server, or an open `ascribe.store.Store`, where every run and every
      finished round is kept: the same search goes on from there, to the result that an uninterrupted one has;
    - `cluster`: an `ascribe.Cluster`, whose workers train the candidates and the comparison;
    - `after_round(kind, evaluations)`: called with everything tried so far, `kind` being `"bayesian"` or `"random"`.

    **Raises:** `UserError` for anything that does not fit together, before anything is compiled.
    """
    training.processes.alone("a search for a b-function")
    counts = {"evaluations": evaluations, "batch": batch, "seeds": seeds, "tune": tune}
    evaluations, batch, seeds, tune = (at_least(1, name, value) for name, value in counts.items())
    fresh_seeds, seed = at_least(2, "fresh_seeds", fresh_seeds), at_least(0, "seed", seed)
    random_search, widths = flag("random_search", random_search), flag("widths", widths)
    if not callable(after_round):
        raise UserError(f"`after_round` is a function of a kind and what was tried; got {shown(after_round)}.")
    unknown = [name for name in options if name not in TRAINING]
    if unknown:
        raise TypeError(f"discover() got an unexpected keyword argument {unknown[0]!r}")
    settings: Training = {**TRAINING, **options}
    setup, bound = Setup(**settings, diagnostics=False), positive("bound", bound)
    data = training.check_data(data)
    source = training.network_for(network, data, activation)
    template = training.template_of(source)
    layer = _layer(template, layer)
    space = Space(layer, hidden, hidden_activation, bound)
    training.check_seeds(fresh_seeds)
    search_seeds = _search_seeds(seeds, max(evaluations, batch, tune), space)
    elsewhere = _elsewhere(network, data, activation, widths=widths, transfer=transfer)
    _check_elsewhere(elsewhere, layer, setup)
    keeper = open_store(store)
    further = {"placed": {}, "keeper": keeper, "engine": cluster, "listener": or_one_line(listener)}
    target = _Target(data, source, setup, {"seeds": search_seeds, "batch": batch, **further})
    objective = target.objective(space.rule(), "b-function", space.place, dimensions=space.dimensions)
    if keeper.keeps and keeper.experiment is None:
        keeper.begin(experiment_of(data), command=command)
    with recorded_end(keeper):
        kinds = [search.BAYESIAN, *([search.RANDOM] if random_search else [])]
        found = {kind: _searched(objective, space, kind, evaluations, seed, keeper, after_round) for kind in kinds}
        tried = found[search.BAYESIAN]
        few = search.best_few(space, tried, 1 + len(discovery.OTHERS))
        best, *others = [space.rule(tried.points[number]) for number in few]
        common = {**settings, "seeds": fresh_seeds, "diagnostics": False, "listener": listener}
        common |= {"store": keeper, "cluster": cluster, "tune_seeds": min(3, seeds)}
        comparisons, factor, tried_rates = _compare_found(target, space, best, others, tune, common, elsewhere)
        configuration = target.described(objective) | {"space": dataclasses.asdict(space), "batch": batch, "seed": seed}
        configuration |= {"evaluations": evaluations, "initial": space.initial, "fresh_seeds": fresh_seeds}
        configuration |= {"tune": tune, "versions": versions(), "command": command}
        random, predicted = found.get(search.RANDOM), search.left_out(tried)
        result = Discovery(data, space, tried, few, random, predicted, comparisons, factor, configuration)
        if keeper.keeps:
            keys = {f"{kind} search": objective.keys(one.points) for kind, one in found.items()}
            keeper.end("finished", configuration=configuration, keys=keys | tried_rates)
    if keeper is not store:
        keeper.close()
    return result


@dataclasses.dataclass(frozen=True)
class _Target:
    """The network whose training a search looks at. `further`: of every `Objective`, its seeds among them."""

    data: Dataset
    source: NetworkSource
    setup: Setup
    further: Mapping[str, Any]

    def objective(
        self, rule: AbstractRule, name: str, place: Callable[[np.ndarray], tuple[tuple[str, Any], ...]], **own: Any
    ) -> Objective:
        """What a rule's numbers are worth: the area under the training loss."""
        recipe = training.complete(training.honor(rule, name, self.source, self.data, self.setup))
        return Objective(recipe, place, **own, **self.further)

    def described(self, objective: Objective) -> dict[str, Any]:
        """What the record says of it, and of how it is trained in the search."""
        template, recorded = training.template_of(self.source), self.setup.recorded()
        return {
            "data": self.data.summary(),
            "network": str(template),
            "structure": template.config(),
            "training": {**{name: recorded[name] for name in TRAINING}, "loss": objective.trainer.recipe.loss.name},
            "search_seeds": list(objective.seeds),
            "penalty": objective.penalty,
        }

    def tuned_factor(self, space: Space, count: int) -> tuple[float, list[str]]:
        """The c of c·σ' with the least area, on the search's own seeds: what a larger rate in these layers alone achieves; and
        what the runs that were tried are kept under."""
        place = lambda point: (("scale", float(point[0])),)
        objective = self.objective(BFunction({space.layer: "exact"}), "c·σ'", place, dimensions=1)
        return _least(objective, search.candidates(count, {"c": (discovery.LEAST_FACTOR, space.largest)})["c"])

    def rates_for_area(self, best: BFunction, count: int) -> tuple[dict[str, float], dict[str, list[str]]]:
        """The learning rates with the least area of backpropagation and of the found g, on the search's own seeds: learned as g
        was, but one number; and what the runs that were tried are kept under."""
        ends, rates, keys = training.optimizers.search_range(self.setup.optimizer), {}, {}
        for name, rule in ((discovery.FOR_AREA, Backpropagation()), (discovery.FOUND_FOR_AREA, best)):
            rate = lambda point: float(point[0])
            objective = self.objective(rule, name, lambda point: (), dimensions=1, rate=rate)
            points = search.candidates(count, {search.LEARNING_RATE: ends})[search.LEARNING_RATE]
            rates[name], keys[name] = _least(objective, points)
        return rates, keys


def _least(objective: Objective, numbers: np.ndarray) -> tuple[float, list[str]]:
    points = numbers[:, None]
    return float(numbers[int(np.argmin(objective(points).values))]), objective.keys(points)


def _search_seeds(count: int, candidates: int, space: Space) -> tuple[int, ...]:
    """The seeds of the search, if the runs of so many candidates, and what is told apart by them, fit into memory."""
    training.check_runs(count * candidates)
    # A Gaussian process has a few matrices of all pairs of candidates.
    size = 8 * candidates * (4 * candidates + 8 * space.dimensions)
    check_room(f"a search among {shown(candidates)} candidates", size, "choose fewer")
    return training.check_seeds(range(TUNING_SEEDS, TUNING_SEEDS + count))


def experiment_of(data: Dataset) -> str:
    """The name of the experiment that a store keeps."""
    return f"b-function on {data.name}"


def _searched(
    objective: Objective, space: Space, kind: str, evaluations: int, seed: int, keeper: Keeper, after_round: AfterRound
) -> Evaluations:
    """All rounds of one kind. A store keeps the points of every finished one, and, under their own keys, their runs."""
    # Without a store nobody asks for a key, which the source of every rule would be read for.
    key = (
        ""
        if not keeper.keeps
        else checksum([objective.keys(objective.middle), dataclasses.asdict(space), objective.batch, kind, seed])
    )
    kept = keeper.checkpoint(key)
    if kept is None and kind == search.BAYESIAN:
        warn_outdated(objective.outdated)
    done = objective.empty if kept is None else objective(kept.leaves[0])

    def keep(tried: Evaluations) -> None:
        keeper.save(key, Checkpoint(len(tried), [tried.points]))
        after_round(kind, tried)
        if keeper.stopping:
            raise Interrupted(f"stopped after {len(tried)} of {evaluations} evaluations ({kind})")

    return search.search(
        objective, done, evaluations=evaluations, batch=objective.batch, kind=kind, seed=seed, after_round=keep
    )


def _controls(
    best: BFunction, others: Sequence[BFunction], layer: str, factor: float, replaced: str
) -> dict[str, AbstractRule]:
    """What is compared at the same rate: the functions that were found, and what tells their shape from their size."""
    controls: dict[str, AbstractRule] = {discovery.FOUND: best, **dict(zip(discovery.OTHERS, others, strict=False))}
    controls |= {discovery.SCALED: BFunction({layer: "exact"}, scale=factor), discovery.NOISE: MatchedNoise(best)}
    if bool(jnp.any(networks.activations.get(replaced).derivative(jnp.asarray(search.Z)) == 0)):
        controls[discovery.WITHOUT_ZERO] = BFunction({layer: WhereSlope(best.derivative[layer], replaced)})
    return controls


def _compare_found(
    target: _Target,
    space: Space,
    best: BFunction,
    others: Sequence[BFunction],
    tune: int,
    common: Mapping[str, Any],
    elsewhere: Mapping[str, tuple[Dataset, NetworkSource]],
) -> tuple[dict[str, tuple[Comparison, ...]], float, dict[str, list[str]]]:
    """The comparisons of every setting; the tuned c of the control; what the runs are kept under that tuned it and the rates
    for the area. `common`: how `compare` trains and where it keeps that."""
    factor, tried_factors = target.tuned_factor(space, tune)
    rates, tried_rates = target.rates_for_area(best, discovery.FINER * tune)
    replaced = training.template_of(target.source)[space.layer].function
    controls, keeper = _controls(best, others, space.layer, factor, replaced), common["store"]
    with keeper.part(discovery.SEARCHED):
        comparisons = {discovery.SEARCHED: _compare(target.data, target.source, best, controls, common, tune, rates)}
    for setting, (there, its_network) in elsewhere.items():
        own = common if there is target.data else {**common, "loss": None}
        with keeper.part(setting):
            same = {name: controls[name] for name in (discovery.FOUND, discovery.SCALED)}
            comparisons[setting] = _compare(there, its_network, best, same, own, tune)
    return comparisons, factor, {discovery.SCALED: tried_factors, **tried_rates}


def _compare(
    data: Dataset,
    source: NetworkSource,
    best: BFunction,
    controls: Mapping[str, AbstractRule],
    common: Mapping[str, Any],
    tune: int,
    rates: Mapping[str, float] | None = None,
) -> tuple[Comparison, ...]:
    """Fresh runs of one setting: everything at the same rate; what is tuned. With `rates`, those that were tuned for the area,
    also what they are worth, and a learned rate where the optimizer has one."""
    common = {**common, "network": source, "controls": ()}  # the rules of a discovery have controls of their own
    tuned = {name: value for name, value in common.items() if name != "learning_rate"}
    parts = [
        compare(data, rules={discovery.SAME: Backpropagation(), **controls}, **common),
        compare(data, rules={discovery.TUNED: Backpropagation(), discovery.FOUND_TUNED: best}, tune=tune, **tuned),
    ]
    for name, rate in (rates or {}).items():
        rule = best if name == discovery.FOUND_FOR_AREA else Backpropagation()
        parts.append(compare(data, rules={name: rule}, **{**common, "learning_rate": rate}))
    hypergradient = f"hypergradient-{common['optimizer']}"
    if rates and hypergradient in training.optimizers.OPTIMIZERS:
        parts.append(compare(data, rules={discovery.LEARNED: Backpropagation()}, **{**common, "optimizer": hypergradient}))
    return tuple(parts)


def _layer(template: Network, layer: str | None) -> str:
    hidden = rules.hidden_activations(template)
    if not hidden:
        raise UserError("this network has no hidden activation, so there is no derivative to learn: give it hidden layers.")
    return hidden[-1] if layer is None else rules.activation_of(template, layer)


def _elsewhere(
    network: Any, data: Dataset, activation: str, *, widths: bool, transfer: DataLike | None
) -> dict[str, tuple[Dataset, NetworkSource]]:
    """Where the found g is tried besides: in a network of twice the width, on other data. Only a network that is given as a
    text can be built anew for these."""
    found: dict[str, tuple[Dataset, NetworkSource]] = {}
    if not isinstance(network, str):
        if transfer is not None and not _is_auto(transfer):
            raise UserError(
                "a network can be built for other data if it is given as a text, as in '64x64': leave `transfer` out."
            )
        return found
    wider = _wider(network) if widths else None
    if wider is not None:
        found[f"network {wider}"] = (data, training.network_for(wider, data, activation))
    other = _other_data(transfer, data, training.template_of(training.network_for(network, data, activation)))
    if other is not None:
        found[f"data {other.name}"] = (other, training.network_for(network, other, activation))
    return found


def _check_elsewhere(elsewhere: Mapping[str, tuple[Dataset, NetworkSource]], layer: str, setup: Setup) -> None:
    """A `UserError`, before the search and not hours later, where the found g would not fit."""
    setup = dataclasses.replace(setup, loss=None)
    for data, network in elsewhere.values():
        rules.activation_of(training.template_of(network), layer)
        training.complete(training.honor(Backpropagation(), discovery.SAME, network, data, setup))


def _wider(network: str) -> str | None:
    """A network of twice the width, where the text says how wide it is."""
    text = network.strip().lower()
    if re.fullmatch(r"[1-9]\d*(x[1-9]\d*)*", text):
        return "x".join(str(2 * int(size)) for size in text.split("x"))
    thin = re.fullmatch(r"simplenet/([1-9]\d*)", text)
    return f"simplenet/{int(thin[1]) // 2}" if thin and int(thin[1]) % 2 == 0 else None


def _is_auto(transfer: DataLike) -> bool:
    return isinstance(transfer, str) and transfer == "auto"


def _other_data(transfer: DataLike | None, data: Dataset, template: Network) -> Dataset | None:
    """The data that the found g is carried over to; by itself it chooses the two moons, and for networks
    of images and of sequences digits."""
    if transfer is None:
        return None
    if not _is_auto(transfer):
        return training.check_data(transfer)
    of_sequences = ("digit-rows", "mnist-rows") if len(data.input_shape) == 2 else ("digits", "mnist")
    first, second = ("moons", "digits") if template.first.wants_vectors else of_sequences
    try:
        return datasets.load(second if data.name == first else first, seed=0)
    except UserError:  # not at hand
        return None
