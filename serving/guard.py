"""The service's outer wall: what reaches BentoML is a known route with a checked body, from a known caller.

It stands outside BentoML's own layers because those answer bad input with a status, a
form and a log line of their own: text of the request in tracebacks, a metrics series for
every unknown path, bodies of any size read whole. Whatever they still refuse leaves in
the service's one form of an error (see `serving.messages`).
"""

import asyncio
import json
import logging
import threading
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from serving.access import check_key
from serving.figures import count_refusal
from serving.limits import Limits
from serving.messages import TagArticleRequest, TagRequest, parse_request
from serving.refusals import Refusal, too_large

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

POSTS: dict[str, type[BaseModel]] = {"/v1/tag": TagRequest, "/v1/tag_article": TagArticleRequest}
PROBES = ("/livez", "/readyz", "/metrics")
GETS = ("/", "/v1/topics", "/v1/model", "/docs.json", *PROBES)

# The answers are data: no browser is to guess another type, keep, show, frame or run them.
_SECURITY: Headers = [
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-resource-policy", b"same-origin"),
]
# Set here, or nobody's business: BentoML names itself in `server` and has no option not to.
_LEFT_OUT = {b"server", *(name for name, _ in _SECURITY)}
# What BentoML or a layer below it answers; 500 stands for every status not listed.
_OTHER_ERRORS = {
    503: ("not_ready", "the service is not ready, no model has been loaded yet; try again"),
    504: ("too_slow", "the request took too long; send less at once"),
    500: ("internal_error", "the service failed; its log says where"),
}
CLIENT_GONE = 499
"""Status that stands in the log for a request whose client left before its answer."""

_log = logging.getLogger("duanbiao")


@dataclass
class Notes:
    """What the layers of one request tell each other."""

    counts: dict[str, int] = field(default_factory=dict)
    """Numbers for the log."""
    refusal: Refusal | None = None
    """Set by whoever has written the error that is on its way."""
    arrived: float = field(default_factory=time.perf_counter)
    """When the body had been read, by `time.perf_counter`; before that, when the request began."""
    abandoned: threading.Event = field(default_factory=threading.Event)
    """Nobody waits for the answer any more."""


NOTES: ContextVar[Notes] = ContextVar("notes")
"""The notes of the request that is being worked on."""


class _ClientGone(Exception):
    """The client left before it had sent its request."""


