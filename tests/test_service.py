"""The service from outside: a real server process, a real (tiny) model, real sockets."""

import asyncio
import json
import shutil
import socket
import threading
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import httpx
import pytest
from running_server import STARTS_WITHIN, Server, wait_until
from test_guard import SAFE

from data.sources import read_source
from models import store
from models.artifact import MODEL_FILE, TAGGER_FILE
from models.tagger import Tagger
from serving.guard import NOTES, Notes
from serving.limits import Limits
from serving.messages import TagAnswer
from serving.records import Unlabelled, paragraphs_of, tag_paragraphs, taken_as_is
from serving.refusals import Refusal

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parent.parent
SECRET = "机密正文"
ARTICLE = """安全生产工作会议召开

全市安全生产大检查工作会议昨日召开，会议部署隐患排查整治。

直播带货助力乡村振兴，村民网上卖货增收。
"""


def receive_all(connection: socket.socket) -> bytes:
    """Return all that comes until the other side closes."""
    with connection:
        return b"".join(iter(lambda: connection.recv(4096), b""))


def error_of(answer: httpx.Response) -> dict[str, Any]:
    """Return the error, after checks that hold for every error."""
    assert 400 <= answer.status_code < 600
    assert answer.headers["content-type"] == "application/json"
    assert SAFE.items() <= answer.headers.items() and "server" not in answer.headers
    assert len(answer.content) < 1000
    assert SECRET not in answer.text
    content = answer.json()
    assert set(content) == {"error"} and set(content["error"]) == {"code", "message", "details"}
    return dict(content["error"])


@pytest.fixture(scope="module")
def server(tiny_artifact: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The service with its default limits."""
    running = Server(tmp_path_factory.mktemp("server") / "home", DUANBIAO_MODEL=str(tiny_artifact))
    try:
        running.wait_for("/readyz")
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="module")
def narrow(tiny_artifact: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The service with narrow limits."""
    limits = {
        "PARAGRAPHS": 3,
        "CHARACTERS": 1000,
        "TOKENS": 200,
        "REQUESTS": 2,
        "BODY_SECONDS": 3,
        "BODY_BYTES": 10_000,
    }
    variables = {f"DUANBIAO_MAX_{name}": str(value) for name, value in limits.items()}
    home = tmp_path_factory.mktemp("narrow") / "home"
    running = Server(home, DUANBIAO_MODEL=str(tiny_artifact), **variables)
    try:
        running.wait_for("/readyz")
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="module")
def tagger(tiny_artifact: Path) -> Tagger:
    return Tagger(tiny_artifact, threads=1)


def test_paragraphs_get_the_taggers_own_answers(server: Server, tagger: Tagger) -> None:
    texts = ["全市安全生产大检查工作会议召开。", "直播带货助力乡村振兴，村民增收。", "长" * 500]
    answer = server.tag(*texts)
    assert answer.status_code == 200
    TagAnswer.model_validate_json(answer.content)
    content = answer.json()
    assert content["model"] == "tiny-1"
    for index, (record, text, tags) in enumerate(zip(content["paragraphs"], texts, tagger.tag(texts), strict=True)):
        assert record == {
            "id": f"request#{index}",
            "article": "request",
            "headline": "",
            "index": index,
            "spans": [[0, len(text)]],
            "text": text,
            "answer": tags.answer,
            "topics": list(tags.topics),
            "scores": tags.scores,
            "evidence": {topic: [list(span) for span in spans] for topic, spans in tags.evidence.items()},
            "truncated": False,
            "model": "tiny-1",
        }


@pytest.mark.parametrize(
    "text",
    [
        "\u202e倒着写的安全生产会议\u202c",
        "零\u200b宽\u200d字\ufeff符\u2060",
        "👨‍👩‍👧‍👦😀🇨🇳 直播带货",
        "བོད་ཡིག་གི་ཚན་པ།",
        "ئۇيغۇرچە تېكىست",
        "e\u0301\u0323" * 20,
        "𠀀𠮷𪚥",
        "\x01\x0b\x7f 控制字符",
        "  前后有空白\n",
        "\ue000\ufffd\uffff\U0010ffff",
        "&lt;b&gt;<script>alert(1)</script>",
    ],
)
def test_unusual_characters_come_back_as_they_are_with_true_offsets(server: Server, text: str) -> None:
    answer = server.tag(text)
    assert answer.status_code == 200
    (record,) = answer.json()["paragraphs"]
    assert (record["text"], record["spans"]) == (text, [[0, len(text)]])
    assert list(record["evidence"]) == record["topics"]
    assert all(0 <= start < end <= len(text) for spans in record["evidence"].values() for start, end in spans)


