"""Several processes as one program: JAX's distributed runtime, joined, and what must be the same everywhere agreed upon.

Every process runs the same script on the same data; what is on the devices is common to all. A program that exchanges numbers
waits for all of them, so whatever decides what is computed next (the time, a signal, what a store holds) has to come out
the same in every process: process 0 decides, and the others are told.
"""

import ctypes
import functools
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, NoReturn

import jax
import numpy as np
import safetensors.numpy
from jax.experimental import multihost_utils

from ascribe.checks import at_least
from ascribe.checksums import checksum
from ascribe.errors import UserError

from .keeping import NOTHING, About, Checkpoint, Keeper, Kept
from .landscape import LossLandscape

HEARTBEAT_SECONDS = 30
"""After so long without a sign of life, a process counts as dead; one that was killed is noticed at once."""

WORD, PART = 1024, 2**20
"""Bytes of a short message, and of each part of a long one: of two sizes only, because each is a program of its own."""

FAREWELL_SECONDS = 1.0
"""How long process 0, which the others would miss, stays when it has failed: they mostly fail for the same reason."""


def joined() -> bool:
    """Whether this process is one of several."""
    return jax.distributed.is_initialized()


def number() -> int:
    """The number of this process; 0 where it is the only one. Process 0 alone writes and prints."""
    return jax.process_index() if joined() else 0


def alone(work: str) -> None:
    """A `UserError` where this process is one of several."""
    if joined():
        raise UserError(
            f"{work} is the work of one process, and here are {jax.process_count()}: ask for it in one that is alone."
        )


def join_processes(coordinator: str, processes: int | None = None, process: int | None = None, *, timeout: int = 300) -> int:
    """Makes this process one of several that train together, on one machine or on many. To be called in each of them before
    anything else uses JAX.

    **Arguments:**

    - `coordinator`: `"HOST:PORT"` on the machine of process 0, which listens on this address and on no other;
    - `processes`, `process`: how many there are, and the number of this one, from 0; left out under SLURM or Open MPI, which
      say so themselves;
    - `timeout`: seconds to wait until all are there.

    **Returns:** the number of this process.

    On CPUs every process has one device, whose work is shared by the cores that it may use. What the processes send to each
    other goes over the network that leads to the coordinator, unencrypted: `127.0.0.1` keeps it on the machine.

    **Raises:** `UserError` for an address or a number that is none, where JAX was used before, where process 0 cannot listen,
    and where not all are there in time.
    """
    host, port = _address(coordinator)
    if (processes is None) != (process is None):
        raise UserError("`processes` and `process` belong together: give both, or neither where SLURM or Open MPI knows.")
    if processes is not None and process is not None:
        for name, value, least in (("processes", processes, 1), ("process", process, 0)):
            at_least(least, name, value)
        if process >= processes:
            raise UserError(f"`process` counts from 0, so that the last of {processes} is {processes - 1}; got {process}.")
    if joined():
        raise UserError("this process has joined others already: join once.")
    own = _own_address(host, port)
    if process == 0:
        _check_free(host, port)
    alone_still = f"not all processes met at {coordinator} within {timeout} seconds: start as many as you say, and at once."
    try:
        jax.config.update("jax_num_cpu_devices", 1)  # with more of them, processes can wait for each other forever
    except RuntimeError as error:
        raise UserError("processes are joined before anything else uses JAX: do it first.") from error
    jax.config.update("jax_enable_preemption_service", False)  # it would take SIGTERM away from those who save at it
    _when_aborted[:] = [alone_still.rstrip("."), 2]
    ctypes.CDLL(None).signal(signal.SIGABRT, _aborted)
    try:
        jax.distributed.initialize(
            f"{host}:{port}",
            processes,
            process,
            coordinator_bind_address=f"{host}:{port}",
            initialization_timeout=timeout,
            heartbeat_timeout_seconds=HEARTBEAT_SECONDS,
        )
    except ValueError as error:  # nothing in the environment says how many there are
        raise UserError(
            "how many processes there are is not known here: give `processes` and `process` (SLURM and Open MPI say it)."
        ) from error
    except jax.errors.JaxRuntimeError as error:
        raise UserError(alone_still) from error
    _listen_on(own)
    sys.excepthook = functools.partial(_uncaught, sys.excepthook)
    _when_aborted[:] = [LOST, 1]
    return number()


def _address(coordinator: Any) -> tuple[str, int]:
    host, colon, port = coordinator.rpartition(":") if isinstance(coordinator, str) else ("", "", "")
    if not (host and colon and port.isdecimal() and 0 < int(port) < 2**16):
        raise UserError(f"the coordinator is HOST:PORT of process 0, as in 127.0.0.1:7733; got {coordinator!r}.")
    return host, int(port)


def _own_address(host: str, port: int) -> str:
    """The address of this machine on the network that leads there. (To connect a datagram socket sends nothing.)"""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind, protocol) as one:
            one.connect(address)
            return one.getsockname()[0]
    except OSError as error:
        raise UserError(f"the coordinator's host {host} cannot be reached: {error.strerror or error}.") from error


