"""A worker as a process of its own, on some cores of this machine: `python -m ascribe.cluster.process ADDRESS CORES BYTES`.

What nobody else may know comes on standard input, one JSON object a line: first the certificate and the key of its cluster
(without them it talks to a scheduler that asks for none), then addresses of stores as orders name them, each with the one that
has the password. It listens on the loopback interface alone, and ends with the scheduler.
"""

import asyncio
import json
import logging
import os
import sys
import threading

from . import work
from .local import NO_PAGES, QUIET

NEVER = dict.fromkeys((f"distributed.worker.memory.{end}" for end in ("target", "spill", "pause", "terminate")), False)
"""What Dask does about memory would only disturb: how many runs fit into it is decided by `training.devices`."""


async def main(address: str, memory: int, tls: dict[str, str]) -> None:
    import dask  # noqa: PLC0415 - after the cores are set
    from distributed import Security, Worker  # noqa: PLC0415

    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # that of its end is no news
    names = {"ca_file": "tls_ca_file", "key": "tls_worker_key", "cert": "tls_worker_cert"}
    security = Security(require_encryption=True, **{name: tls[given] for given, name in names.items()}) if tls else None
    here = {"host": "127.0.0.1", "dashboard": False, "dashboard_address": "127.0.0.1:0", "security": security}
    with dask.config.set(NEVER | QUIET | NO_PAGES):  # pyright: ignore[reportPrivateImportUsage]
        async with Worker(address, nthreads=1, memory_limit=memory, death_timeout=30, **here) as worker:
            await worker.finished()


def listen() -> None:
    """Takes in what the process that started this one says, until it ends."""
    for line in sys.stdin:
        work.passwords.update(json.loads(line))


if __name__ == "__main__":
    scheduler, cores, size = sys.argv[1:]
    if hasattr(os, "sched_setaffinity"):  # before any thread is started: every later one inherits it
        os.sched_setaffinity(0, {int(core) for core in cores.split(",")})
    certificates = json.loads(sys.stdin.readline() or "{}")
    threading.Thread(target=listen, daemon=True).start()
    asyncio.run(main(scheduler, int(size), certificates))
