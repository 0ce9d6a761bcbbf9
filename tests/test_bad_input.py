"""Whatever a client sends over HTTP: answered with true offsets, or refused in the one form of an error."""

import gzip
import html
import json
import pickle
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from attack.properties import count_cases, run_cases
from running_server import Server

from data.characters import drop_invisible
from models.artifact import LEXICON_FILE, read_artifact, write_tagger_file
from models.lexicon import Lexicon
from serving.messages import TagAnswer, TagRequest, parse_request
from serving.records import paragraphs_of
from serving.refusals import Refusal

SECRET = "机密正文"
JSON = "application/json"
FORMATS = ("text", "markdown", "html")
MEGABYTE = 1024 * 1024


@pytest.fixture(scope="module")
def server(tiny_artifact: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The service with limits beyond one megabyte of text."""
    limits = {"BODY_BYTES": 8 * MEGABYTE, "CHARACTERS": 2 * MEGABYTE, "PARAGRAPHS": 20_000, "TOKENS": 10 * MEGABYTE}
    variables = {f"DUANBIAO_MAX_{name}": str(value) for name, value in limits.items()}
    running = Server(tmp_path_factory.mktemp("bad_input") / "home", DUANBIAO_MODEL=str(tiny_artifact), **variables)
    try:
        running.wait_for("/readyz")
        yield running
    finally:
        running.stop()


def refused(answer: httpx.Response, secret: str = SECRET) -> dict[str, Any]:
    """Return the error, after checks that hold for every refusal."""
    assert 400 <= answer.status_code < 500, answer.text
    assert len(answer.content) < 1000 and secret not in answer.text
    (content,) = answer.json().values()
    assert set(content) == {"code", "message", "details"}
    return dict(content)


def body(route: str, text: str) -> dict[str, Any]:
    """Make a request's content that holds the text."""
    return {"paragraphs": [text]} if route == "/v1/tag" else {"text": text}


SENT = json.dumps({"paragraphs": [SECRET], "text": SECRET}).encode()
MULTIPART = b'--x\r\nContent-Disposition: form-data; name="text"\r\n\r\n' + SECRET.encode() + b"\r\n--x--\r\n"
# Status, content type and body; both routes refuse them alike.
ROWS: dict[str, tuple[int, str, bytes]] = {
    "malformed": (400, JSON, SENT[:-2]),
    "no UTF-8": (400, JSON, b'{"text": "\xff"}'),
    "latin-1": (400, JSON, '{"text": "café"}'.encode("latin-1")),
    "100,000 brackets": (400, JSON, b"[" * 100_000),
    "100,000 closed brackets": (400, JSON, b"[" * 100_000 + b"]" * 100_000),
    "100,000 objects": (400, JSON, b'{"text":' * 100_000),
    "huge integer": (400, JSON, b"9" * 100_000),
    "huge exponent": (422, JSON, b"1e400"),
    "empty": (400, JSON, b""),
    "a list": (422, JSON, b"[]"),
    "raw NUL": (400, JSON, SENT.replace(b"text", b"te\0xt")),
    "BOM": (400, JSON, b"\xef\xbb\xbf" + SENT),
    "UTF-16": (400, JSON, SENT.decode().encode("utf-16")),
    "compressed, not said": (400, JSON, gzip.compress(SENT)),
    "null": (422, JSON, b"null"),
    "a number": (422, JSON, b"5"),
    "a text": (422, JSON, json.dumps(SECRET).encode()),
    "no key": (422, JSON, b"{}"),
    "unknown key": (422, JSON, SENT),
    "key twice": (400, JSON, b'{"text": "a", "text": "b"}'),
    "NaN": (400, JSON, b'{"text": NaN}'),
    "as a form": (415, "application/x-www-form-urlencoded", b"text=123"),
    "as plain text": (415, "text/plain", SENT),
    "multipart": (415, "multipart/form-data; boundary=x", MULTIPART),
    "multipart, other boundary": (415, "multipart/form-data; boundary=y", MULTIPART),
    "multipart, no boundary": (415, "multipart/form-data", MULTIPART),
    "pickle": (415, "application/vnd.bentoml+pickle", pickle.dumps({"text": SECRET})),
    "Arrow": (415, "application/vnd.apache.arrow.stream", b"ARROW1"),
}


@pytest.mark.slow
@pytest.mark.parametrize("route", ["/v1/tag", "/v1/tag_article"])
@pytest.mark.parametrize("row", ROWS)
def test_a_bad_body_is_refused(server: Server, route: str, row: str) -> None:
    status, content_type, content = ROWS[row]
    answer = server.http.post(route, content=content, headers={"content-type": content_type})
    assert answer.status_code == status
    refused(answer)
    assert "Traceback" not in server.log() and SECRET not in server.log()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("route", "content"),
    [
        ("/v1/tag", {"paragraphs": 5}),
        ("/v1/tag", {"paragraphs": [2]}),
        ("/v1/tag", {"paragraphs": [[SECRET]]}),
        ("/v1/tag", {"paragraphs": [{"text": SECRET}]}),
        ("/v1/tag", {"paragraphs": [SECRET, None]}),
        ("/v1/tag", {"paragraphs": [2] * 20_000}),
        ("/v1/tag_article", {"text": 2}),
        ("/v1/tag_article", {"text": [SECRET]}),
        ("/v1/tag_article", {"text": SECRET, "format": "pdf"}),
        ("/v1/tag_article", {"text": SECRET, "name": SECRET * 51}),
        ("/v1/tag_article", {"text": SECRET, "name": {"a": {"b": SECRET}}}),
    ],
)
def test_a_wrong_type_is_refused_with_its_place(server: Server, route: str, content: Any) -> None:
    before = len(server.log())
    answer = server.http.post(route, json=content)
    assert answer.status_code == 422
    assert refused(answer)["details"]["where"]
    assert len(server.log()) - before < 1000