def _check_free(host: str, port: int) -> None:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as one:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.bind(address)
    except OSError as error:
        raise UserError(
            f"process 0 cannot listen on {host}:{port} ({error.strerror or error}): name a free port of its own machine."
        ) from error


def _listen_on(address: str) -> None:
    """CPUs exchange numbers by Gloo, which listens, too. Left to itself it takes the address that the machine's name has;
    JAX has no public setting for that."""
    from jax._src import distributed, xla_bridge  # noqa: PLC0415
    from jax._src.lib import _jax  # noqa: PLC0415 # pyright: ignore[reportPrivateImportUsage]

    made = _jax.make_gloo_tcp_collectives(distributed_client=distributed.global_state.client, hostname=address)
    factory = functools.partial(xla_bridge.make_cpu_client, collectives=made)
    xla_bridge.register_backend_factory("cpu", factory, priority=0, fail_quietly=False)


def lost(error: BaseException) -> bool:
    """Whether an error says that another process is no more."""
    words = str(error).lower()
    about = any(word in words for word in ("gloo", "nccl", "connection closed by peer", "coordination service"))
    return joined() and isinstance(error, jax.errors.JaxRuntimeError | ValueError) and about


LOST = (
    "another process of this run has ended, so this one ends too: see what it said, and start all of them again "
    "(a comparison with --resume)"
)


def _uncaught(before: Callable[..., Any], kind: type, error: BaseException, trace: Any) -> NoReturn:
    """Python would go on to JAX's farewell, which waits for the others, who may wait for this process."""
    if lost(error):
        print(f"ascribe: {LOST}.", file=sys.stderr)
    else:
        before(kind, error, trace)
    leave(1)


_when_aborted: list[Any] = []
"""The sentence and the exit code of a process that JAX's runtime aborts."""


@ctypes.CFUNCTYPE(None, ctypes.c_int)
def _aborted(_: int) -> None:
    """JAX's runtime aborts a process where the others do not come, where process 0 is no more, and where another one has given
    no sign of life for too long: from C++, with nothing that Python could catch. So C's own signal handler says why."""
    print(f"ascribe: {_when_aborted[0]}.", file=sys.stderr, flush=True)
    os._exit(_when_aborted[1])


def leave(code: int) -> NoReturn:
    """Ends this process now, whatever the others are waiting for: so they learn of it."""
    sys.stdout.flush()
    sys.stderr.flush()
    if number() == 0:
        time.sleep(FAREWELL_SECONDS)
    os._exit(code)


def gathered(value: Any) -> list[Any]:
    """The short plain JSON value of every process, in their order; the same list everywhere."""
    if not joined():
        return [value]
    word = json.dumps(value).encode().ljust(WORD)
    if len(word) > WORD:
        raise ValueError(f"a short message has at most {WORD} bytes; got {len(word)}")
    rows = multihost_utils.process_allgather(np.frombuffer(word, np.uint8))
    return [json.loads(row.tobytes()) for row in np.asarray(rows).reshape(-1, WORD)]


def agreed(value: Any) -> Any:
    """Process 0's value, in every process."""
    return gathered(value)[0]


def check_same(name: str, value: Any) -> None:
    """A `UserError` in every process where the plain JSON values of all are not the same."""
    keys = gathered(checksum(value))
    different = [place for place, key in enumerate(keys) if key != keys[0]]
    if different:
        raise UserError(
            f"all processes are given the same {name}, but {', '.join(map(str, different))} was given others than 0: start all "
            f"of them with the same command and the same files."
        )


def told(content: bytes) -> bytes:
    """Process 0's bytes, of any length, in every process."""
    length = agreed(len(content))
    whole = bytearray()
    while joined() and len(whole) < length:
        part = content[len(whole) : len(whole) + PART] if number() == 0 else b""
        whole += np.asarray(multihost_utils.broadcast_one_to_all(np.frombuffer(part.ljust(PART), np.uint8))).tobytes()
    return bytes(whole[:length]) if joined() else content