@pytest.mark.parametrize(
    ("form", "source"),
    [
        ("text", ARTICLE),
        ("text", "\ufeff" + ARTICLE.replace("\n", "\r\n")),
        ("text", "😀\u200b" + ARTICLE),
        ("markdown", "# " + ARTICLE),
        ("html", "".join(f"<p>{line}</p>" for line in ARTICLE.split("\n\n"))),
    ],
)
def test_an_article_is_cut_and_tagged_as_elsewhere(server: Server, tagger: Tagger, form: Any, source: str) -> None:
    answer = server.http.post("/v1/tag_article", json={"text": source, "format": form, "name": "早报 1.txt"})
    assert answer.status_code == 200
    expected = tag_paragraphs(tagger, paragraphs_of(source, form, "早报 1.txt"))
    assert expected and answer.json() == {"model": "tiny-1", "paragraphs": expected}


def test_a_seed_is_answered_with_offsets_into_its_text(server: Server) -> None:
    source = read_source(sorted((ROOT / "seeds").glob("*.txt"))[0])
    answer = server.http.post("/v1/tag_article", json={"text": source})
    assert answer.status_code == 200
    records = answer.json()["paragraphs"]
    assert len(records) > 10
    for index, record in enumerate(records):
        assert (record["id"], record["article"]) == (f"request#{index}", "request")
        printed = "".join(source[start:end] for start, end in record["spans"])
        assert "".join(printed.split()) == "".join(record["text"].split())


@pytest.mark.parametrize("form", ["text", "markdown", "html"])
@pytest.mark.parametrize(
    "text",
    [
        "短",
        "no Chinese at all",
        "<",
        "<p>",
        "<<<>>>",
        "&#0;&#xd800;",
        "<?xml?>",
        "# ",
        "\x01",
        "<div>" * 300,
        "[" * 300,
    ],
)
def test_an_article_without_a_paragraph_is_refused(server: Server, form: str, text: str) -> None:
    answer = server.http.post("/v1/tag_article", json={"text": text, "format": form})
    assert (answer.status_code, error_of(answer)["code"]) in [(422, "no_paragraphs"), (422, "unreadable_article")]


def test_the_pages_describe_the_service(server: Server, tagger: Tagger) -> None:
    topics = server.http.get("/v1/topics").json()
    assert topics["model"] == "tiny-1"
    assert [topic["id"] for topic in topics["topics"]] == [topic.id for topic in tagger.artifact.topics]
    assert set(topics["topics"][0]) == {"id", "name", "definition", "threshold", "band"}
    model = server.http.get("/v1/model").json()
    assert (model["version"], model["max_length"]) == ("tiny-1", tagger.artifact.max_length)
    assert model["limits"] == asdict(Limits())
    routes = server.http.get("/").json()
    described = server.http.get("/docs.json").json()["paths"]
    assert set(routes["post"] + routes["get"]) == set(described)
    for path in routes["get"]:
        answer = server.http.get(path)
        assert answer.status_code == server.http.head(path).status_code == 200
        assert SAFE.items() <= answer.headers.items() and "server" not in answer.headers
        # Data only: nothing for a browser to run or to load from elsewhere.
        assert answer.headers["content-type"].split(";")[0] in ("application/json", "text/plain")
        assert "<script" not in answer.text and "https://" not in answer.text
    for path in routes["post"]:
        assert set(described[path]) == {"post"} and set(described[path]["post"]["responses"]) == {"200", "4XX", "5XX"}


