"""What a worker does: it trains one shard of runs and returns what became of them.

Everything comes as bytes, so that the scheduler, which reads what passes it, needs no JAX. A worker keeps its experiments: the
next shard of the same one finds its programs compiled and its data in place.
"""

import contextlib
import pickle
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

EXPERIMENTS, DATA_SETS = 16, 4
"""What a worker remembers: experiments, with their compiled programs, and data sets (a rule's own encoding makes one more)."""

_experiments: "OrderedDict[str, Any]" = OrderedDict()
_data: dict[str, Any] = {}
_stopped: set[str] = set()
passwords: dict[str, str] = {}
"""The addresses of stores as orders name them, and with their passwords."""

HEARING = 10.0
"""Seconds to wait for a password that is on its way."""

_one_at_a_time = threading.Lock()
"""A shard uses all devices of its process: a worker of several threads trains one after another."""


class Sent(NamedTuple):
    """An experiment, apart from its data. `files`: the fields of those of rules and layers that were run
    (`rules.source_files`), which workers need not have; `content`: pickled, which needs them, the `training.Recipe` without its
    data, and what runs are known by, whatever a worker would make of it."""

    version: str
    files: Sequence[tuple[Any, ...]]
    content: bytes


class Place(NamedTuple):
    """Where the state of a shard is kept on the way: the `address` of a store without its password, which the worker hears
    apart from the process that started it (`told`) or has in its environment, and the `experiment` there."""

    address: str
    told: bool
    experiment: str | None


class Order(NamedTuple):
    """One shard: of which experiment on which data, which runs, and in which store their state is kept on the way (None: in
    none). `orders`: those that are stopped together; `channel`: what the sender listens on; `key`: the shard's name there.
    JAX's settings belong to a thread, so they come along."""

    recipe: str
    data: str
    specifications: Sequence[Any]
    phase: str
    networks: bool
    store: Place | None
    orders: str
    channel: str
    key: str
    double: bool
    promotion: str


def pass_on(content: bytes) -> bytes:
    """The bytes, which workers hand to each other, and the scheduler to a worker that lost them."""
    return content


def stop(orders: str) -> None:
    """All of these shards end at the next occasion."""
    _stopped.add(orders)


def train(recipe: bytes, data: bytes, order: bytes) -> list[Any] | str:
    """The runs of a shard as `training.keeping.Kept`, in order; a sentence where it was stopped.

    **Raises:** `UserError` as training does.
    """
    import jax  # noqa: PLC0415 - see above
    from distributed import get_worker  # noqa: PLC0415

    from ascribe.errors import Interrupted  # noqa: PLC0415
    from ascribe.memory import limit_memory  # noqa: PLC0415
    from ascribe.training import Driver, devices  # noqa: PLC0415

    wanted: Order = pickle.loads(order)
    if wanted.orders in _stopped:
        return "stopped before it began"
    worker = get_worker()
    limit = getattr(worker, "memory_manager", None) and worker.memory_manager.memory_limit
    if limit:
        limit_memory(limit)
    devices.use_all_cores()

    def told(progress: Any) -> None:
        worker.log_event(wanted.channel, {"shard": wanted.key, "worker": worker.address, **progress._asdict()})

    with _one_at_a_time, jax.enable_x64(wanted.double), jax.numpy_dtype_promotion(wanted.promotion):
        experiment = _experiment(wanted, recipe, data)
        with contextlib.closing(_keeper(wanted, worker)) as keeper:
            driver = Driver(experiment, keeper=keeper, listener=told)
            try:
                shards = driver.shards(wanted.specifications, wanted.phase, networks=wanted.networks)
                return [one for _, found in shards for one in found]
            except Interrupted as error:  # an interruption of the worker itself, to Dask
                return str(error)


def _experiment(wanted: Order, recipe: bytes, data: bytes) -> Any:
    """The experiment, from an earlier shard or built anew."""
    import ascribe  # noqa: PLC0415
    from ascribe.errors import UserError  # noqa: PLC0415
    from ascribe.rules import source_files  # noqa: PLC0415
    from ascribe.training import Experiment, Identity, Recipe  # noqa: PLC0415

    if wanted.recipe in _experiments:
        _experiments.move_to_end(wanted.recipe)
        return _experiments[wanted.recipe]
    if wanted.data not in _data:
        if len(_data) == DATA_SETS:
            _data.clear()
            _experiments.clear()
        _data[wanted.data] = pickle.loads(data), {}
    whole, placed = _data[wanted.data]
    version, files, content = pickle.loads(recipe)
    if version != ascribe.__version__:
        raise UserError(f"a worker has ascribe {ascribe.__version__} and the comparison {version}: install the same version.")
    source_files.run_sent([source_files.SourceFile(*file) for file in files])
    fields, context = pickle.loads(content)
    own = Recipe(data=whole, **fields)
    _check_source(context, Identity(own).context)
    with contextlib.closing(_keeper(wanted, None)) as keeper:
        known = Identity(own, context)
        experiment = Experiment(own, placed=placed, keeper=keeper, identity=known)
    _experiments[wanted.recipe] = experiment
    while len(_experiments) > EXPERIMENTS:
        _experiments.popitem(last=False)
    return experiment


def _check_source(theirs: Mapping[str, Any], own: Mapping[str, Any]) -> None:
    """A `UserError` where ascribe or JAX is another one here: what came out would be kept as the sender's."""
    from ascribe.errors import UserError  # noqa: PLC0415
    from ascribe.training.identity import code_of  # noqa: PLC0415
    from ascribe.training.source import PACKAGES, ours  # noqa: PLC0415

    here = dict(code_of(own))
    other = [name for name, source in code_of(theirs) if (ours(name) or name in PACKAGES) and here.get(name, source) != source]
    if other:
        raise UserError(
            f"a worker's code is not the comparison's ({other[0]} or what it imports): install the same ascribe, JAX, Equinox "
            f"and Optax on every machine and start the workers again."
        )


def _keeper(wanted: Order, worker: Any) -> Any:
    """Where the shard's state is kept on its way; where no store can be reached, nowhere. It stops with its sender, and with
    its worker."""
    from distributed import Status  # noqa: PLC0415

    from ascribe.store import NotLetIn, Store  # noqa: PLC0415
    from ascribe.training.keeping import Nothing  # noqa: PLC0415

    ending = (Status.closing, Status.closing_gracefully, Status.closed, Status.failed)

    def ends() -> bool:
        return wanted.orders in _stopped or (worker is not None and worker.status in ending)

    class Reached(Store):
        @property
        def stopping(self) -> bool:
            return ends()

    class Nowhere(Nothing):
        """No state is kept, but the work ends where it should: between two chunks a driver asks."""

        keeps = True

        @property
        def stopping(self) -> bool:
            return ends()

    if wanted.store is None:
        return Nowhere()
    place, deadline = wanted.store, time.monotonic() + HEARING
    while place.told and place.address not in passwords and time.monotonic() < deadline:
        time.sleep(0.01)
    try:
        reached = Reached(passwords.get(place.address, place.address))
    except NotLetIn:  # this machine has no password for it
        if worker is not None:
            worker.log_event(wanted.channel, {"unkept": place.address})
        return Nowhere()
    reached.experiment = place.experiment
    return reached
