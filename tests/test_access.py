"""Who may call: what is a key, who has it, and what a service with one tells those who do not."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from running_server import STARTS_WITHIN, Server, wait_until
from test_guard import JSON, SAFE, Answer, ask, echo

from serving.access import MIN_LENGTH, check_key, read_key, warning_of
from serving.guard import Guard, Message
from serving.limits import Limits
from serving.refusals import Refusal

KEY = "0123456789abcdef-~!"
BEARER = f"Bearer {KEY}".encode()


def test_without_the_variable_there_is_no_key() -> None:
    assert read_key({"PATH": "/bin", "DUANBIAO_MODEL": "released"}) is None


def test_a_key_is_taken_as_it_is() -> None:
    assert read_key({"DUANBIAO_API_KEY": KEY}) == KEY.encode()
    assert read_key({"DUANBIAO_API_KEY": "k" * MIN_LENGTH}) == b"k" * MIN_LENGTH


@pytest.mark.parametrize(
    ("key", "why"),
    [
        ("", "is empty"),
        (" \t\n", "is empty"),
        ("q" * (MIN_LENGTH - 1), "has 15 characters, fewer than 16"),
        ("qqqqqqqqqqqqqqqq ", "cannot stand in a header"),
        ("qqqqqqqq qqqqqqqqqq", "cannot stand in a header"),
        ("qqqqqqqqqqqqqqqq\n", "cannot stand in a header"),
        ("qqqqqqqqqqqqqqqq\x7f", "cannot stand in a header"),
        ("密" * MIN_LENGTH, "cannot stand in a header"),
        ("qqqqqqqqqqqqqqqqé", "cannot stand in a header"),
        ("qqqqqqqqqqqqqqqq\udcff", "cannot stand in a header"),
    ],
)
def test_what_can_be_no_key_is_refused_and_not_repeated(key: str, why: str) -> None:
    with pytest.raises(ValueError, match=f"^DUANBIAO_API_KEY: .*{why}.*; set one") as caught:
        read_key({"DUANBIAO_API_KEY": key})
    assert "qq" not in str(caught.value) and "密" not in str(caught.value)


@pytest.mark.parametrize("sent", [BEARER, BEARER.replace(b"Bearer", b"bEARER"), BEARER.replace(b" ", b"   ")])
def test_the_key_opens_every_route(sent: bytes) -> None:
    check_key("/v1/tag", [(b"host", b"x"), (b"authorization", sent)], KEY.encode())


@pytest.mark.parametrize(
    "sent",
    [
        [],
        [b""],
        [b"Bearer"],
        [b"Bearer "],
        [KEY.encode()],
        [b"Basic " + KEY.encode()],
        [BEARER[:-1]],
        [BEARER + b"x"],
        [BEARER.upper()],
        [BEARER + b" x"],
        [BEARER[:-1] + b"\xff"],
        [b"Bearer \xe5\xaf\x86" * 10],
        [b"\xff" * 100_000],
        [BEARER, BEARER],
        [BEARER, b"Bearer x"],
    ],
)
def test_all_else_opens_none_but_the_probes(sent: list[bytes]) -> None:
    headers = [(b"authorization", value) for value in sent]
    for path in ("/livez", "/readyz"):
        check_key(path, headers, KEY.encode())
    for path in ("/", "/v1/tag", "/metrics", "/docs.json", "/livez/", "/机密"):
        with pytest.raises(Refusal) as caught:
            check_key(path, headers, KEY.encode())
        refusal = caught.value
        assert (refusal.status, refusal.code, refusal.details) == (401, "unauthorized", {})
        assert refusal.headers == {"www-authenticate": "Bearer"} and KEY not in refusal.message


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.20", "2001:db8::1"])
def test_an_open_address_without_a_key_is_warned_of(host: str) -> None:
    assert f"listening on {host} without a key" in (warning_of(host, None) or "")
    assert "set DUANBIAO_API_KEY" in (warning_of(host, None) or "")
    assert warning_of(host, KEY.encode()) is None


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "no address"])
def test_loopback_is_not(host: str) -> None:
    assert warning_of(host, None) is None


def ask_locked(method: str, path: str, headers: list[tuple[bytes, bytes]], body: bytes, query: bytes = b"") -> Answer:
    return asyncio.run(ask(Guard(echo, Limits(), KEY.encode()), method, path, headers, (body,), query))


def test_without_the_key_every_request_gets_the_same_answer() -> None:
    answers = [
        ask_locked(method, path, headers, body, query)
        for method in ("GET", "HEAD", "POST", "OPTIONS", "DELETE", "机密")
        for path in ("/", "/v1/tag", "/v1/tag_article", "/metrics", "/docs.json", "/none", "/livez/")
        for headers in ([], JSON, [*JSON, (b"content-length", b"9" * 30)], [*JSON, (b"content-encoding", b"br")])
        for body, query in ((b"", b""), (b"{", b"x=1"), (b'{"paragraphs": [5]}', b""))
    ]
    lengths = {answer.headers.pop("content-length") for answer in answers}
    for answer in answers:
        # Where a body may still come, the connection is to end.
        answer.headers.pop("connection", None)
        assert (answer.status, answer.body) == (401, answers[0].body)
        assert answer.headers == {"content-type": "application/json", "www-authenticate": "Bearer", **SAFE}
    assert len(lengths) == 1


def test_with_the_key_the_guard_goes_on_as_ever() -> None:
    headers = [*JSON, (b"authorization", BEARER)]
    good = b'{"paragraphs": ["x"]}'
    assert ask_locked("POST", "/v1/tag", headers, good).status == 200
    assert ask_locked("POST", "/none", headers, good).error["code"] == "not_found"
    assert ask_locked("GET", "/v1/tag", headers, b"").error["code"] == "wrong_method"
    assert ask_locked("POST", "/v1/tag", headers, b"{").error["code"] == "not_json"
    assert ask_locked("GET", "/readyz", [], b"").status == 200


def test_a_body_without_the_key_is_not_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    from serving import guard

    parsed: list[bytes] = []
    parse = guard.parse_request
    monkeypatch.setattr(guard, "parse_request", lambda body, form: parsed.append(body) or parse(body, form))
    good = b'{"paragraphs": ["x"]}'
    assert ask_locked("POST", "/v1/tag", JSON, good).status == 401
    assert parsed == []
    assert ask_locked("POST", "/v1/tag", [*JSON, (b"authorization", BEARER)], good).status == 200
    assert parsed == [good]


@pytest.mark.parametrize(("headers", "status"), [([], 401), ([(b"authorization", BEARER)], 400)])
def test_a_websocket_needs_the_key_too(headers: list[tuple[bytes, bytes]], status: int) -> None:
    async def scenario() -> list[Message]:
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "websocket.connect"}

        async def send(message: Message) -> None:
            sent.append(message)

        extensions = {"websocket.http.response": {}}
        scope = {"type": "websocket", "path": "/v1/tag", "headers": headers, "extensions": extensions}
        await Guard(echo, Limits(), KEY.encode())(scope, receive, send)
        return sent

    start, _ = asyncio.run(scenario())
    assert start["status"] == status
    assert ((b"www-authenticate", b"Bearer") in start["headers"]) == (status == 401)


class Listener:
    """A proxy that passes nothing on and remembers what was to be sent through it."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                self.asked.append(connection.recv(1000).split(b"\r\n")[0])

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(scope="module")
def proxy() -> Iterator[Listener]:
    listener = Listener()
    yield listener
    listener.close()


