"""`discover`: learn a b-function on one data set, then say honestly what it is worth.

The search itself is in `search/discover.py`. What it found is compared on fresh seeds with backpropagation at the same rate
(the comparison of "Function changes in the Backpropagation equation is equivalent to an implicit learning rate", figure
2b), with backpropagation at a rate that is learned as g was, for the same area, and at one tuned as in `compare`, by
validation; and with controls that tell a shape from a size: c·σ' with tuned c, and noise of the same size; then on another
width and on other data.
"""

import contextlib
import dataclasses
import functools
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from ascribe import datasets, networks, report, rules, search, store
from ascribe.arguments import at_least, flag
from ascribe.datasets import DataLike, Dataset
from ascribe.errors import Interrupted, UserError, shown
from ascribe.measures import AREA, main_score
from ascribe.memory import check_room
from ascribe.networks import Network
from ascribe.rules import AbstractRule, Backpropagation, BFunction, MatchedNoise, WhereSlope
from ascribe.search import Evaluations, Objective, Space
from ascribe.store import Store
from ascribe.training import (
    Engine,
    Listener,
    check_data,
    check_runs,
    check_seeds,
    honor,
    made,
    make_settings,
    network_for,
    optimizers,
    positive,
    processes,
)
from ascribe.training.keeping import Checkpoint, key_of
from ascribe.training.progress import or_one_line

from .compare import compare
from .comparison import Comparison
from .plan import TUNING_SEEDS
from .stores import open_store, recorded_end, versions, warn_outdated

SEARCHED = "as searched"
SAME, FOUND, SCALED, NOISE = "backpropagation", "found g", "c·σ', tuned c", "noise of g's size"
OTHERS = ("found g, B", "found g, C")
"""The next best that are functions of their own; the found g is A."""
WITHOUT_ZERO = "found g, 0 where σ' = 0"
TUNED, FOUND_TUNED, LEARNED = "backpropagation, tuned rate", "found g, tuned rate", "backpropagation, learned rate"
FOR_AREA, FOUND_FOR_AREA = "backpropagation, rate tuned for area", "found g, rate tuned for area"
LEAST_FACTOR = 0.1
"""The control c·σ' is looked for from this c to the largest value that g can have, with as many candidates as a rate."""
FINER = 3
"""So many times the candidates of `tune` has a rate that is tuned for the area: g has as many as the whole search."""

AfterRound = Callable[[str, Evaluations], None]


@dataclasses.dataclass(frozen=True, repr=False)
class Discovery:
    """A finished search and what became of it.

    `evaluations`: what the Bayesian search tried; `best`: the numbers of the best of them that are functions of their own, A,
    B and C of the figure; `random`: what the random one did with the same budget, or None;
    `predicted`: mean and standard deviation that the Gaussian process gives each evaluation from all the others,
    `(n, 2)`; `comparisons[setting]`: the fresh runs, one `Comparison` or several of one setting; `factor`: the tuned c of the
    control; `configuration`: everything that was asked for, as plain JSON values.
    """

    data: Dataset
    space: Space
    evaluations: Evaluations
    best: tuple[int, ...]
    random: Evaluations | None
    predicted: np.ndarray
    comparisons: dict[str, tuple[Comparison, ...]]
    factor: float
    configuration: dict[str, Any]

    def __repr__(self) -> str:
        best = self.evaluations.values.min()
        return f"<b-function found on {self.data.name}: area {best:.4g} after {len(self.evaluations)} evaluations>"

    @property
    def rule(self) -> BFunction:
        """The rule with the best g_ω."""
        return self.space.rule(self.evaluations.points[self.evaluations.best])

    @property
    def touched(self) -> tuple[str, ...]:
        """The numbers of the best ω at the end of the box that was searched: a larger `bound` may find a better one."""
        return self.space.touched(self.evaluations.points[self.evaluations.best])

    @property
    def replaced(self) -> str:
        """The name of the activation whose derivative g replaces."""
        return str(networks.from_config(self.configuration["structure"])[self.space.layer].function)

    def exact(self, z: np.ndarray) -> np.ndarray:
        """σ'(z), which g replaces."""
        return np.asarray(networks.activations.get(self.replaced).derivative(jnp.asarray(z)))

    def table(self) -> list[dict[str, Any]]:
        """One row for every setting and rule: the area under the training loss, its paired difference to backpropagation at
        the same rate, and the same of the test score, each with the half width of its 95 % interval over the fresh seeds."""
        return [row for setting, parts in self.comparisons.items() for row in _rows(setting, parts)]

    def save(self, folder: str | Path, *, overwrite: bool = False) -> Path:
        """Writes `found.json` (which `compare --rules backpropagation,./found.json` reads), the record, the figures and the
        page into `folder`, whole or not at all, and returns the page's path.

        **Raises:** `UserError` where the folder cannot be written, or holds something; `overwrite` replaces an earlier
        discovery.
        """
        return save(self, Path(folder), overwrite=overwrite)


