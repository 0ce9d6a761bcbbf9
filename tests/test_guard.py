"""The guard before an application that only echoes: what gets through, and how errors leave."""

import asyncio
import json
import logging
from collections.abc import Iterable
from typing import Any

import pytest

from serving.guard import NOTES, App, Guard, Message, Receive, Scope, Send
from serving.limits import Limits

JSON: list[tuple[bytes, bytes]] = [(b"content-type", b"application/json")]
BODY = '{"paragraphs": ["全市召开安全生产工作会议"]}'.encode()


SAFE = {
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "cross-origin-resource-policy": "same-origin",
}


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the path and the body."""
    body = (await receive()).get("body", b"") if scope["method"] == "POST" else b""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-path", scope["path"].encode())]})
    await send({"type": "http.response.body", "body": body})


def failing(status: int, text: bytes = b"BentoML's own words") -> App:
    """Make an application that answers with this status."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": text, "more_body": True})
        await send({"type": "http.response.body", "body": text})

    return app


class Answer:
    """What the guard sent for one request."""

    def __init__(self, messages: list[Message]) -> None:
        start, *bodies = messages
        self.status: int = start["status"]
        self.headers = {name.decode(): value.decode() for name, value in start["headers"]}
        self.names = sorted(name.decode() for name, _ in start["headers"])
        self.body = b"".join(message["body"] for message in bodies)
        self.ended = not bodies[-1].get("more_body", False)

    @property
    def error(self) -> dict[str, Any]:
        content = json.loads(self.body)
        assert set(content) == {"error"} and set(content["error"]) == {"code", "message", "details"}
        return dict(content["error"])


async def ask(
    guard: Guard,
    method: str = "POST",
    path: str = "/v1/tag",
    headers: Iterable[tuple[bytes, bytes]] = JSON,
    parts: Iterable[bytes] = (BODY,),
    query: bytes = b"",
    stall: bool = False,
) -> Answer:
    """Send a request in parts; with `stall`, its end never comes."""
    waiting: list[Message] = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    if not stall:
        waiting.append({"type": "http.request", "body": b"", "more_body": False})
    sent: list[Message] = []

    async def receive() -> Message:
        if not waiting:
            await asyncio.Event().wait()
        return waiting.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    whole = [*headers, (b"transfer-encoding", b"chunked")] if method == "POST" else [*headers]
    scope = {"type": "http", "method": method, "path": path, "headers": whole, "query_string": query}
    await guard(scope, receive, send)
    return Answer(sent)


def test_a_good_request_passes_whole_and_gets_the_security_headers() -> None:
    answer = asyncio.run(ask(Guard(echo, Limits()), parts=(BODY[:7], b"", BODY[7:])))
    assert (answer.status, answer.body) == (200, BODY)
    assert answer.headers == {"x-path": "/v1/tag", **SAFE}


def test_the_security_headers_are_the_services_own_and_stand_once() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"Server", b"BentoML"), (b"Cache-Control", b"max-age=60"), (b"x-frame-options", b"SAMEORIGIN")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    answer = asyncio.run(ask(Guard(app, Limits()), "GET", "/", []))
    assert answer.headers == SAFE and answer.names == sorted(SAFE)