def test_every_reference_of_the_description_resolves(server: Server) -> None:
    description = server.http.get("/docs.json").json()
    names = {part.split('"')[0] for part in json.dumps(description).split("#/components/schemas/")[1:]}
    assert names and names <= set(description["components"]["schemas"])


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (f'{{"paragraphs": ["{SECRET}"'.encode(), 400),
        (f'\ufeff{{"paragraphs": ["{SECRET}"]}}'.encode(), 400),
        (f'{{"paragraphs": ["{SECRET}"]}}'.encode("utf-16"), 400),
        (f'{{"paragraphs": ["{SECRET}"]}}'.encode("gb18030"), 400),
        (b"[" * 100_000, 400),
        (b'{"paragraphs": ' + b"[" * 100_000, 400),
        (b"9" * 100_000, 400),
        (f'{{"paragraphs": ["{SECRET}\0"]}}'.encode(), 400),
        (f'{{"paragraphs": ["{SECRET}"], "paragraphs": []}}'.encode(), 400),
        (b"null", 422),
        (b"5", 422),
        (b"[]", 422),
        (b"{}", 422),
        (b'{"paragraphs": []}', 422),
        (f'{{"paragraphs": ["{SECRET}", ""]}}'.encode(), 422),
        (f'{{"paragraphs": ["{SECRET}\\ud800"]}}'.encode(), 422),
        (f'{{"paragraphs": ["{SECRET}\\u0000"]}}'.encode(), 422),
        (f'{{"paragraphs": ["{SECRET}"], "{SECRET}": 1}}'.encode(), 422),
        (b'{"paragraphs": [' + f'["{SECRET}"],'.encode() * 20_000 + b"1]}", 422),
        (json.dumps({"paragraphs": [SECRET] * 257}).encode(), 413),
        (json.dumps({"paragraphs": [SECRET * 30_000, SECRET * 30_000]}, ensure_ascii=False).encode(), 413),
    ],
)
def test_a_wrong_body_is_refused_shortly_and_not_logged(server: Server, body: bytes, status: int) -> None:
    answer = server.http.post("/v1/tag", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == status
    error_of(answer)
    assert SECRET not in server.log() and "Traceback" not in server.log()


def test_an_article_is_not_logged(server: Server) -> None:
    for form in ("text", "markdown", "html"):
        for source in (SECRET, ARTICLE + SECRET, f"<html><title>{SECRET}</title><p>{SECRET}", f"<{SECRET}>"):
            answer = server.http.post("/v1/tag_article", json={"text": source, "format": form})
            assert answer.status_code in (200, 422)
    assert SECRET not in server.log() and "ERROR" not in server.log()


@pytest.mark.parametrize(
    "content_type",
    [None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/vnd.bentoml+pickle"],
)
def test_another_content_type_is_refused(server: Server, content_type: str | None) -> None:
    headers = {"content-type": content_type} if content_type else {}
    answer = server.http.post("/v1/tag", content='{"paragraphs": ["正文"]}'.encode(), headers=headers)
    assert (answer.status_code, error_of(answer)["code"]) == (415, "wrong_content_type")


def test_unknown_paths_leave_no_trace_in_the_metrics(server: Server) -> None:
    for number in range(20):
        assert error_of(server.http.get(f"/{SECRET}/{number}"))["code"] == "not_found"
        assert error_of(server.http.post("/v1/tag/", json={}))["code"] == "not_found"
    for path in ("/schema.json", "/assets/index.js", "/static_content/swagger-ui.css", "/healthz"):
        assert error_of(server.http.get(path))["code"] == "not_found"
    assert error_of(server.http.get("/v1/tag"))["code"] == "wrong_method"
    metrics = server.http.get("/metrics").text
    assert 'duanbiao_refusals_total{code="not_found",route="other",status="404"}' in metrics
    labels = {part.split('"')[0] for part in metrics.split('endpoint="')[1:]}
    known = server.http.get("/").json()
    assert labels <= set(known["post"] + known["get"])


@pytest.mark.parametrize("said", [True, False])
def test_200_megabytes_are_refused_and_never_held(server: Server, said: bool) -> None:
    megabyte, count = b" " * 1024 * 1024, 200
    headers = {"content-type": "application/json"} | ({"content-length": str(len(megabyte) * count)} if said else {})
    before = server.peak_memory()
    answer = server.http.post("/v1/tag", content=(megabyte for _ in range(count)), headers=headers)
    assert (answer.status_code, error_of(answer)["details"]["limit"]) == (413, "body_bytes")
    assert server.peak_memory() - before < 50 * len(megabyte)
    assert server.tag("会议照常召开").status_code == 200


def test_no_process_of_the_service_has_loaded_torch(server: Server) -> None:
    assert server.tag("安全生产").status_code == 200
    maps = [Path(f"/proc/{pid}/maps").read_text(encoding="utf-8") for pid in server.processes()]
    assert any("openvino" in text for text in maps)
    assert not any("torch" in text or "sklearn" in text for text in maps)


def test_limits_are_told(narrow: Server) -> None:
    for texts, limit in ((["短"] * 4, "paragraphs"), (["长" * 1001], "characters"), (["长" * 300], "tokens")):
        error = error_of(narrow.tag(*texts))
        assert (error["code"], error["details"]["limit"]) == ("too_large", limit)
    assert narrow.http.get("/v1/model").json()["limits"]["tokens"] == 200
    article = "\n\n".join(f"第{number}段说的是全市安全生产工作会议。" for number in "一二三四")
    error = error_of(narrow.http.post("/v1/tag_article", json={"text": article}))
    assert error["details"] == {"limit": "paragraphs", "allowed": 3, "found": 4}


def test_slow_bodies_fill_the_places_but_not_the_probes(narrow: Server) -> None:
    head = "POST /v1/tag HTTP/1.1\nHost: x\nContent-Type: application/json\nContent-Length: 100"
    slow: list[socket.socket] = []
    answers: list[httpx.Response] = []

    def refused() -> bool:
        slow.append(narrow.send_raw(head, b'{"par'))
        answers.append(narrow.tag("全市安全生产"))
        return answers[-1].status_code == 429

    wait_until(refused, "both places are taken")
    assert (error_of(answers[-1])["code"], answers[-1].headers["retry-after"]) == ("too_many_requests", "1")
    assert [narrow.http.get(path).status_code for path in ("/livez", "/readyz", "/metrics")] == [200, 200, 200]
    received = [receive_all(connection) for connection in slow]
    # Some may have come while a request of `refused` held a place.
    assert {answer.split(b" ")[1] for answer in received} <= {b"408", b"429"}
    assert any(b'"slow_body"' in answer for answer in received)
    assert narrow.tag("全市安全生产").status_code == 200


def test_a_client_that_breaks_off_harms_nobody(narrow: Server) -> None:
    head = "POST /v1/tag HTTP/1.1\nHost: x\nContent-Type: application/json\nContent-Length: 100"
    for body in (b"", b'{"par'):
        for _ in range(3):
            narrow.send_raw(head, body).close()
    wait_until(lambda: narrow.tag("全市安全生产").status_code == 200, "a place is free")


@pytest.mark.parametrize(
    "head",
    [
        "NONSENSE",
        "POST /v1/tag HTTP/1.1\nHost: x\nContent-Length: -1",
        "GET /\x00 HTTP/1.1\nHost: x",
    ],
)
def test_what_is_no_http_is_refused(narrow: Server, head: str) -> None:
    connection = narrow.send_raw(head)
    received = receive_all(connection)
    assert received.startswith(b"HTTP/1.1 4")
    assert len(received) < 1000


def test_a_websocket_is_refused(narrow: Server) -> None:
    key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\nSec-WebSocket-Version: 13"
    connection = narrow.send_raw(f"GET /v1/topics HTTP/1.1\nHost: x\nConnection: Upgrade\nUpgrade: websocket\n{key}")
    received = receive_all(connection)
    assert received.startswith(b"HTTP/1.1 400 ") and b'{"error": {"code": "no_websocket"' in received


def make_version(artifact: Path, folder: Path, version: str) -> Path:
    """Copy an artifact under another version; its folder appears whole."""
    draft = shutil.copytree(artifact, folder.with_suffix(".draft"))
    content = json.loads((draft / TAGGER_FILE).read_text(encoding="utf-8"))
    (draft / TAGGER_FILE).write_text(json.dumps({**content, "version": version}), encoding="utf-8")
    return draft.rename(folder)


def test_models_come_and_change_without_a_failed_request(tiny_artifact: Path, tmp_path: Path) -> None:
    pointer = tmp_path / "current"
    pointer.write_text(str(tmp_path / "one"), encoding="utf-8")
    server = Server(tmp_path / "home", DUANBIAO_MODELS=str(tmp_path))
    try:
        server.wait_for("/livez")
        _check_refusals_without_a_model(server)
        make_version(tiny_artifact, tmp_path / "one", "one")
        server.wait_for("/readyz")
        answers = _promote_under_load(server, pointer, make_version(tiny_artifact, tmp_path / "two", "two"))
        assert {status for status, _ in answers} == {200}
        assert {versions for _, versions in answers} == {("one", "one", "one"), ("two", "two", "two")}
        metrics = server.http.get("/metrics").text
        for version in ("one", "two"):
            assert f'duanbiao_inference_seconds_count{{model="{version}"}}' in metrics
        damaged = make_version(tiny_artifact, tmp_path / "damaged", "three")
        (damaged / MODEL_FILE).write_bytes(b"")
        store.promote(str(damaged), pointer)
        wait_until(lambda: "two stays in use" in server.log(), "the damaged model is refused")
        assert server.tag("会议").json()["model"] == "two"
    finally:
        server.stop()


def _check_refusals_without_a_model(server: Server) -> None:
    assert error_of(server.http.get("/readyz"))["code"] == "not_ready"
    for answer in (server.tag("会议"), server.http.get("/v1/topics"), server.http.get("/v1/model")):
        assert (answer.status_code, error_of(answer)["code"]) == (503, "no_model")
        assert answer.headers["retry-after"] == "5"


def _promote_under_load(server: Server, pointer: Path, folder: Path) -> list[tuple[int, tuple[str, ...]]]:
    """Return status and versions of all requests sent before, during and after the change."""
    answers: list[tuple[int, tuple[str, ...]]] = []
    enough = threading.Event()

    def ask() -> None:
        with httpx.Client(base_url=server.http.base_url, timeout=30, trust_env=False) as client:
            while not enough.is_set():
                answer = client.post("/v1/tag", json={"paragraphs": ["安全生产会议", "直播带货"]})
                content = answer.json()
                versions = (content.get("model"), *(record["model"] for record in content.get("paragraphs", [])))
                answers.append((answer.status_code, versions))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        wait_until(lambda: len(answers) > 50, "the load is on")
        store.promote(str(folder), pointer)
        wait_until(lambda: sum("two" in versions for _, versions in answers[-50:]) == 50, "the new model answers")
    finally:
        enough.set()
        for thread in threads:
            thread.join()
    return answers


def test_work_that_takes_too_long_is_given_up(tiny_artifact: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from serving import service

    monkeypatch.setattr(service, "LIMITS", Limits(work_seconds=1))
    started, finish = threading.Event(), threading.Event()

    def read() -> list[Unlabelled]:
        started.set()
        finish.wait()
        return [taken_as_is("a#0", "安全生产", 0, "a")]

    async def scenario() -> Notes:
        instance = service.TaggerService.inner()  # type: ignore[attr-defined]
        instance.model.tagger = Tagger(tiny_artifact, threads=1)
        NOTES.set(notes := Notes())
        with pytest.raises(Refusal) as caught:
            await instance._work(read)
        assert (caught.value.status, caught.value.code, caught.value.headers) == (503, "too_slow", {"retry-after": "5"})
        finish.set()
        return notes

    notes = asyncio.run(scenario())
    assert started.is_set() and notes.abandoned.is_set()


def test_a_wrong_limit_ends_the_start_with_its_name(tmp_path: Path) -> None:
    server = Server(tmp_path / "home", DUANBIAO_MAX_TOKENS="many")
    try:
        assert server.process.wait(STARTS_WITHIN) != 0
        assert "DUANBIAO_MAX_TOKENS: 'many' is not a whole number" in server.log()
    finally:
        server.stop()