def save(found: Discovery, folder: Path, *, overwrite: bool = False, replacing: Path | None = None) -> Path:
    """As `Discovery.save`; `replacing`: as in `store.whole_folder`."""
    draw = functools.partial(report.discovery.draw, found)
    return store.save_discovery(found, folder, draw=draw, overwrite=overwrite, replacing=replacing)


def discover(
    data: DataLike,
    *,
    network: str | Network | Callable[..., Network] = "64x64",
    layer: str | None = None,
    hidden: int = 1,
    hidden_activation: str = "tanh",
    bound: float = 3.0,
    evaluations: int = 200,
    batch: int = 8,
    seeds: int = 8,
    optimizer: str = "sgd",
    learning_rate: float = 0.01,
    epochs: int = 10,
    batch_size: int = 32,
    loss: str | None = None,
    activation: str = "relu",
    fresh_seeds: int = 20,
    tune: int = 8,
    random_search: bool = True,
    widths: bool = True,
    transfer: DataLike | None = "auto",
    seed: int = 0,
    listener: Listener | None = None,
    after_round: AfterRound = lambda kind, evaluations: None,
    command: str | None = None,
    store: str | Path | Store | None = None,
    cluster: Engine | None = None,
) -> Discovery:
    """Learns a b-function and compares it.

    **Arguments:**

    - `data`: a `Dataset`, or what `datasets.load` makes one of: a name, a path, a data frame, a pair of arrays;
    - `network`, `optimizer`, `learning_rate`, `epochs`, `batch_size`, `loss`, `activation`: the target network and its
      training, as in `compare`; the rate is not tuned, for the search is to make up for that;
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
    processes.alone("a search for a b-function")
    evaluations, batch, seeds = (
        at_least(1, name, value) for name, value in (("evaluations", evaluations), ("batch", batch), ("seeds", seeds))
    )
    epochs, fresh_seeds = at_least(1, "epochs", epochs), at_least(2, "fresh_seeds", fresh_seeds)
    tune, seed, random_search, widths = (
        at_least(1, "tune", tune),
        at_least(0, "seed", seed),
        flag("random_search", random_search),
        flag("widths", widths),
    )
    data = check_data(data)
    learning_rate, bound = positive("learning_rate", learning_rate), positive("bound", bound)
    source = _network(network, data, activation)
    template = made(source)
    layer = _layer(template, layer)
    space = Space(layer, hidden, hidden_activation, bound)
    rule = space.rule()
    check_seeds(fresh_seeds)
    search_seeds = _search_seeds(seeds, max(evaluations, batch, tune), space)
    training: dict[str, Any] = {
        "optimizer": optimizer,
        "learning_rate": learning_rate,
        "epochs": epochs,
        "batch_size": batch_size,
        "loss": loss,
    }
    elsewhere = _elsewhere(network, data, activation, widths=widths, transfer=transfer)
    _check_elsewhere(elsewhere, layer, training)
    placed: dict[Any, Any] = {}
    shared: dict[str, Any] = {**training, "seeds": search_seeds, "batch": batch, "placed": placed}
    keeper = open_store(store)
    shared |= {"keeper": keeper, "engine": cluster, "listener": or_one_line(listener)}
    objective = Objective(data, source, rule, space.place, dimensions=space.dimensions, name="b-function", **shared)
    configuration = {
        "data": data.summary(),
        "network": str(template),
        "structure": template.config(),
        "space": dataclasses.asdict(space),
        "training": {
            **training,
            "optimizer": optimizers.describe(optimizer),
            "loss": objective.experiment.settings.loss.name,
        },
        "search_seeds": list(search_seeds),
        "batch": batch,
        "seed": seed,
        "penalty": objective.penalty,
    }
    if keeper is not None and keeper.experiment is None:
        keeper.begin(experiment_of(data), command=command)
    with recorded_end(keeper):
        kinds = [search.BAYESIAN, *([search.RANDOM] if random_search else [])]
        found = {kind: _searched(objective, space, kind, evaluations, seed, keeper, after_round) for kind in kinds}
        tried = found[search.BAYESIAN]
        few = search.best_few(space, tried, 1 + len(OTHERS))
        best, *others = [space.rule(tried.points[number]) for number in few]
        factor, tried_factors = _tuned_factor(data, source, space, tune, shared)
        rates, tried_rates = _rates_for_area(data, source, best, FINER * tune, shared)
        common = {**training, "seeds": fresh_seeds, "diagnostics": False, "listener": listener}
        common |= {"store": keeper, "cluster": cluster}
        controls = _controls(best, others, layer, factor, template[layer].function)
        part = keeper.part if isinstance(keeper, Store) else lambda name: contextlib.nullcontext()
        with part(SEARCHED):
            comparisons = {SEARCHED: _compared(data, source, best, controls, common, tune, min(3, seeds), rates)}
        for setting, (there, its_network) in elsewhere.items():
            own = common if there is data else {**common, "loss": None}
            with part(setting):
                same = {name: controls[name] for name in (FOUND, SCALED)}
                comparisons[setting] = _compared(there, its_network, best, same, own, tune, min(3, seeds))
        discovery = Discovery(
            data,
            space,
            tried,
            few,
            found.get(search.RANDOM),
            search.left_out(tried),
            comparisons,
            factor,
            {
                **configuration,
                "evaluations": evaluations,
                "initial": space.initial,
                "fresh_seeds": fresh_seeds,
                "tune": tune,
                "versions": versions(),
                "command": command,
            },
        )
        if keeper is not None:
            keys = {f"{kind} search": objective.keys(one.points) for kind, one in found.items()}
            keys |= {SCALED: tried_factors, **tried_rates}
            keeper.end("finished", configuration=discovery.configuration, keys=keys)
    if keeper is not None and keeper is not store:
        keeper.close()
    return discovery


def _search_seeds(count: int, candidates: int, space: Space) -> tuple[int, ...]:
    """The seeds of the search, if the runs of so many candidates, and what is told apart by them, fit into memory."""
    check_runs(count * candidates)
    # A Gaussian process has a few matrices of all pairs of candidates.
    size = 8 * candidates * (4 * candidates + 8 * space.dimensions)
    check_room(f"a search among {shown(candidates)} candidates", size, "choose fewer")
    return check_seeds(range(TUNING_SEEDS, TUNING_SEEDS + count))


def experiment_of(data: Dataset) -> str:
    """The name of the experiment that a store keeps."""
    return f"b-function on {data.name}"


def _searched(
    objective: Objective, space: Space, kind: str, evaluations: int, seed: int, keeper: Any, after_round: AfterRound
) -> Evaluations:
    """All rounds of one kind. A store keeps the points of every finished one, and, under their own keys, their runs."""
    if not callable(after_round):
        raise UserError(f"`after_round` is a function of a kind and what was tried; got {shown(after_round)}.")
    key = key_of([objective.keys(objective.middle), dataclasses.asdict(space), objective.batch, kind, seed])
    kept = None if keeper is None else keeper.checkpoint(key)
    if kept is None and kind == search.BAYESIAN:
        warn_outdated(objective.outdated)
    done = objective.empty if kept is None else objective(kept.leaves[0])

    def keep(tried: Evaluations) -> None:
        if keeper is not None:
            keeper.save(key, Checkpoint(len(tried), [tried.points]))
        after_round(kind, tried)
        if keeper is not None and keeper.stopping:
            raise Interrupted(f"stopped after {len(tried)} of {evaluations} evaluations ({kind})")

    return search.search(
        objective, done, evaluations=evaluations, batch=objective.batch, kind=kind, seed=seed, after_round=keep
    )


def _controls(
    best: BFunction, others: Sequence[BFunction], layer: str, factor: float, replaced: str
) -> dict[str, AbstractRule]:
    """What is compared at the same rate: the functions that were found, and what tells their shape from their size."""
    controls: dict[str, AbstractRule] = {FOUND: best, **dict(zip(OTHERS, others, strict=False))}
    controls |= {SCALED: BFunction({layer: "exact"}, scale=factor), NOISE: MatchedNoise(best)}
    if bool(jnp.any(networks.activations.get(replaced).derivative(jnp.asarray(search.Z)) == 0)):
        controls[WITHOUT_ZERO] = BFunction({layer: WhereSlope(best.derivative[layer], replaced)})
    return controls


def _compared(
    data: Dataset,
    source: Any,
    best: BFunction,
    controls: Mapping[str, AbstractRule],
    common: Mapping[str, Any],
    tune: int,
    tune_seeds: int,
    rates: Mapping[str, float] | None = None,
) -> tuple[Comparison, ...]:
    """Fresh runs of one setting: everything at the same rate; what is tuned. With `rates`, those that were tuned for the area,
    also what they are worth, and a learned rate where the optimizer has one."""
    tuned_settings: dict[str, Any] = {name: value for name, value in common.items() if name != "learning_rate"} | {
        "tune_seeds": tune_seeds
    }
    parts = [
        compare(data, rules={SAME: Backpropagation(), **controls}, network=source, **common),
        compare(data, rules={TUNED: Backpropagation(), FOUND_TUNED: best}, network=source, tune=tune, **tuned_settings),
    ]
    for name, rate in (rates or {}).items():
        rule, settings = best if name == FOUND_FOR_AREA else Backpropagation(), {**common, "learning_rate": rate}
        parts.append(compare(data, rules={name: rule}, network=source, **settings))
    hypergradient = f"hypergradient-{common['optimizer']}"
    if rates and hypergradient in optimizers.OPTIMIZERS:
        settings = {**common, "optimizer": hypergradient}
        parts.append(compare(data, rules={LEARNED: Backpropagation()}, network=source, **settings))
    return tuple(parts)


def _tuned_factor(
    data: Dataset, source: Any, space: Space, count: int, shared: Mapping[str, Any]
) -> tuple[float, list[str]]:
    """The c of c·σ' with the least area, on the search's own seeds: what a larger rate in these layers alone achieves; and what
    the runs that were tried are kept under."""
    objective = Objective(
        data,
        source,
        BFunction({space.layer: "exact"}),
        lambda point: (("scale", float(point[0])),),
        dimensions=1,
        name="c·σ'",
        **shared,
    )
    return _least(objective, search.candidates(count, {"c": (LEAST_FACTOR, space.largest)})["c"])


def _rates_for_area(
    data: Dataset, source: Any, best: BFunction, count: int, shared: Mapping[str, Any]
) -> tuple[dict[str, float], dict[str, list[str]]]:
    """The learning rates with the least area of backpropagation and of the found g, on the search's own seeds: learned as g
    was, but one number; and what the runs that were tried are kept under."""
    ends, rates, keys = optimizers.search_range(shared["optimizer"]), {}, {}
    for name, rule in ((FOR_AREA, Backpropagation()), (FOUND_FOR_AREA, best)):
        rate = lambda point: float(point[0])
        objective = Objective(data, source, rule, lambda point: (), dimensions=1, rate=rate, name=name, **shared)
        rates[name], keys[name] = _least(objective, search.candidates(count, {"learning_rate": ends})["learning_rate"])
    return rates, keys


def _least(objective: Objective, numbers: np.ndarray) -> tuple[float, list[str]]:
    points = numbers[:, None]
    return float(numbers[int(np.argmin(objective(points).values))]), objective.keys(points)


def _rows(setting: str, parts: tuple[Comparison, ...]) -> list[dict[str, Any]]:
    runs = {name: one for part in parts for name, one in part.runs.items()}
    reference = runs[SAME]
    score = main_score(reference.data.task)
    rows = []
    for name, one in runs.items():
        row: dict[str, Any] = {"setting": setting, "rule": name, "learning_rate": float(one.learning_rates[0])}
        for key, column in ((AREA, "area"), (score, "score")):
            values, against = one.scores[key], reference.scores[key]
            row[column], row[f"{column}_interval"] = map(float, report.interval(values))
            row[f"{column}_difference"], row[f"{column}_difference_interval"] = map(
                float, report.interval(values - against)
            )
        rows.append({**row, "score_name": score, "diverged": int(one.diverged.sum()), "seeds": len(one.seeds)})
    return rows


def _network(network: Any, data: Dataset, activation: str) -> Any:
    check_data(data)
    return network_for(network, data, activation)


def _layer(template: Network, layer: str | None) -> str:
    hidden = rules.hidden_activations(template)
    if not hidden:
        raise UserError(
            "this network has no hidden activation, so there is no derivative to learn: give it hidden layers."
        )
    return hidden[-1] if layer is None else rules.activation_of(template, layer)


def _elsewhere(
    network: Any, data: Dataset, activation: str, *, widths: bool, transfer: DataLike | None
) -> dict[str, tuple[Dataset, Network]]:
    """Where the found g is tried besides: in a network of twice the width, on other data. Only a network that is given as a
    text can be built anew for these."""
    found: dict[str, tuple[Dataset, Network]] = {}
    if not isinstance(network, str):
        if transfer is not None and not _is_auto(transfer):
            raise UserError(
                "a network can be built for other data if it is given as a text, as in '64x64': leave `transfer` out."
            )
        return found
    wider = _wider(network) if widths else None
    if wider is not None:
        found[f"network {wider}"] = (data, _network(wider, data, activation))
    other = _other_data(transfer, data, _network(network, data, activation))
    if other is not None:
        found[f"data {other.name}"] = (other, _network(network, other, activation))
    return found


def _check_elsewhere(elsewhere: Mapping[str, tuple[Dataset, Network]], layer: str, training: Mapping[str, Any]) -> None:
    """A `UserError`, before the search and not hours later, where the found g would not fit."""
    settings = {name: training[name] for name in ("optimizer", "learning_rate", "batch_size")}
    for data, network in elsewhere.values():
        rules.activation_of(network, layer)
        demands = honor(Backpropagation(), SAME, network, data, **settings)
        make_settings(demands, epochs=training["epochs"], select="last", loss=None, diagnostics=False)


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
    """The data that the found g is carried over to; by itself it chooses the two moons, and for images digits."""
    if transfer is None:
        return None
    if not _is_auto(transfer):
        return check_data(transfer)
    first, second = ("moons", "digits") if template.first.wants_vectors else ("digits", "mnist")
    try:
        return datasets.load(second if data.name == first else first, seed=0)
    except UserError:  # not at hand
        return None
