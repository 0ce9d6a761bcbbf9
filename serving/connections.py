"""How long a client may leave the server waiting, and how many connections may be open.

The guard bounds a request from the end of its head on. Before that, and after the answer,
only the server below it, uvicorn, knows of the connection, and uvicorn waits for ever: for
the head of a first request, for the rest of a later one, for an answer to be taken.
"""

import asyncio
import functools
from typing import Any, Literal

import uvicorn.config
from uvicorn.protocols.http.h11_impl import H11Protocol

from serving.limits import Limits

LOOK_SECONDS = 1.0
"""Time between two looks at all connections: a deadline is kept with this precision."""


def bound_connections(limits: Limits) -> None:
    """Bound the connections of the server that this process is about to start.

    BentoML passes none of uvicorn's settings on, and uvicorn has none for this. What it has
    is a table of protocols by name; the server takes the one called "auto".
    """
    uvicorn.config.HTTP_PROTOCOLS["auto"] = functools.partial(BoundedProtocol, Connections(limits))  # type: ignore[assignment]


class BoundedProtocol(H11Protocol):
    """One connection, which tells the others when it comes, answers and goes."""

    def __init__(self, everyone: "Connections", *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._everyone = everyone
        self._seen: tuple[object, object] = (None, None)
        self._since = self.loop.time()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._everyone.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._everyone.remove(self)
        super().connection_lost(exc)

    def handle_websocket_upgrade(self, event: Any) -> None:
        # Another protocol takes over; the guard answers with a refusal at once.
        self._everyone.remove(self)
        super().handle_websocket_upgrade(event)

    def on_response_complete(self) -> None:
        self._everyone.renew(self)
        super().on_response_complete()

    def owed(self) -> Literal["head", "answer"] | None:
        """Return what the client is waited for: to send a head, to take an answer, or neither."""
        if self.transport.is_closing() or self.flow.write_paused:
            return "answer"
        return "head" if self.cycle is None or self.cycle.response_complete else None

    def waited(self) -> float:
        """Return for how many seconds, as far as was seen, the client has been waited for the same thing."""
        now, state = self.loop.time(), (self.owed(), self.cycle)
        if state != self._seen:
            self._seen, self._since = state, now
        return now - self._since


class Connections:
    """All open connections of a process, the one that is idle the longest first."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._seconds = {"head": limits.header_seconds, "answer": limits.answer_seconds}
        # A dictionary keeps its order and is quick to remove from; its values say nothing.
        self._open: dict[BoundedProtocol, None] = {}
        self._looking = False

    def add(self, connection: BoundedProtocol) -> None:
        """Take a new connection in; if that is one too many, close one that waits for nothing."""
        self._open[connection] = None
        if len(self._open) > self._limits.connections:
            idle = next((one for one in self._open if one.owed() == "head"), connection)
            self.remove(idle)
            idle.transport.abort()
        if not self._looking:
            self._looking = True
            connection.loop.call_later(LOOK_SECONDS, self._look, connection.loop)

    def remove(self, connection: BoundedProtocol) -> None:
        """Forget a connection."""
        self._open.pop(connection, None)

    def renew(self, connection: BoundedProtocol) -> None:
        """Put a connection that has just been of use behind the others."""
        if connection in self._open:
            self.remove(connection)
            self._open[connection] = None

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """Close the connections that have left the server waiting for too long."""
        for connection in list(self._open):
            owed = connection.owed()
            if connection.waited() > self._seconds.get(owed or "", float("inf")):
                connection.transport.abort()
        self._looking = bool(self._open)
        if self._looking:
            loop.call_later(LOOK_SECONDS, self._look, loop)