@pytest.mark.parametrize("path", ["/", "/livez", "/readyz", "/metrics", "/docs.json", "/v1/topics", "/v1/model"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_pages_pass(method: str, path: str) -> None:
    answer = asyncio.run(ask(Guard(echo, Limits()), method, path, headers=[]))
    assert (answer.status, answer.headers["x-path"]) == (200, path)


@pytest.mark.parametrize(
    "path",
    [
        "/v1/tag/",
        "//v1/tag",
        "/v1",
        "/V1/TAG",
        "/healthz",
        "/schema.json",
        "/v1/tag_article/x",
        "/../etc/passwd",
        "",
        "/机密",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_unknown_path_is_refused_and_not_repeated(method: str, path: str) -> None:
    answer = asyncio.run(ask(Guard(echo, Limits()), method, path))
    assert (answer.status, answer.error["code"]) == (404, "not_found")
    assert "机密" not in answer.body.decode()


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/v1/tag", "POST"),
        ("PUT", "/v1/tag", "POST"),
        ("DELETE", "/v1/tag_article", "POST"),
        ("OPTIONS", "/v1/tag", "POST"),
        ("机密", "/v1/tag", "POST"),
        ("POST", "/v1/topics", "GET, HEAD"),
        ("POST", "/metrics", "GET, HEAD"),
    ],
)
def test_a_wrong_method_is_refused(method: str, path: str, allowed: str) -> None:
    answer = asyncio.run(ask(Guard(echo, Limits()), method, path))
    assert (answer.status, answer.error["code"], answer.headers["allow"]) == (405, "wrong_method", allowed)


def test_parameters_are_refused_where_none_are_known() -> None:
    answer = asyncio.run(ask(Guard(echo, Limits()), query=b"format=html"))
    assert (answer.status, answer.error["code"]) == (400, "unknown_parameter")
    assert asyncio.run(ask(Guard(echo, Limits()), "GET", "/metrics", [], query=b"name[]=x")).status == 200


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        (b"application/json", 200),
        (b"Application/JSON; charset=UTF-8", 200),
        (b'application/json;charset="utf-8"', 200),
        (b"application/json; charset=gbk", 415),
        (b"application/json; charset=utf-16", 415),
        (b"application/json, text/plain", 415),
        (b"application/jsonx", 415),
        (b"text/json", 415),
        (b"text/plain", 415),
        (b"application/x-www-form-urlencoded", 415),
        (b"multipart/form-data", 415),
        (b"multipart/form-data; boundary=x", 415),
        (b"application/vnd.bentoml+pickle", 415),
        (b"application/octet-stream", 415),
        (b"", 415),
        (b"\xff", 415),
    ],
)
def test_only_json_in_utf_8_is_taken(content_type: bytes, status: int) -> None:
    answer = asyncio.run(ask(Guard(echo, Limits()), headers=[(b"content-type", content_type)]))
    assert answer.status == status
    assert status == 200 or answer.error["code"] == "wrong_content_type"


@pytest.mark.parametrize("headers", [[], [*JSON, *JSON]])
def test_no_or_two_content_types_are_refused(headers: list[tuple[bytes, bytes]]) -> None:
    assert asyncio.run(ask(Guard(echo, Limits()), headers=headers)).status == 415


@pytest.mark.parametrize("encoding", [b"gzip", b"br", b"identity, gzip", b"x"])
def test_a_compressed_body_is_refused(encoding: bytes) -> None:
    answer = asyncio.run(ask(Guard(echo, Limits()), headers=[*JSON, (b"content-encoding", encoding)]))
    assert (answer.status, answer.error["code"]) == (415, "wrong_content_encoding")


@pytest.mark.parametrize("length", [b"101", b"209715200", b"9" * 10_000])
def test_a_body_that_says_it_is_too_large_is_refused_unread(length: bytes) -> None:
    guard = Guard(echo, Limits(body_bytes=100))
    answer = asyncio.run(ask(guard, headers=[*JSON, (b"content-length", length)]))
    assert (answer.status, answer.error["code"]) == (413, "too_large")
    assert (answer.error["details"]["limit"], answer.error["details"]["allowed"]) == ("body_bytes", 100)
    assert (answer.ended, answer.headers["connection"]) == (True, "close")


def test_a_body_of_unknown_size_is_read_up_to_the_limit() -> None:
    guard = Guard(echo, Limits(body_bytes=len(BODY)))
    assert asyncio.run(ask(guard, parts=(BODY,))).status == 200
    answer = asyncio.run(ask(guard, parts=(BODY, b" ")))
    assert (answer.status, answer.error["details"]) == (413, {"limit": "body_bytes", "allowed": len(BODY)})
    assert answer.ended


def test_a_body_that_does_not_arrive_is_refused() -> None:
    answer = asyncio.run(ask(Guard(echo, Limits(body_seconds=1)), parts=(BODY[:5],), stall=True))
    assert (answer.status, answer.error["code"], answer.ended) == (408, "slow_body", True)


