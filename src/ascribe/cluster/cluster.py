"""What sends shards of runs to the workers of a Dask cluster and collects what became of them.

The client process keeps the books: it alone writes finished runs into the store, each once, whatever workers do. Workers are
trusted, as Dask's own protocol trusts them.
"""

import contextlib
import dataclasses
import pickle
import secrets
import threading
import time
import warnings
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import ascribe
from ascribe.checks import at_least, flag
from ascribe.checksums import checksum
from ascribe.errors import Interrupted, UserError, needed, shown
from ascribe.memory import check_room

from . import work
from .encryption import ENCRYPTED, address_in, security
from .local import Local

if TYPE_CHECKING:
    from ascribe.datasets import Dataset
    from ascribe.training import Specification, Trainer
    from ascribe.training.keeping import Kept

WORKER = 2**28
"""Bytes that a worker takes at least, before it trains anything."""

PATIENCE = 10
"""Seconds to wait for a scheduler."""

WAIT = 60.0
"""Seconds to wait for the first of its workers, and for shards that were told to end."""

GLANCE = 0.5
"""Seconds between two looks at signals and workers while shards are under way."""

CONTENTS = 64
"""Data sets and descriptions of experiments that are kept among the workers."""

ATTEMPTS = 3
"""How often a shard is given out anew after Dask has given it up (which it does when four workers died of it)."""


