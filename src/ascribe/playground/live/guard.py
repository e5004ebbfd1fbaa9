"""Who may open the page and its socket: this machine's browser at this address, with the token that was printed.

Another page, open in the same browser, cannot: it does not know the token, its origin is another, and a name that it has
pointed at this machine is no name of this server.
"""

import ipaddress
import secrets
import socket
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any
from urllib.parse import parse_qs

Scope = MutableMapping[str, Any]
Application = Callable[[Scope, Callable[..., Awaitable[Any]], Callable[..., Awaitable[None]]], Awaitable[None]]

HEADERS = (
    ("Content-Security-Policy", "frame-ancestors 'none'"),  # which a page cannot say of itself; all else stands in it
    ("X-Frame-Options", "DENY"),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Cache-Control", "no-store"),
)
"""What every answer says of itself."""


class Guard:
    """An ASGI application that lets through to another what has the token and comes from the page itself.

    **Arguments:** `address`: that the server listens at, as it was named.
    """

    def __init__(self, application: Application, *, address: str, token: str):
        self.application, self.address, self.token = application, address, token

    async def __call__(
        self, scope: Scope, receive: Callable[..., Awaitable[Any]], send: Callable[..., Awaitable[None]]
    ) -> None:
        """Answers one request, or one socket from its beginning."""
        if scope["type"] == "lifespan":
            await self.application(scope, receive, send)
            return
        refused = self.refusal(scope)

        async def with_headers(message: MutableMapping[str, Any]) -> None:
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                own = [(name.lower().encode(), value.encode()) for name, value in HEADERS]
                message = {**message, "headers": [*message.get("headers", ()), *own]}
            await send(message)

        if refused is None:
            await self.application(scope, receive, with_headers)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": refused})  # before it opens: HTTP's 403
        else:
            text = [(b"content-type", b"text/plain; charset=utf-8")]
            await with_headers({"type": "http.response.start", "status": 403, "headers": text})
            await send({"type": "http.response.body", "body": f"{refused}\n".encode()})

    def refusal(self, scope: Scope) -> str | None:
        """Why this is not let through; None where it is."""
        hosts, origins = _header(scope, b"host"), _header(scope, b"origin")
        if len(hosts) != 1 or not is_own_name(hosts[0], self.address):
            return "Refused: this is no name of the server; use the address that ascribe printed."
        if any(origin != f"http://{hosts[0]}" for origin in origins) or (scope["type"] == "websocket" and len(origins) != 1):
            return "Refused: another page may not use this server."
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [])
        if len(given) != 1 or not secrets.compare_digest(given[0].encode(), self.token.encode()):
            return "Refused: the token is missing or wrong; use the whole address that ascribe printed."
        return None


def is_own_name(host: str, address: str) -> bool:
    """Whether a `Host` header names this server: its `address`, with `localhost` for this machine alone, and every number and
    this machine's own name where it listens to all. A port is not looked at, so that it may be forwarded."""
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    if name.lower() == address.lower():
        return True
    number = _number(address)
    local = number is not None and (number.is_loopback or number.is_unspecified)
    if local and name.lower() in ("localhost", "127.0.0.1", "::1"):
        return True
    everywhere = number is not None and number.is_unspecified
    return everywhere and (_number(name) is not None or name.lower() == socket.gethostname().lower())


def is_loopback(address: str) -> bool:
    """Whether an address is of this machine alone."""
    number = _number(address)
    return address.lower() == "localhost" or (number is not None and number.is_loopback)


def _number(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None


def _header(scope: Scope, name: bytes) -> list[str]:
    headers: Iterable[tuple[bytes, bytes]] = scope["headers"]
    return [value.decode("latin-1") for key, value in headers if key.lower() == name]