class Guard:
    """An ASGI application around BentoML's."""

    def __init__(self, app: App, limits: Limits, key: bytes | None = None) -> None:
        """Guard `app`; with a `key` (see `serving.access`), only for those who have it."""
        self._app, self._limits, self._key = app, limits, key
        self._taken = 0
        # A body is parsed off the event loop: a large one takes tenths of a second.
        self._parser = ThreadPoolExecutor(1, thread_name_prefix="parse")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection's request, or pass the server's start and stop on."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._refuse_websocket(scope, send)
        else:
            await self._answer(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        notes = Notes()
        NOTES.set(notes)
        reply = _Reply(scope, send, notes)
        try:
            await self._serve(scope, receive, reply)
        except _ClientGone:
            reply.status = CLIENT_GONE
        except Exception as error:
            log_crash(error)
            await reply.refuse(_refusal_of_status(500))
        self._log(scope, reply, time.perf_counter() - started)

    def _log(self, scope: Scope, reply: "_Reply", seconds: float) -> None:
        """Count and log the request: never its text, nor a path it made up."""
        route, notes = _route_of(scope), reply.notes
        if notes.refusal:
            count_refusal(route, notes.refusal)
        elif route in PROBES:
            return
        counts = {**notes.counts, **({"code": notes.refusal.code} if notes.refusal else {})}
        tail = "".join(f" {key}={value}" for key, value in counts.items())
        method = scope["method"] if scope["method"] in ("GET", "HEAD", "POST") else "other"
        _log.info("%s %s %d %.0fms%s", method, route, reply.status, 1000 * seconds, tail)

    async def _serve(self, scope: Scope, receive: Receive, reply: "_Reply") -> None:
        headers: Headers = scope["headers"]
        if not _has_body(headers):
            reply.body_is_read = True
        try:
            check_key(scope["path"], headers, self._key)
            _check_route(scope)
            if scope["path"] not in POSTS:
                await self._app(scope, receive, reply)
                return
            _check_headers(headers, self._limits)
            async with self._slot():
                body = await self._read_body(receive, reply)
                reply.notes.arrived = time.perf_counter()
                reply.notes.counts["bytes"] = len(body)
                loop = asyncio.get_running_loop()
                await loop.run_in_executor(self._parser, parse_request, body, POSTS[scope["path"]])
                await self._pass_on(scope, receive, body, reply)
        except Refusal as refusal:
            await reply.refuse(refusal, last=reply.body_is_read)
            if not reply.body_is_read:
                if refusal.status != 408:
                    await self._drain(receive)
                await reply.close()

    @asynccontextmanager
    async def _slot(self) -> AsyncIterator[None]:
        """Hold one of the places for requests at work.

        Raises:
            Refusal: 429, all are taken.
        """
        if self._taken >= self._limits.requests:
            message = f"{self._taken} requests are waiting or worked on, no more are taken; try again"
            raise Refusal(429, "too_many_requests", message, retry_after=1, allowed=self._limits.requests)
        self._taken += 1
        try:
            yield
        finally:
            self._taken -= 1

    async def _read_body(self, receive: Receive, reply: "_Reply") -> bytes:
        """Return the whole body.

        Raises:
            Refusal: 408 or 413, it comes too slowly or is too large.
            _ClientGone: it breaks off.
        """
        body = bytearray()
        try:
            async with asyncio.timeout(self._limits.body_seconds):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise _ClientGone
                    body += message.get("body", b"")
                    reply.body_is_read = not message.get("more_body", False)
                    if len(body) > self._limits.body_bytes:
                        raise too_large("body_bytes", self._limits.body_bytes)
                    if reply.body_is_read:
                        return bytes(body)
        except TimeoutError:
            text = f"the body did not arrive within {self._limits.body_seconds} s; send it faster"
            raise Refusal(408, "slow_body", text, allowed=self._limits.body_seconds) from None

    async def _refuse_websocket(self, scope: Scope, send: Send) -> None:
        if "websocket.http.response" not in scope.get("extensions", {}):
            await send({"type": "websocket.close", "code": 1008})
            return
        refusal = Refusal(400, "no_websocket", "no WebSocket is served here; send plain HTTP")
        try:
            check_key(scope["path"], scope["headers"], self._key)
        except Refusal as error:
            refusal = error
        body, headers = json.dumps(refusal.body()).encode(), _headers_of(refusal)
        await send({"type": "websocket.http.response.start", "status": refusal.status, "headers": headers})
        await send({"type": "websocket.http.response.body", "body": body})

    async def _drain(self, receive: Receive) -> None:
        """Read and drop the rest of a refused body.

        Closing on a client that still sends would destroy the answer on its way.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(self._limits.body_seconds):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect" or not message.get("more_body", False):
                        return

    async def _pass_on(self, scope: Scope, receive: Receive, body: bytes, reply: "_Reply") -> None:
        """Let BentoML answer, with the body that was read, as long as the client waits."""
        gone = asyncio.create_task(_wait_until_gone(receive, reply.notes))
        unread: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def replay() -> Message:
            if unread:
                return unread.pop()
            await asyncio.shield(gone)
            return {"type": "http.disconnect"}

        try:
            await self._app(scope, replay, reply)
        finally:
            gone.cancel()


async def _wait_until_gone(receive: Receive, notes: Notes) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    notes.abandoned.set()


class _Reply:
    """Sends an answer: with the security headers, and errors in the service's own form."""

    def __init__(self, scope: Scope, send: Send, notes: Notes) -> None:
        self.notes = notes
        self.status = 0
        """HTTP status once the answer has begun, else 0."""
        self.body_is_read = False
        """Nothing of the request is still to come."""
        self._scope, self._send = scope, send
        self._drop = False

    async def __call__(self, message: Message) -> None:
        """Send a message of the application."""
        if self._drop:
            return
        if message["type"] == "http.response.start":
            if message["status"] >= 400 and self.notes.refusal is None:
                self._drop = True
                await self.refuse(_refusal_of_status(message["status"]))
                return
            self.status = message["status"]
            kept = [header for header in message.get("headers", []) if header[0].lower() not in _LEFT_OUT]
            message = {**message, "headers": [*kept, *_SECURITY]}
        await self._send(message)

    async def refuse(self, refusal: Refusal, last: bool = True) -> None:
        """Send an error, unless an answer has begun; without `last`, `close` must follow."""
        if self.status:
            return
        self.status, self.notes.refusal = refusal.status, refusal
        body = json.dumps(refusal.body(), ensure_ascii=False).encode()
        headers = [*_headers_of(refusal), (b"content-length", str(len(body)).encode())]
        if not last:
            headers.append((b"connection", b"close"))
        await self._send({"type": "http.response.start", "status": refusal.status, "headers": headers})
        await self._send({"type": "http.response.body", "body": body, "more_body": not last})

    async def close(self) -> None:
        """End an answer that `refuse` has left open."""
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})