@pytest.fixture(scope="module")
def locked(tiny_artifact: Path, proxy: Listener, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The service with a key, told no address; what it sends into the world goes to `proxy`."""
    ways = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy"), proxy.url)
    # As if nobody had ever asked it to keep quiet.
    loud = {"BENTOML_DO_NOT_TRACK": "", "ORT_DISABLE_TELEMETRY": "", "NO_PROXY": "", "no_proxy": ""}
    home = tmp_path_factory.mktemp("locked") / "home"
    running = Server(
        home, None, DUANBIAO_MODEL=str(tiny_artifact), DUANBIAO_API_KEY=KEY, **ways, **loud, HOME=str(home.parent)
    )
    try:
        running.wait_for("/readyz")
        yield running
    finally:
        running.stop()


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


@pytest.mark.slow
def test_only_who_has_the_key_is_answered(locked: Server) -> None:
    for path in ("/livez", "/readyz"):
        assert locked.http.get(path).status_code == 200
    routes = locked.http.get("/", headers=bearer(KEY)).json()
    for path in [*routes["get"], *routes["post"], "/none"]:
        for headers in ({}, bearer(KEY[:-1]), {"authorization": "Bearer 密钥".encode()}):  # type: ignore[var-annotated]
            if path not in ("/livez", "/readyz"):
                check_unauthorized(locked.http.get(path, headers=headers))
                check_unauthorized(locked.http.post(path, headers=headers, content=b'{"paragraphs": ['))
    for path in routes["get"]:
        assert locked.http.get(path, headers=bearer(KEY)).status_code == 200
    tagged = locked.http.post("/v1/tag", json={"paragraphs": ["安全生产"]}, headers=bearer(KEY))
    assert tagged.status_code == 200 and tagged.json()["model"] == "tiny-1"


def check_unauthorized(answer: httpx.Response) -> None:
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert answer.json()["error"]["code"] == "unauthorized"
    assert SAFE.items() <= answer.headers.items()


@pytest.mark.slow
def test_the_key_is_told_nowhere(locked: Server) -> None:
    for key in (KEY, KEY + "x"):
        for path in ("/", "/v1/model", "/v1/topics", "/docs.json", "/metrics", "/none"):
            answer = locked.http.get(path, headers=bearer(key))
            assert KEY not in answer.text and KEY not in str(answer.headers)
    assert KEY not in locked.log() and "unauthorized" in locked.log()


@pytest.mark.slow
def test_the_description_tells_that_a_key_is_needed(locked: Server) -> None:
    described = locked.http.get("/docs.json", headers=bearer(KEY)).json()
    (name,) = described["components"]["securitySchemes"]
    scheme = described["components"]["securitySchemes"][name]
    assert (scheme["type"], scheme["scheme"], described["security"]) == ("http", "bearer", [{name: []}])
    unlocked = {path for path, methods in described["paths"].items() if methods.get("get", {}).get("security") == []}
    assert unlocked == {"/livez", "/readyz"}


@pytest.mark.slow
def test_told_no_address_it_listens_on_loopback(locked: Server) -> None:
    sockets = [line.split() for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]]
    listening = {local for _, local, _, state, *_ in sockets if state == "0A"}
    assert {address for address in listening if address.endswith(f":{locked.port:04X}")} == {
        f"0100007F:{locked.port:04X}"
    }


@pytest.mark.slow
def test_it_reports_to_nobody(locked: Server, proxy: Listener) -> None:
    # Last in this file: what is reported at the end is to be seen too.
    locked.http.post("/v1/tag", json={"paragraphs": ["安全生产"]}, headers=bearer(KEY))
    locked.stop()
    assert proxy.asked == []


@pytest.mark.slow
def test_a_wrong_key_ends_the_start_and_is_not_logged(tmp_path: Path) -> None:
    server = Server(tmp_path / "home", DUANBIAO_API_KEY="verysecret")
    try:
        assert server.process.wait(STARTS_WITHIN) != 0
        assert "DUANBIAO_API_KEY: has 10 characters, fewer than 16" in server.log()
        assert "verysecret" not in server.log()
    finally:
        server.stop()


@pytest.mark.slow
def test_an_open_door_is_warned_of_at_the_start(tiny_artifact: Path, tmp_path: Path) -> None:
    server = Server(tmp_path / "home", "0.0.0.0", DUANBIAO_MODEL=str(tiny_artifact))
    try:
        wait_until(lambda: "set DUANBIAO_API_KEY" in server.log(), "there is a warning", server.log)
        assert "listening on 0.0.0.0 without a key" in server.log()
    finally:
        server.stop()
