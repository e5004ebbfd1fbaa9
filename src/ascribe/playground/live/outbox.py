"""What a training thread has for its tab, until the socket takes it: bounded, however slowly somebody reads."""

import asyncio
import collections
import threading
from typing import Any

NOTES = 32
"""Notes that may wait, at most; of more, the oldest are dropped."""


class Outbox:
    """Notes in their order, and the newest frame alone: one that nobody took in time is replaced by the next."""

    def __init__(self, loop: asyncio.AbstractEventLoop):
        self._loop, self._there, self._lock = loop, asyncio.Event(), threading.Lock()
        self._notes: collections.deque[dict[str, Any]] = collections.deque(maxlen=NOTES)
        self._frame: dict[str, Any] | None = None

    def put(self, message: dict[str, Any]) -> None:
        """From any thread."""
        with self._lock:
            if message["kind"] == "frame":
                self._frame = message
            else:
                self._notes.append(message)
        try:
            self._loop.call_soon_threadsafe(self._there.set)
        except RuntimeError:  # the loop has ended: nobody reads any more
            return

    async def take(self) -> dict[str, Any]:
        """The next message, in the loop."""
        while True:
            await self._there.wait()
            with self._lock:
                if self._notes:
                    return self._notes.popleft()
                frame, self._frame = self._frame, None
                if frame is not None:
                    return frame
                self._there.clear()
