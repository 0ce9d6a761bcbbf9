"""What a body may be: read as it is, or refused with its place and no text of it."""

import json
from dataclasses import fields

import pytest

from serving.limits import Limits
from serving.messages import Record, TagArticleRequest, TagRequest, check_size, parse_request
from serving.records import Unlabelled
from serving.refusals import Refusal

SECRET = "机密正文"
# Body, status, code, and where the error is; every text of a body holds SECRET where it can.
WRONG_TAG_BODIES = [
    (b"", 400, "empty_body", None),
    (b" ", 400, "not_json", None),
    (b"{", 400, "not_json", None),
    (f'{{"paragraphs": ["{SECRET}"'.encode(), 400, "not_json", None),
    (f'{{"paragraphs": ["{SECRET}"]}} x'.encode(), 400, "not_json", None),
    (f"{{'paragraphs': ['{SECRET}']}}".encode(), 400, "not_json", None),
    (f'{{"paragraphs": ["{SECRET}\\x"]}}'.encode(), 400, "not_json", None),
    (f'{{"paragraphs": ["{SECRET}\0"]}}'.encode(), 400, "not_json", None),
    (f'\ufeff{{"paragraphs": ["{SECRET}"]}}'.encode(), 400, "not_json", None),
    (f'{{"paragraphs": ["{SECRET}"]}}'.encode("utf-16"), 400, "not_utf_8", None),
    (f'{{"paragraphs": ["{SECRET}"]}}'.encode("gb18030"), 400, "not_utf_8", None),
    ('{"paragraphs": ["café"]}'.encode("latin-1"), 400, "not_utf_8", None),
    (b"\x1f\x8b\x08\x00abc", 400, "not_utf_8", None),
    (b'{"paragraphs": ["\xed\xa0\x80"]}', 400, "not_utf_8", None),
    (b"[" * 100_000, 400, "not_json", None),
    (b'{"paragraphs": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", 400, "not_json", None),
    (b'{"paragraphs": [' + b"9" * 100_000 + b"]}", 400, "not_json", None),
    (b'{"paragraphs": [NaN]}', 400, "not_json", None),
    (b'{"paragraphs": [-Infinity]}', 400, "not_json", None),
    (f'{{"paragraphs": ["{SECRET}"], "paragraphs": ["{SECRET}"]}}'.encode(), 400, "duplicate_key", None),
    (b"null", 422, "wrong_type", "the body"),
    (b"5", 422, "wrong_type", "the body"),
    (b"1e400", 422, "wrong_type", "the body"),
    (b"[]", 422, "wrong_type", "the body"),
    (f'"{SECRET}"'.encode(), 422, "wrong_type", "the body"),
    (f'["{SECRET}"]'.encode(), 422, "wrong_type", "the body"),
    (b"{}", 422, "missing_key", "paragraphs"),
    (f'{{"texts": ["{SECRET}"]}}'.encode(), 422, "missing_key", "paragraphs"),
    (f'{{"paragraphs": ["{SECRET}"], "{SECRET}": 1}}'.encode(), 422, "unknown_key", None),
    (b'{"paragraphs": null}', 422, "wrong_type", "paragraphs"),
    (f'{{"paragraphs": "{SECRET}"}}'.encode(), 422, "wrong_type", "paragraphs"),
    (f'{{"paragraphs": {{"0": "{SECRET}"}}}}'.encode(), 422, "wrong_type", "paragraphs"),
    (b'{"paragraphs": []}', 422, "no_paragraphs", "paragraphs"),
    (f'{{"paragraphs": ["{SECRET}", 2]}}'.encode(), 422, "wrong_type", "paragraphs[1]"),
    (f'{{"paragraphs": ["{SECRET}", null]}}'.encode(), 422, "wrong_type", "paragraphs[1]"),
    (f'{{"paragraphs": ["{SECRET}", true]}}'.encode(), 422, "wrong_type", "paragraphs[1]"),
    (f'{{"paragraphs": [["{SECRET}"]]}}'.encode(), 422, "wrong_type", "paragraphs[0]"),
    (f'{{"paragraphs": [{{"text": "{SECRET}"}}]}}'.encode(), 422, "wrong_type", "paragraphs[0]"),
    (b'{"paragraphs": [' + b"1," * 20_000 + b"1]}", 422, "wrong_type", "paragraphs[0]"),
    (f'{{"paragraphs": ["{SECRET}", ""]}}'.encode(), 422, "blank_text", "paragraphs[1]"),
    (f'{{"paragraphs": ["{SECRET}", " \\n\\u3000"]}}'.encode(), 422, "blank_text", "paragraphs[1]"),
    (f'{{"paragraphs": ["{SECRET}", "\\u200b\\ufeff"]}}'.encode(), 422, "blank_text", "paragraphs[1]"),
    (f'{{"paragraphs": ["{SECRET}\\ud800"]}}'.encode(), 422, "lone_surrogate", "paragraphs[0]"),
    (f'{{"paragraphs": ["{SECRET}", "\\udc00\\ud800"]}}'.encode(), 422, "lone_surrogate", "paragraphs[1]"),
    (f'{{"paragraphs": ["{SECRET}\\u0000"]}}'.encode(), 422, "null_character", "paragraphs[0]"),
]
WRONG_ARTICLE_BODIES = [
    (b"{}", 422, "missing_key", "text"),
    (b'{"text": null}', 422, "wrong_type", "text"),
    (f'{{"text": ["{SECRET}"]}}'.encode(), 422, "wrong_type", "text"),
    (b'{"text": ""}', 422, "blank_text", "text"),
    (f'{{"text": "{SECRET}\\udfff"}}'.encode(), 422, "lone_surrogate", "text"),
    (f'{{"text": "{SECRET}", "format": "pdf"}}'.encode(), 422, "wrong_value", "format"),
    (f'{{"text": "{SECRET}", "format": "{SECRET}"}}'.encode(), 422, "wrong_value", "format"),
    (f'{{"text": "{SECRET}", "format": null}}'.encode(), 422, "wrong_value", "format"),
    (f'{{"text": "{SECRET}", "name": null}}'.encode(), 422, "wrong_type", "name"),
    (f'{{"text": "{SECRET}", "name": ""}}'.encode(), 422, "blank_text", "name"),
    (f'{{"text": "{SECRET}", "name": "\\ud800"}}'.encode(), 422, "lone_surrogate", "name"),
    (f'{{"text": "{SECRET}", "name": "{SECRET * 51}"}}'.encode(), 422, "too_long", "name"),
    (f'{{"text": "{SECRET}", "paragraphs": []}}'.encode(), 422, "unknown_key", None),
]


@pytest.mark.parametrize(("body", "status", "code", "where"), WRONG_TAG_BODIES)
def test_a_wrong_tag_body_is_refused(body: bytes, status: int, code: str, where: str | None) -> None:
    with pytest.raises(Refusal) as caught:
        parse_request(body, TagRequest)
    _check(caught.value, status, code, where)


@pytest.mark.parametrize(("body", "status", "code", "where"), WRONG_ARTICLE_BODIES)
def test_a_wrong_article_body_is_refused(body: bytes, status: int, code: str, where: str | None) -> None:
    with pytest.raises(Refusal) as caught:
        parse_request(body, TagArticleRequest)
    _check(caught.value, status, code, where)


def _check(refusal: Refusal, status: int, code: str, where: str | None) -> None:
    assert (refusal.status, refusal.code, refusal.details.get("where")) == (status, code, where)
    sent = json.dumps(refusal.body(), ensure_ascii=False)
    assert len(sent) < 500
    assert SECRET not in sent


@pytest.mark.parametrize(
    "text", ["安全生产", "😀", "\u202e倒\u202c", "བོད་ཡིག", "e\u0301", "a\u200bb", "\U00020000", "\x0b一", "\ufffd"]
)
def test_any_text_of_whole_characters_is_read_as_it_is(text: str) -> None:
    for ascii_only in (True, False):
        body = json.dumps({"paragraphs": [text]}, ensure_ascii=ascii_only).encode()
        assert parse_request(body, TagRequest) == TagRequest(paragraphs=[text])


def test_the_optional_keys_have_defaults() -> None:
    request = parse_request('{"text": "正文"}'.encode(), TagArticleRequest)
    assert request == TagArticleRequest(text="正文", format="text", name="request")


def test_a_refusal_names_the_place_of_the_wrong_character() -> None:
    with pytest.raises(Refusal) as caught:
        parse_request('{"paragraphs": ["一", "二三\\ud800"]}'.encode(), TagRequest)
    message = "paragraphs[1]: half of a surrogate pair at character 2; send whole characters"
    assert (caught.value.message, caught.value.details) == (message, {"where": "paragraphs[1]", "at": 2})


def test_too_many_paragraphs_or_characters_are_refused() -> None:
    limits = Limits(paragraphs=2, characters=5)
    check_size(["一二三", "四五"], limits)
    for texts, limit, found in ((["一"] * 3, "paragraphs", 3), (["一二三", "四五六"], "characters", 6)):
        with pytest.raises(Refusal) as caught:
            check_size(texts, limits)
        allowed = getattr(limits, limit)
        assert (caught.value.status, caught.value.code) == (413, "too_large")
        assert caught.value.details == {"limit": limit, "allowed": allowed, "found": found}


def test_the_described_record_has_the_fields_of_a_paragraph() -> None:
    assert {field.name for field in fields(Unlabelled)} < set(Record.model_fields)