class Cluster:
    """Processes that train the runs of `compare` and `discover`: `with ascribe.Cluster(workers=4) as cluster:
    ascribe.compare(data, cluster=cluster)`.

    **Arguments:** one of

    - `workers`: how many processes are started on this machine, which share its cores; they listen on the loopback interface
      alone and end with the cluster;
    - `scheduler`: the address of a running Dask scheduler, `"tls://HOST:8786"`, or the path of its scheduler file; its workers
      need ascribe in the same version.

    With a scheduler, `tls_ca`, `tls_cert` and `tls_key` are the paths of the authority's certificate, of one of your own and of
    its key (PEM); without them Dask's own configuration counts. A scheduler on another host that talks in the open,
    `"tcp://HOST:8786"`, is refused unless `insecure=True`: whoever is on the way can run code on all its machines.

    A shard of runs is a task under its content's key. A worker that dies costs the time since the shard's last checkpoint, if
    workers reach the store (a server's, or with `workers` any), else the shard's time; nothing is counted twice.

    **Raises:** `UserError` where Dask is not installed, no scheduler answers, or it has no workers, and where what is said to
    the scheduler would not be private.
    """

    def __init__(
        self,
        scheduler: str | None = None,
        *,
        workers: int | None = None,
        tls_ca: str | None = None,
        tls_cert: str | None = None,
        tls_key: str | None = None,
        insecure: bool = False,
    ):
        if (scheduler is None) == (workers is None):
            raise UserError("a cluster is the address of a `scheduler` or a number of `workers` here: give one of them.")
        workers = None if workers is None else at_least(1, "workers", workers)
        insecure = flag("insecure", insecure)
        check_room(f"{shown(workers)} workers", WORKER * (workers or 0), "choose fewer")
        certificates = {"ca": tls_ca, "cert": tls_cert, "key": tls_key}
        if workers is not None and (insecure or any(one is not None for one in certificates.values())):
            raise UserError("local workers make keys of their own: leave certificates and `insecure` out.")
        self._dask = needed("distributed", "cluster", "a Dask cluster")
        self._channel = f"ascribe-{secrets.token_hex(8)}"
        self._orders = f"{self._channel}/0"
        self._contents: OrderedDict[str, Any] = OrderedDict()
        self._tasks: dict[str, Any] = {}
        self._watched: dict[str, _Watched] = {}
        self._homes: dict[str, list[str]] = {}
        self._unkept: set[str] = set()
        self._heard: SimpleQueue[dict[str, Any]] = SimpleQueue()
        self._news = threading.Event()
        self._fetcher = ThreadPoolExecutor(1, "ascribe-results")
        self._local: Local | None = None
        if workers is None:
            self.address = address_in(str(scheduler))
            self._security = security(self.address, **certificates, insecure=insecure)
        else:
            self._local = Local(workers)
            self.address, self._security = self._local.address, self._local.security
        try:
            self._client = self._connected()
            self._await_workers(workers or 1)
        except BaseException:
            self.close()
            raise
        self._client.subscribe_topic(self._channel, self._hear)

    def _connected(self) -> Any:
        try:
            return self._dask.Client(self.address, security=self._security, timeout=PATIENCE, set_as_default=False)
        except (OSError, ValueError, TypeError) as error:
            private = self.address.partition("://")[0] in ENCRYPTED
            known = ", with certificates of the same authority" if private else ""
            raise UserError(
                f"no Dask scheduler answers at {self.address!r}: start one with `dask scheduler`{known}, and write its address "
                f"as {'tls' if private else 'tcp'}://HOST:PORT."
            ) from error

    def _await_workers(self, count: int) -> None:
        deadline = time.monotonic() + WAIT
        while len(self._client.scheduler_info(n_workers=-1)["workers"]) < count:
            if self._local is not None:
                self._local.revive()
            if time.monotonic() > deadline:
                raise UserError(
                    f"the scheduler at {self.address} has no workers: start some, as in `dask worker {self.address}`."
                )
            time.sleep(GLANCE / 10)

    def __enter__(self) -> "Cluster":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def workers(self) -> int:
        """How many workers there are now, at least one."""
        return max(1, len(self._client.scheduler_info(n_workers=-1)["workers"]))

    def close(self) -> None:
        """Gives up what is under way and lets go of the workers; those of this machine end."""
        client = getattr(self, "_client", None)
        if client is not None:
            self._give_up()
            self._contents.clear()
            client.close()
        if self._local is not None:
            self._local.close()
        self._fetcher.shutdown()

    def begin(self, trainer: "Trainer", specifications: "Sequence[Specification]", phase: str, *, networks: bool) -> None:
        """Sends out these runs and waits for nothing."""
        self._sent(trainer, specifications, phase, networks)

    def shards(
        self, trainer: "Trainer", specifications: "Sequence[Specification]", phase: str, *, networks: bool
    ) -> "Iterator[tuple[range, list[Kept]]]":
        """What became of these runs, shard by shard as they come back.

        **Raises:** `UserError` as training does, and where the scheduler is lost or a shard kills every worker; `Interrupted`
        where the trainer's keeper was told to stop.
        """
        waiting = self._sent(trainer, specifications, phase, networks)
        shards, attempts, stopped = list(waiting), dict.fromkeys(waiting, 1), ""
        try:
            while waiting:
                if trainer.keeper.stopping and not stopped:
                    stopped = f"stopped while {trainer.recipe.name} was on its way ({phase})"
                    self._stop()
                for key in self._ended(waiting):
                    task, rows = self._tasks.pop(key), waiting.pop(key)
                    found = self._result(trainer, task, attempts[key])
                    if found is not None:
                        self._tell(trainer, [specifications[row] for row in rows], phase, found)
                        yield rows, found
                    elif not stopped:  # its worker ended, or all that Dask tried were lost
                        attempts[key] += 1
                        some = [specifications[row] for row in rows]
                        self._tasks[key] = self._submit(trainer, some, phase, networks, key, attempts[key])
                        waiting[key] = rows
            if stopped:
                raise Interrupted(stopped)
        except BaseException:
            self._give_up()
            raise
        for key in shards:
            del self._watched[key]

    def _sent(
        self, trainer: "Trainer", specifications: "Sequence[Specification]", phase: str, networks: bool
    ) -> dict[str, range]:
        """The shards of these runs by their keys, with their rows in the list; each is under way once."""
        width, rows, epochs = trainer.experiment.width, {}, trainer.recipe.setup.epochs
        total = len(specifications) * epochs
        for first in range(0, len(specifications), width):
            some = specifications[first : first + width]
            key = f"ascribe-shard-{self._channel}-" + checksum(
                [networks, phase, width, *map(trainer.identity.finished_key, some)]
            )
            rows[key] = range(first, first + len(some))
            if key not in self._tasks:
                self._watched[key] = _Watched(trainer, phase, len(some) * epochs, total)
                self._tasks[key] = self._submit(trainer, some, phase, networks, key, 1)
        return rows

    def _submit(
        self,
        trainer: "Trainer",
        specifications: "Sequence[Specification]",
        phase: str,
        networks: bool,
        key: str,
        attempt: int,
    ) -> Any:
        import cloudpickle  # noqa: PLC0415 - Dask brings it
        import jax  # noqa: PLC0415

        from ascribe.rules.source_files import files_run  # noqa: PLC0415
        from ascribe.training import fingerprint  # noqa: PLC0415

        own = dataclasses.replace(trainer.recipe, width=trainer.experiment.width)
        context = trainer.identity.context
        data = checksum([own.data.checksum, own.data.task, fingerprint(own.data.target_scale)])
        recipe = checksum([context, own.name, own.setup.epochs, own.width, own.mapped])
        if data not in self._contents:
            self._contents[data] = self._passed_on(pickle.dumps(_alone(own.data)), data)
        if recipe not in self._contents:
            content = {name: value for name, value in vars(own).items() if name != "data"}, context  # the data go apart
            whole = work.Sent(ascribe.__version__, list(map(tuple, files_run())), cloudpickle.dumps(content))
            self._contents[recipe] = self._passed_on(pickle.dumps(tuple(whole)), recipe)
        order = work.Order(
            recipe,
            data,
            tuple(specifications),
            phase,
            networks,
            self._store(trainer.keeper),
            self._orders,
            self._channel,
            key,
            bool(jax.config.jax_enable_x64),  # pyright: ignore[reportAttributeAccessIssue]
            str(jax.config.jax_numpy_dtype_promotion),  # pyright: ignore[reportAttributeAccessIssue]
        )
        inputs = (self._contents[recipe], self._contents[data], pickle.dumps(order))
        homes = self._homes.get(recipe, [])  # where the programs are compiled already
        place = len([one for one in self._watched.values() if one.recipe == recipe])
        home = {"workers": [homes[place % len(homes)]], "allow_other_workers": True} if homes else {}
        task = self._client.submit(work.train, *inputs, key=f"{key}-{attempt}", **home)
        self._watched[key].recipe = recipe
        task.add_done_callback(lambda _: self._news.set())
        while len(self._contents) > CONTENTS:  # who needs one of them has it by now
            self._contents.popitem(last=False)
        return task

    def _passed_on(self, content: bytes, key: str) -> Any:
        """The bytes as a task of their own, so that a worker that was lost takes nothing along. (Dask measures tasks together
        whose keys begin with the same words, and gives an idle worker only those that take long: shards have words of their
        own.)"""
        import dask  # noqa: PLC0415

        with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 TiB"}):  # pyright: ignore
            return self._client.submit(work.pass_on, content, key=f"ascribe-content-{self._channel}-{key}")

    def _store(self, keeper: Any) -> work.Place | None:
        """The store for workers: one on a server, or on this machine where they are on it too. No password goes that way: local
        workers hear it from this process alone, others have it in their environment (`PGPASSWORD`, `PGPASSFILE`) or do
        without the store."""
        if not keeper.keeps or (keeper.in_file and self._local is None):
            return None
        public = keeper.address_without_password
        secret = self._local is not None and public != keeper.address
        if self._local is not None and secret:
            self._local.tell(public, keeper.address)
        return work.Place(public, secret, keeper.experiment)

    def _ended(self, keys: Iterable[str]) -> list[str]:
        """Those of the shards that have come to an end, after a moment at most."""
        if not any(self._tasks[key].done() for key in keys):
            self._news.wait(GLANCE)
        self._news.clear()
        while not self._heard.empty():
            self._pass_on(self._heard.get())
        self._look_after_workers()
        return [key for key in keys if self._tasks[key].done()]

    def _look_after_workers(self) -> None:
        """Local ones that have died are started anew.

        **Raises:** `UserError` where they die again and again, and where the scheduler is gone."""
        if self._local is not None:
            self._local.revive()
        if self._client.status != "running":
            raise UserError(f"the scheduler at {self.address} is gone: what was finished is kept where there is a store.")

    def _result(self, trainer: "Trainer", task: Any, attempt: int) -> "list[Kept] | None":
        """What became of a shard's runs; None where it must be given out again."""
        if task.status in ("cancelled", "lost"):
            self._contents.clear()
            return None
        error = task.exception() if task.status == "error" else None
        if isinstance(error, self._dask.KilledWorker) and attempt < ATTEMPTS:
            return None
        if isinstance(error, self._dask.KilledWorker):
            raise UserError(
                f"a shard of {trainer.experiment.width} runs of {trainer.recipe.name} has killed {ATTEMPTS} times as many "
                f"workers as Dask allows, perhaps for want of memory: give each worker more of it, or choose fewer seeds."
            )
        if isinstance(error, ModuleNotFoundError):
            raise UserError(f"a worker lacks a module ({error}): install there what is installed here.")
        with trainer.experiment.blamed():
            found = self._fetched(task)
        return found if isinstance(found, list) else None

    def _fetched(self, task: Any) -> Any:
        """The result of a task that is done. The worker that has it may die meanwhile: then it is computed again, perhaps by
        one that must be started for that."""
        fetching = self._fetcher.submit(task.result)
        while not wait((fetching,), timeout=GLANCE).done:
            self._look_after_workers()
        return fetching.result()

    def _stop(self) -> None:
        """Every shard that is under way keeps its state at the next occasion, and ends."""
        self._call_off()
        deadline = time.monotonic() + WAIT
        while time.monotonic() < deadline and not all(task.done() for task in self._tasks.values()):
            time.sleep(GLANCE / 10)

    def _call_off(self) -> None:
        """Tells the workers that nobody waits for what was ordered so far."""
        self._client.run(work.stop, self._orders, on_error="ignore")
        self._orders = f"{self._channel}/{secrets.token_hex(4)}"

    def _give_up(self) -> None:
        """Nothing is under way any more."""
        with contextlib.suppress(Exception):  # a scheduler that is gone: what it knew is gone too
            self._call_off()
            self._client.cancel(list(self._tasks.values()), force=False)
        self._tasks.clear()
        self._watched.clear()

    def _hear(self, event: Any) -> None:
        """What a worker says, in Dask's own thread."""
        self._heard.put(event[1])
        self._news.set()

    def _pass_on(self, news: dict[str, Any]) -> None:
        """What a worker says of its shard, added to what the others said of theirs."""
        if "unkept" in news:
            if news["unkept"] not in self._unkept:
                self._unkept.add(news["unkept"])
                warnings.warn(
                    f"a worker has no password for the store {news['unkept']} and keeps no state there: where it dies, its "
                    f"shard begins anew; give its environment PGPASSWORD or PGPASSFILE.",
                    stacklevel=2,
                )
            return
        watched = self._watched.get(news["shard"])
        if watched is None:  # an old one
            return
        homes = self._homes.setdefault(watched.recipe, [])
        if news["worker"] not in homes:
            homes.append(news["worker"])
        mine = [one for one in self._watched.values() if one.of(watched)]
        if news["phase"] == "compiling" and any(one.done for one in mine):
            return
        done, total = 0, 1
        if news["phase"] != "compiling":
            watched.done = watched.whole * news["done"] / news["total"]
            done, total = int(sum(one.done for one in mine)), watched.total
        from ascribe.training import Progress  # noqa: PLC0415

        watched.trainer.listener(Progress(watched.trainer.recipe.name, news["phase"], done, total, news["loss"]))

    def _tell(self, trainer: "Trainer", specifications: "Sequence[Specification]", phase: str, found: "list[Kept]") -> None:
        """A shard's curves, to a listener that wants numbers."""
        import numpy as np  # noqa: PLC0415

        from ascribe.training.driver import tell_epochs  # noqa: PLC0415
        from ascribe.training.loop import Curve  # noqa: PLC0415

        curves = {name: Curve.of(np.stack([one.curves[name] for one in found])) for name in found[0].curves}
        tell_epochs(trainer.listener, trainer.recipe, specifications, phase, 0, trainer.recipe.setup.epochs, curves)


def _alone(data: "Dataset") -> "Dataset":
    """The data set without what only divides it anew, which has all examples once more."""
    original = None if data.original is None else _alone(data.original)
    return dataclasses.replace(data, division=None, original=original)


@dataclasses.dataclass
class _Watched:
    """How far a shard is, in run-epochs: of `whole`, which are a part of its trainer's `total` in this phase."""

    trainer: "Trainer"
    phase: str
    whole: int
    total: int
    done: float = 0.0
    recipe: str = ""

    def of(self, other: "_Watched") -> bool:
        return self.trainer is other.trainer and self.phase == other.phase