class Shared:
    """The one store of several processes. Process 0 has it (`keeper`; it is `NOTHING` elsewhere), reads for all and writes what
    is common to all; what it refuses, all refuse. It is used by all of them at the same places."""

    keeps = True

    def __init__(self, keeper: Keeper = NOTHING):
        self.keeper = keeper
        self._stopping = False

    def _answer(self, ask: Callable[[Keeper], bytes | None]) -> bytes:
        """What process 0's store answers, or the `UserError` that it raises, in every process."""
        answer = b""
        if self.keeper is not NOTHING:
            try:
                answer = b"=" + (ask(self.keeper) or b"")
            except UserError as error:
                answer = b"!" + str(error).encode()
        answer = told(answer)
        if answer[:1] == b"!":
            raise UserError(answer[1:].decode())
        return answer[1:]

    def stop(self) -> None:
        """Everything under way is kept at the next occasion, and ends, in all processes."""
        self._stopping = True

    @property
    def stopping(self) -> bool:
        """Whether any process was told to stop."""
        return any(gathered(self._stopping or self.keeper.stopping))

    def finished(self, keys: Sequence[str]) -> dict[str, Kept]:
        return _unpacked(self._answer(lambda keeper: _packed(keeper.finished(keys))))

    def finish(self, done: Mapping[str, tuple[About, Kept]]) -> None:
        self._answer(lambda keeper: keeper.finish(done))

    def score(self, scores: Mapping[str, Mapping[str, float]]) -> None:
        self._answer(lambda keeper: keeper.score(scores))

    def checkpoint(self, key: str) -> Checkpoint | None:
        def ask(keeper: Keeper) -> bytes:
            found = keeper.checkpoint(key)
            if found is None:
                return b""
            arrays = {f"{place:06d}": np.asarray(leaf, order="C") for place, leaf in enumerate(found.leaves)}
            maps = found.class_maps or {}
            arrays |= {f"map {epoch}": np.asarray(one, order="C") for epoch, one in maps.items()}
            return _with_head(arrays, [found.epoch, found.seconds, list(maps)])

        answer = self._answer(ask)
        if not answer:
            return None
        arrays, (epoch, seconds, mapped) = _and_head(answer)
        maps = {epoch: arrays.pop(f"map {epoch}") for epoch in mapped}
        return Checkpoint(epoch, [arrays[name] for name in sorted(arrays)], seconds, maps or None)

    def save(self, key: str, checkpoint: Checkpoint) -> None:
        self._answer(lambda keeper: keeper.save(key, checkpoint))

    def forget(self, key: str) -> None:
        self._answer(lambda keeper: keeper.forget(key))

    def agreed(self, name: str, value: int) -> int:
        return json.loads(self._answer(lambda keeper: json.dumps(keeper.agreed(name, value)).encode()))

    def outdated(self, rule: str, epochs: int, context: Mapping[str, Any]) -> list[Any]:
        found = self._answer(lambda keeper: json.dumps(keeper.outdated(rule, epochs, context)).encode())
        return json.loads(found)

    # What a comparison does with its store beside that, it does on process 0 alone.

    @property
    def experiment(self) -> str | None:
        """The experiment that is under way; process 0 knows of it."""
        return self.keeper.experiment

    def begin(self, name: str, *, command: str | None = None) -> None:
        self.keeper.begin(name, command=command)

    def end(self, status: str, *, configuration: Any = None, keys: Any = None) -> None:
        self.keeper.end(status, configuration=configuration, keys=keys)

    def part(self, name: str) -> AbstractContextManager[Any]:
        return self.keeper.part(name)

    def landscape(self, key: str) -> LossLandscape | None:
        return self.keeper.landscape(key)

    def keep_landscape(self, key: str, landscape: LossLandscape) -> None:
        self.keeper.keep_landscape(key, landscape)

    def close(self) -> None:
        self.keeper.close()


def shared(make: Callable[[], Keeper]) -> Keeper:
    """The store that `make` opens; one of several processes has it through `Shared`."""
    if not joined():
        return make()
    return Shared(make() if number() == 0 else NOTHING)


def _packed(found: Mapping[str, Kept]) -> bytes:
    """Finished runs as the bytes of one safetensors file."""
    arrays, head = {}, []
    for row, (key, kept) in enumerate(found.items()):
        arrays |= {f"{row}/curves/{name}": np.asarray(curve, order="C") for name, curve in kept.curves.items()}
        leaves = enumerate(kept.networks or ())
        arrays |= {f"{row}/networks/{place}": np.asarray(leaf, order="C") for place, leaf in leaves}
        scores = None if kept.scores is None else {name: float(value).hex() for name, value in kept.scores.items()}
        count, maps = None if kept.networks is None else len(kept.networks), kept.class_maps or {}
        arrays |= {f"{row}/maps/{epoch}": np.asarray(one, order="C") for epoch, one in maps.items()}
        head.append([key, list(kept.curves), kept.diverged_at, count, scores, kept.seconds, list(maps)])
    return _with_head(arrays, head)


def _unpacked(data: bytes) -> dict[str, Kept]:
    arrays, head = _and_head(data)
    found = {}
    for row, (key, names, diverged_at, count, scores, seconds, mapped) in enumerate(head):
        curves = {name: arrays[f"{row}/curves/{name}"] for name in names}
        networks = None if count is None else [arrays[f"{row}/networks/{place}"] for place in range(count)]
        numbers = None if scores is None else {name: float.fromhex(value) for name, value in scores.items()}
        maps = {epoch: arrays[f"{row}/maps/{epoch}"] for epoch in mapped} or None
        found[key] = Kept(curves, diverged_at, networks, numbers, seconds, maps)
    return found


def _with_head(arrays: Mapping[str, np.ndarray], head: Any) -> bytes:
    return safetensors.numpy.save(dict(arrays), {"head": json.dumps(head)})


def _and_head(data: bytes) -> tuple[dict[str, np.ndarray], Any]:
    length = int.from_bytes(data[:8], "little")
    return safetensors.numpy.load(data), json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["head"])