@pytest.mark.slow
@pytest.mark.parametrize("route", ["/v1/tag", "/v1/tag_article"])
@pytest.mark.parametrize(
    "text", [SECRET + "\ud800", "\udc00\ud800" + SECRET, SECRET + "\0"], ids=["high", "swapped", "NUL"]
)
def test_what_is_no_text_is_refused_with_its_place(server: Server, route: str, text: str) -> None:
    answer = server.http.post(route, content=json.dumps(body(route, text)), headers={"content-type": JSON})
    assert answer.status_code == 422
    error = refused(answer)
    assert error["code"] == ("null_character" if "\0" in text else "lone_surrogate")
    assert error["details"]["at"] == re.search("[\0\ud800-\udfff]", text).start()  # type: ignore[union-attr]


SENTENCE = "县里召开会议部署安全生产检查，直播带货助力乡村振兴。"
TEXTS = {
    "right to left": f"\u202e{SENTENCE}\u202c\u2067{SENTENCE}\u2069",
    "zero width": "\u200b".join(SENTENCE) + "\ufeff\u2060\u00ad",
    "emoji": f"👨‍👩‍👧‍👦{SENTENCE}🇨🇳😀\n\n😀{SENTENCE}",
    "Tibetan": f"བོད་ཡིག་གི་ཚན་པ། {SENTENCE}\n\nབཀྲ་ཤིས་བདེ་ལེགས།",
    "Uyghur": f"ئۇيغۇرچە تېكىست {SENTENCE}\n\nئۇيغۇرچە تېكىست",
    "combining": f"{SENTENCE}e" + "\u0301\u0323" * 1000,
    "rare ideographs": f"𠀀𠮷𪚥{SENTENCE}",
    "no characters": f"\ufffe\uffff\U0010ffff\ue000{SENTENCE}",
    "control characters": f"\x01\x0b\x0c\x1c\x7f\x85{SENTENCE}\u2028{SENTENCE}\u2029",
    "all line ends": f"\r\n{SENTENCE}\r{SENTENCE}\n\r\n\r{SENTENCE}\n",
    "character references": f"<p>{SENTENCE}&amp;&nbsp;&#x4e00;&#0;&#xd800;&#999999999;</p>",
    "a megabyte without a full stop": "县里召开会议部署安全生产检查，" * (MEGABYTE // 3 // 15),
    "ten thousand empty lines": "\n" * 10_000 + SENTENCE + "\n" * 10_000 + SENTENCE,
    "ten thousand lines": f"{SENTENCE}\n\n" * 500 + "\n" * 10_000,
    "no Chinese": "a " * 1000,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", TEXTS)
def test_paragraphs_of_any_characters_come_back_with_true_offsets(server: Server, name: str) -> None:
    answer = server.http.post("/v1/tag", json={"paragraphs": [TEXTS[name], SENTENCE]})
    assert answer.status_code == 200
    TagAnswer.model_validate_json(answer.content)
    records = answer.json()["paragraphs"]
    assert [record["text"] for record in records] == [TEXTS[name], SENTENCE]
    for record in records:
        assert record["spans"] == [[0, len(record["text"])]]
        check_evidence(record)
    assert records[0]["truncated"] or len(TEXTS[name]) < 100_000


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", TEXTS)
def test_articles_of_any_characters_come_back_with_true_offsets(server: Server, name: str, form: Any) -> None:
    source = TEXTS[name]
    answer = server.http.post("/v1/tag_article", json={"text": source, "format": form})
    if not paragraphs_of(source, form, "request"):
        assert (answer.status_code, refused(answer)["code"]) == (422, "no_paragraphs")
        assert name == "no Chinese"
        return
    assert answer.status_code == 200
    TagAnswer.model_validate_json(answer.content)
    for record in answer.json()["paragraphs"]:
        check_spans(record["spans"], len(source))
        pieces = [source[start:end] for start, end in record["spans"]]
        printed = "".join(map(html.unescape, pieces) if form == "html" else pieces)
        assert visible(printed) == visible(record["text"])
        check_evidence(record)


def visible(text: str) -> str:
    """Return what is seen of a text, without regard to blanks."""
    return re.sub(r"\s", "", drop_invisible(text).replace("\0", ""))


def check_evidence(record: dict[str, Any]) -> None:
    assert list(record["evidence"]) == record["topics"]
    for spans in record["evidence"].values():
        check_spans(spans, len(record["text"]))


def check_spans(spans: list[list[int]], length: int) -> None:
    """Spans are sorted, none empty, none beside the text, none over another."""
    edges = [edge for span in spans for edge in span]
    assert edges == sorted(edges) and all(start < end for start, end in spans)
    assert not edges or (edges[0] >= 0 and edges[-1] <= length)


@pytest.fixture(scope="module")
def broken(tiny_artifact: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The service with its default limits, and a model whose first topic's probability is no number."""
    folder = tmp_path_factory.mktemp("broken")
    running = Server(folder / "home", DUANBIAO_MODEL=str(_with_broken_scores(tiny_artifact, folder / "model")))
    try:
        running.wait_for("/readyz")
        yield running
    finally:
        running.stop()


@pytest.mark.slow
@pytest.mark.parametrize("route", ["/v1/tag", "/v1/tag_article"])
def test_a_megabyte_is_refused_by_the_default_limits(broken: Server, route: str) -> None:
    error = refused(broken.http.post(route, json=body(route, TEXTS["a megabyte without a full stop"])))
    assert (error["code"], error["details"]["limit"]) == ("too_large", "characters")


@pytest.mark.slow
def test_a_score_that_is_no_number_is_no_fault_of_the_client(broken: Server) -> None:
    answer = broken.http.post("/v1/tag", json={"paragraphs": [SECRET]})
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "internal_error")
    assert SECRET not in answer.text and SECRET not in broken.log()


def _with_broken_scores(artifact: Path, folder: Path) -> Path:
    """Copy an artifact; its lexicon adds no number to the first topic's logit."""
    shutil.copytree(artifact, folder)
    lexicon = Lexicon.load(folder / LEXICON_FILE)
    bias = lexicon.bias.copy()
    bias[0] = np.nan
    Lexicon(lexicon.grams, lexicon.idf, lexicon.weights, bias).save(folder / LEXICON_FILE)
    write_tagger_file(read_artifact(artifact), folder)
    return folder


def test_the_described_pattern_is_what_is_checked() -> None:
    items = TagRequest.model_json_schema()["properties"]["paragraphs"]["items"]
    pattern = re.compile(items["pattern"])
    for code in [*range(0xD800), *range(0xE000, sys.maxunicode + 1)]:
        # One of every kind is enough above the basic plane: Python knows no blanks there.
        if code > 0xFFFF and code % 997:
            continue
        for text in (chr(code), f"安{chr(code)}"):
            assert bool(pattern.search(text)) == _is_taken(text), hex(code)


def _is_taken(text: str) -> bool:
    try:
        parse_request(json.dumps({"paragraphs": [text]}).encode(), TagRequest)
    except Refusal:
        return False
    return True


@pytest.mark.slow
def test_answers_conform_to_the_description(server: Server, tmp_path: Path) -> None:
    report = run_cases(str(server.http.base_url), examples=25, folder=tmp_path)
    assert report.returncode == 0, report.stdout
    assert count_cases(report.stdout) > 100