def test_requests_past_the_limit_are_told_to_come_again() -> None:
    async def scenario() -> list[Answer]:
        release, begun = asyncio.Event(), asyncio.Event()

        async def slow(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["method"] == "POST":
                begun.set()
                await release.wait()
            await echo(scope, receive, send)

        guard = Guard(slow, Limits(requests=1))
        first = asyncio.create_task(ask(guard))
        await begun.wait()
        second, probe = await ask(guard), await ask(guard, "GET", "/livez", [])
        release.set()
        return [await first, second, probe, await ask(guard)]

    first, second, probe, third = asyncio.run(scenario())
    assert [first.status, second.status, probe.status, third.status] == [200, 429, 200, 200]
    assert (second.error["code"], second.headers["retry-after"]) == ("too_many_requests", "1")


@pytest.mark.parametrize(
    ("status", "code", "sent"),
    [(400, "bad_request", 400), (500, "internal_error", 500), (503, "not_ready", 503), (504, "too_slow", 504)],
)
def test_errors_of_the_application_leave_in_the_one_form(status: int, code: str, sent: int) -> None:
    answer = asyncio.run(ask(Guard(failing(status), Limits())))
    assert (answer.status, answer.error["code"], answer.ended) == (sent, code, True)
    assert ("retry-after" in answer.headers) == (status == 503)


def test_a_crash_is_answered_and_logged_without_its_text(caplog: pytest.LogCaptureFixture) -> None:
    secret = "机密" + "正文"  # a traceback shows the source, so the whole must not stand there

    async def crash(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError(secret)

    with caplog.at_level(logging.INFO):
        answer = asyncio.run(ask(Guard(crash, Limits())))
    assert (answer.status, answer.error["code"]) == (500, "internal_error")
    assert "RuntimeError" in caplog.text and "in crash" in caplog.text
    assert secret not in caplog.text


def test_the_log_has_numbers_and_no_text(caplog: pytest.LogCaptureFixture) -> None:
    guard = Guard(echo, Limits())
    with caplog.at_level(logging.INFO):
        asyncio.run(ask(guard))
        asyncio.run(ask(guard, parts=('{"paragraphs": ["机密", 5]}'.encode(),)))
        asyncio.run(ask(guard, "机密", "/机密"))
        asyncio.run(ask(guard, "GET", "/livez", []))
    lines = [record.getMessage() for record in caplog.records]
    assert [line.split(" ")[:3] for line in lines] == [
        ["POST", "/v1/tag", "200"],
        ["POST", "/v1/tag", "422"],
        ["other", "other", "404"],
    ]
    assert lines[0].endswith(f"bytes={len(BODY)}") and lines[1].endswith("code=wrong_type")
    assert "机密" not in caplog.text


def test_work_is_told_when_the_client_leaves() -> None:
    async def scenario() -> tuple[bool, bool]:
        left = asyncio.Event()
        seen = []

        async def work(scope: Scope, receive: Receive, send: Send) -> None:
            await receive()
            seen.append(NOTES.get().abandoned.is_set())
            left.set()
            assert (await receive())["type"] == "http.disconnect"
            seen.append(NOTES.get().abandoned.is_set())

        messages: list[Message] = [{"type": "http.request", "body": BODY, "more_body": False}]

        async def receive() -> Message:
            if messages:
                return messages.pop()
            await left.wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            raise AssertionError("nobody is there")

        scope = {"type": "http", "method": "POST", "path": "/v1/tag", "headers": JSON, "query_string": b""}
        await Guard(work, Limits())(scope, receive, send)
        before, after = seen
        return before, after

    assert asyncio.run(scenario()) == (False, True)


def test_a_client_that_leaves_while_sending_gives_its_place_back() -> None:
    async def scenario() -> Answer:
        guard = Guard(echo, Limits(requests=1))

        async def receive() -> Message:
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            raise AssertionError("nobody is there")

        scope = {"type": "http", "method": "POST", "path": "/v1/tag", "headers": JSON, "query_string": b""}
        await guard(scope, receive, send)
        return await ask(guard)

    assert asyncio.run(scenario()).status == 200
