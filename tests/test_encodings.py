"""Encodings are told apart on pieces of real news, long and short."""

import random

import pytest
from conftest import SEEDS

from data.characters import count_han
from data.encodings import guess_encoding, guess_encoding_of_lines

NEWS = "".join(path.read_text(encoding="utf-8") for path in SEEDS)
# Enough of the characters that differ to make the seeds look like a paper of Hong Kong or Taiwan.
SIMPLE = "这个们来为国说时会对过发后里与党员县乡镇产业农村团统战线电商务检设备经济区组织领导干部项实现间场问题进报记张开动险隐应学习书"
FULL = "這個們來為國說時會對過發後裡與黨員縣鄉鎮產業農村團統戰線電商務檢設備經濟區組織領導幹部項實現間場問題進報記張開動險隱應學習書"
TRADITIONAL = NEWS.translate(str.maketrans(SIMPLE, FULL))


@pytest.mark.parametrize("length", [20, 200])
@pytest.mark.parametrize(
    ("text", "encoding"), [(NEWS, "gb18030"), (TRADITIONAL, "gb18030"), (TRADITIONAL, "big5hkscs"), (NEWS, "utf-8")]
)
def test_pieces_of_news_are_recognised(text: str, encoding: str, length: int) -> None:
    chance = random.Random(length)
    wrong = []
    for _ in range(200):
        start = chance.randrange(len(text) - length)
        raw = text[start : start + length].encode(encoding, "ignore")
        if count_han(raw.decode(encoding)) < 6:
            # A page's footer, in figures and Latin letters, may be anything.
            continue
        found = guess_encoding(raw)
        if found is None or raw.decode(found) != raw.decode(encoding):
            wrong.append(raw.decode(encoding))
    assert wrong == []


@pytest.mark.parametrize("mark", [b"\xff\xfe", b"\xfe\xff"])
def test_a_mark_tells_utf16(mark: bytes) -> None:
    assert guess_encoding(mark + b"\x00\x4e") == "utf-16"


@pytest.mark.parametrize(
    "raw", [b"a\0b", b"\xff\xff\xff\xff", "Größe für Übermut, schöne Grüße aus Köln".encode("latin-1")]
)
def test_what_is_no_chinese_text_is_not_guessed(raw: bytes) -> None:
    assert guess_encoding(raw) is None


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030"])
def test_a_sample_may_end_within_a_character(encoding: str) -> None:
    raw = NEWS.encode(encoding)
    ends = [end for end in range(1000, 1010) if guess_encoding(raw[:end], whole=False) == encoding]
    assert len(ends) == 10


def test_a_line_in_another_encoding_does_not_decide_for_the_rest() -> None:
    utf8, gb, big5 = NEWS.encode(), NEWS.encode("gb18030"), TRADITIONAL.encode("big5hkscs", "ignore")
    bad = b"\n\xff\xff\n"
    assert guess_encoding_of_lines(utf8 + bad + gb[:30], whole=True) == "utf-8"
    assert guess_encoding_of_lines(gb + bad + utf8[:30], whole=False) == "gb18030"
    assert guess_encoding_of_lines(big5 + bad + utf8[:30], whole=False) == "big5hkscs"
    assert guess_encoding_of_lines(b"PNG\0\xff\n" * 9, whole=True) is None
    assert guess_encoding_of_lines(b"", whole=True) == "utf-8"
