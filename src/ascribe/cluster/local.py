"""Workers of this machine: a scheduler in this process, and processes that share the cores among them."""

import contextlib
import json
import os
import subprocess
import sys
import time
from typing import Any

from ascribe.errors import UserError

LOOPBACK = "127.0.0.1"

QUIET = {"distributed.worker.profile.enabled": False, "distributed.admin.tick.interval": "1s"}
QUIET |= {"distributed.admin.system-monitor.interval": "5s"}
"""What Dask does else: it looks at itself a hundred times a second, which costs the core that trains up to a tenth."""

NO_PAGES = {f"distributed.{who}.http.routes": [] for who in ("scheduler", "worker")}
"""Dask's pages about its work are for everybody who asks: nobody needs them here."""

QUICK, MOST_QUICK = 5.0, 10
"""A worker that dies within so many seconds of its start has hardly worked; so many in a row never will."""

PATIENCE = 10.0
"""Seconds that a worker has to end by itself."""


class Local:
    """A scheduler and `count` workers, which listen on the loopback interface alone and let in nobody else: they talk by TLS,
    with a key made for this cluster, which is in the memory of its processes alone. A worker that dies is started anew."""

    def __init__(self, count: int):
        import dask  # noqa: PLC0415 - an extra
        from distributed import LocalCluster, Security  # noqa: PLC0415

        from ascribe.training import devices  # noqa: PLC0415

        cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
        self._cores = [list(cores)[place % len(cores) :: count] for place in range(count)]
        self._memory = devices.available_memory() // count
        self.security: Any = Security.temporary()
        here = {"host": LOOPBACK, "dashboard_address": f"{LOOPBACK}:0", "protocol": "tls://", "security": self.security}
        with dask.config.set(QUIET | NO_PAGES):  # pyright: ignore[reportPrivateImportUsage]
            self._scheduler: Any = LocalCluster(n_workers=0, processes=False, **here)
        self.address: str = self._scheduler.scheduler_address
        self._quick = 0
        self._told: dict[str, str] = {}
        self._workers = [self._start(place) for place in range(count)]

    def _start(self, place: int) -> tuple[subprocess.Popen[bytes], float]:
        cores = ",".join(map(str, self._cores[place]))
        command = [sys.executable, "-m", "ascribe.cluster.process", self.address, cores, str(self._memory)]
        known = os.pathsep.join(path or os.getcwd() for path in sys.path)
        # A session of their own: Ctrl-C is for the process that counts, which tells them.
        environment = {**os.environ, "PYTHONPATH": known}
        process = subprocess.Popen(command, env=environment, start_new_session=True, stdin=subprocess.PIPE)
        _say(process, self.security.get_tls_config_for_role("worker"))
        _say(process, self._told)
        return process, time.monotonic()

    def tell(self, public: str, whole: str) -> None:
        """Tells the workers a store's address with its password, which is in the memory of processes alone."""
        if self._told.get(public) != whole:
            self._told[public] = whole
            for process, _ in self._workers:
                _say(process, {public: whole})

    def revive(self) -> None:
        """Starts anew what has died.

        **Raises:** `UserError` where workers die again and again.
        """
        for place, (worker, started) in enumerate(self._workers):
            code = worker.poll()
            if code is not None:
                self._quick = self._quick + 1 if time.monotonic() - started < QUICK else 0
                if self._quick == MOST_QUICK:
                    raise UserError(f"workers end as soon as they are started, the last with code {code}: use fewer.")
                _say_no_more(worker)
                self._workers[place] = self._start(place)

    def close(self) -> None:
        """Ends the workers, and the scheduler."""
        self._scheduler.close()
        for worker, _ in self._workers:
            _say_no_more(worker)
            with contextlib.suppress(subprocess.TimeoutExpired):
                worker.wait(PATIENCE)
            worker.kill()
            worker.wait()


def _say(process: "subprocess.Popen[bytes]", content: dict[str, Any]) -> None:
    """One line on the process's standard input; nothing where it has died already, and is started anew."""
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):
        process.stdin.write(json.dumps(content, default=str).encode() + b"\n")
        process.stdin.flush()


def _say_no_more(process: "subprocess.Popen[bytes]") -> None:
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):
        process.stdin.close()
