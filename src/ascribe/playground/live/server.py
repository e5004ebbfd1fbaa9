"""The live playground as a server: one page, and a socket for every tab that has it open."""

import asyncio
import contextlib
import re
import secrets
import socket
import time
from collections.abc import Callable, Mapping
from typing import Any, TypedDict, Unpack

from ascribe import training
from ascribe.checks import at_least, options
from ascribe.datasets import DataLike, Dataset
from ascribe.errors import Interrupted, UserError, needed, shown
from ascribe.setup import DEFAULTS, Setup
from ascribe.training import Rules

from .bench import Bench, recipes
from .guard import Guard
from .messages import LONGEST, Allowance, read
from .outbox import Outbox
from .page import page
from .session import Session

TABS = 4
"""Tabs that train at a time."""
PATIENCE = 1.0
"""Seconds that the end waits for what is being compiled."""
PING = 5.0
"""Seconds between two questions whether a tab is still there, and within which it answers."""
STALLED = 8.0
"""Seconds within which a tab takes a message; uvicorn waits without end until what it has for one is taken."""
RULES = ("backpropagation", "feedback-alignment", "direct-feedback-alignment")
"""The rules of a page that names none."""
RATES, OTHERS_RATE = {"sgd": 0.1, "momentum": 0.01, "adam": 1e-3}, 1e-2
"""Of an optimizer, the learning rate to begin with."""
SERVED: dict[str, Any] = {
    **{"http": "h11", "ws": "websockets-sansio", "ws_max_size": LONGEST, "ws_per_message_deflate": False},
    **{"ws_ping_interval": PING, "ws_ping_timeout": PING, "limit_concurrency": 64, "timeout_keep_alive": 5},
    **{"timeout_graceful_shutdown": 1, "proxy_headers": False, "server_header": False},
    **{"log_level": "critical", "access_log": False},  # addresses have the token in them
}
"""How uvicorn serves: bounded in every way."""
EXTRA, WHOSE = "play", "a live playground"


class Server:
    """A page of these rules, served until it is ended.

    **Arguments:** `address`, `port`: where it listens; port 0 is any that is free. It listens as soon as it is made.
    """

    def __init__(self, data: Dataset, bench: Bench, *, address: str, port: int):
        uvicorn = needed("uvicorn", EXTRA, WHOSE)
        self.bench, self.sessions = bench, set[Session]()
        self.token = secrets.token_urlsafe(24)
        self.page = page(data, bench, title=f"ascribe play: {data.name}")
        self.listening = _listen(address, port)
        host = socket.gethostname() if address in ("0.0.0.0", "::") else f"[{address}]" if ":" in address else address
        self.url = f"http://{host}:{self.listening.getsockname()[1]}/?token={self.token}"
        self.server = uvicorn.Server(uvicorn.Config(Guard(self._application(), address=address, token=self.token), **SERVED))

    def run(self) -> None:
        """Until Ctrl-C or `end`."""
        self.bench.begin()
        try:
            self.server.run(sockets=[self.listening])
        finally:
            self.listening.close()
            for session in self.sessions:
                session.stop()
            self.bench.end(PATIENCE)
            while any(not session.join(0.1) for session in list(self.sessions)):
                continue

    def end(self) -> None:
        """Ends it soon, from any thread."""
        self.server.should_exit = True

    def _application(self) -> Any:
        applications = needed("starlette.applications", EXTRA, WHOSE)
        responses = needed("starlette.responses", EXTRA, WHOSE)
        routing = needed("starlette.routing", EXTRA, WHOSE)

        async def whole_page(_: Any) -> Any:
            return responses.HTMLResponse(self.page)

        routes = [routing.Route("/", whole_page, methods=["GET"]), routing.WebSocketRoute("/socket", self._tab)]
        return applications.Starlette(routes=routes)

    async def _tab(self, tab: Any) -> None:
        """One tab, from its beginning to its end."""
        await tab.accept()
        if len(self.sessions) >= TABS:
            await tab.close(1013, f"{TABS} tabs train already: close one, then try again")
            return
        outbox = Outbox(asyncio.get_running_loop())
        session = Session(self.bench, outbox.put)
        self.sessions.add(session)
        session.start()
        both = [asyncio.create_task(one) for one in (self._listen_to(tab, session, outbox), _send(tab, outbox))]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            session.stop()
            for task in both:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, Exception):  # the tab is gone: what was on the way is lost
                    await task
            while not session.join(0.0):  # its place is free when its thread has ended
                await asyncio.sleep(0.02)
            self.sessions.discard(session)

    async def _listen_to(self, tab: Any, session: Session, outbox: Outbox) -> None:
        allowance = Allowance(time.monotonic())
        while True:
            message = await tab.receive()
            if message["type"] != "websocket.receive":
                return
            if not allowance.take(time.monotonic()):
                with contextlib.suppress(RuntimeError):
                    await tab.close(1008, "too many messages in a second")
                return
            try:
                text = message.get("text")
                wanted = read("" if text is None else text, session.learners)
            except UserError as error:
                outbox.put({"kind": "refused", "why": str(error)})
                continue
            if not session.tell(wanted):
                outbox.put({"kind": "refused", "why": "the training is not yet done with what was asked for before."})