def _headers_of(refusal: Refusal) -> Headers:
    own = [(name.encode(), value.encode()) for name, value in refusal.headers.items()]
    return [(b"content-type", b"application/json"), *own, *_SECURITY]


def log_crash(error: BaseException) -> None:
    """Log where an unexpected error arose, without its message, which may hold text of a request."""
    frames = "".join(traceback.format_tb(error.__traceback__))
    _log.error("unexpected %s\n%s", type(error).__name__, frames)


def _refusal_of_status(status: int) -> Refusal:
    if status < 500:
        return Refusal(status, "bad_request", "the request was not understood; /docs.json says what is")
    code, message = _OTHER_ERRORS.get(status, _OTHER_ERRORS[500])
    return Refusal(status, code, message, retry_after=5 if status == 503 else None)


def _route_of(scope: Scope) -> str:
    known = scope["path"] in POSTS or scope["path"] in GETS
    return str(scope["path"]) if known else "other"


def _check_route(scope: Scope) -> None:
    path, method = scope["path"], scope["method"]
    if _route_of(scope) == "other":
        routes = [*POSTS, *GETS]
        raise Refusal(404, "not_found", "no such path; GET / lists those there are", routes=routes)
    allowed = ["POST"] if path in POSTS else ["GET", "HEAD"]
    if method not in allowed:
        refusal = Refusal(405, "wrong_method", f"{path}: takes {allowed[0]} only", allowed=allowed)
        refusal.headers["allow"] = ", ".join(allowed)
        raise refusal
    if scope["query_string"] and path not in PROBES:
        raise Refusal(400, "unknown_parameter", f"{path}: takes no parameters behind a '?'; leave them out")


def _has_body(headers: Headers) -> bool:
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and value.strip(b"0") != b"")
        for name, value in headers
    )


def _check_headers(headers: Headers, limits: Limits) -> None:
    """Refuse what is not plain JSON in UTF-8 of a size that is taken."""
    if not _is_json([value for name, value in headers if name == b"content-type"]):
        message = "the body's content type is not application/json in UTF-8; send 'Content-Type: application/json'"
        raise Refusal(415, "wrong_content_type", message)
    if any(value.strip().lower() != b"identity" for name, value in headers if name == b"content-encoding"):
        raise Refusal(415, "wrong_content_encoding", "the body is compressed; send it as it is")
    for name, value in headers:
        if name == b"content-length" and value.isdigit() and len(value) > len(str(limits.body_bytes)):
            raise too_large("body_bytes", limits.body_bytes)
        if name == b"content-length" and value.isdigit() and int(value) > limits.body_bytes:
            raise too_large("body_bytes", limits.body_bytes, int(value))


def _is_json(content_types: list[bytes]) -> bool:
    if len(content_types) != 1:
        return False
    media, *parameters = (part.strip().lower() for part in content_types[0].split(b";"))
    return media == b"application/json" and all(
        part in (b"", b"charset=utf-8", b'charset="utf-8"') for part in parameters
    )