async def _send(tab: Any, outbox: Outbox) -> None:
    """Sends the tab what comes into the outbox, as fast as it takes it; ends with `TimeoutError` where it takes nothing."""
    while True:
        message = await outbox.take()
        async with asyncio.timeout(STALLED):
            await tab.send_json(message)


def _listen(address: str, port: int) -> socket.socket:
    """A socket that listens at the first address of this name.

    **Raises:** `UserError` where it cannot.
    """
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0]
        found = socket.socket(family, kind, protocol)
        try:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            found.bind(place)
            found.listen(64)
        except OSError:
            found.close()
            raise
    except (OSError, UnicodeError, OverflowError) as error:
        why = getattr(error, "strerror", None) or error
        raise UserError(f"nothing can listen at {address}, port {port} ({why}): choose another address or port.") from error
    return found


def hidden(network: Any, data: Dataset) -> Any:
    """The network as `training.network_for` takes it: the units of every layer, `"64-64-10"`, as its hidden layers, `"64"`.

    **Raises:** `UserError` where the first are no inputs of these data, or the last no outputs.
    """
    if not isinstance(network, str) or not re.fullmatch(r"[0-9]{1,9}(-[0-9]{1,9})+", network):
        return network
    inputs, *widths, outputs = map(int, network.split("-"))
    wanted = (int(data.train.inputs[0].size), data.outputs)
    if (inputs, outputs) != wanted:
        raise UserError(
            f"{data.name} has {wanted[0]} inputs and wants {wanted[1]} outputs, so a network begins with {wanted[0]}- and ends "
            f"with -{wanted[1]}; got {network!r}: change them, or name the hidden layers alone, as in '64x64'."
        )
    return "x".join(map(str, widths)) or "linear"


class Chosen(TypedDict, total=False):
    """The settings of a `Setup` that a live playground takes as they are."""

    batch_size: int
    optimizer: str | Callable[..., Any] | Mapping[str, Any]
    loss: Any


@options(**{name: DEFAULTS[name] for name in Chosen.__annotations__})
def serve(
    data: DataLike,
    rules: Rules | None = None,
    *,
    network: Any = "64x64",
    activation: str = "relu",
    address: str = "127.0.0.1",
    port: int = 0,
    told: Callable[[str], None] = print,
    **settings: Unpack[Chosen],
) -> None:
    """Serves a page in which learning rules learn side by side, driven by JAX, until Ctrl-C.

    All begin with the same weights and learn from the same batches. The page needs the token in its address; another page
    that is open in the same browser cannot use the server.

    **Arguments:**

    - `data`: a `Dataset`, or what `datasets.load` makes one of;
    - `rules`: names (`"./my_rule.py:MyRule"` too) or rules; a mapping gives them names of their own. The control, of which
      the last layer alone learns, is beside them;
    - `network`: as in `ascribe.train`, or the units of every layer as `"64-64-10"`; `activation`: of the hidden layers;
    - `address`, `port`: where it listens: to this machine alone by default, at any port that is free;
    - `told`: is given the page's address;
    - `batch_size`, `optimizer`, `loss`: as in `ascribe.train`.

    **Raises:** `UserError` for what does not go together, or a package that is missing; `Interrupted` at Ctrl-C.
    """
    server = make_server(data, rules, network=network, activation=activation, address=address, port=port, **settings)
    told(server.url)
    try:
        server.run()
    except KeyboardInterrupt:
        raise Interrupted("the page is no longer served") from None


def check_installed() -> None:
    """A `UserError` with the command that installs what is missing, before anything takes long."""
    for module in ("uvicorn", "starlette", "websockets"):
        needed(module, EXTRA, WHOSE)


def make_server(
    data: DataLike,
    rules: Rules | None,
    *,
    network: Any,
    activation: str,
    address: str,
    port: int,
    **settings: Any,
) -> Server:
    """The server, which does not answer yet; refuses what does not go together."""
    check_installed()
    if not isinstance(address, str) or not address:
        raise UserError(f"`address` is the name or number of a network interface, such as 127.0.0.1; got {shown(address)}.")
    port = at_least(0, "port", port, most=65535)
    data = training.check_data(data)
    chosen = training.named_rules(list(RULES) if rules is None else rules, data)
    source = training.network_for(hidden(network, data), data, activation)
    optimizer = settings["optimizer"]
    rate = RATES.get(optimizer, OTHERS_RATE) if isinstance(optimizer, str) else OTHERS_RATE
    found = recipes(data, chosen, source, Setup(learning_rate=rate, **settings))
    training.devices.use_compilation_cache()
    return Server(data, Bench(found), address=address, port=port)
