"""Sources made to be slow: nested, repeated and unclosed markup, thousands of lines, texts that make patterns backtrack.

Each is long enough that reading it would not end if the time grew faster than the length.
"""

import re

import pytest

from data import furniture
from data.blocks import markdown_blocks, text_at
from data.paragraphs import Reading, read_articles
from data.sources import Format
from data.web_pages import html_blocks

SENTENCE = "县里召开会议部署安全生产检查工作。"
FORMATS: tuple[Format, ...] = ("text", "markdown", "html")


def repeated(unit: str, length: int = 20_000) -> str:
    return unit * (length // len(unit))


def squeezed(text: str) -> str:
    return re.sub(r"\s", "", text)


def assert_true_offsets(source: str, form: Format) -> Reading:
    """Read the source and check that every paragraph is found where its spans say."""
    reading = read_articles(source, form)
    places = [place for paragraph in reading.paragraphs for span in paragraph.spans for place in span]
    assert all(0 <= place <= len(source) for place in places)
    for paragraph in reading.paragraphs:
        assert text_at(source, paragraph.spans, form == "html") == paragraph.text
    assert [paragraph.index for paragraph in reading.paragraphs] == list(range(len(reading.paragraphs)))
    return reading


UNITS = {
    "blank lines": "\n",
    "short lines": "安\n",
    "unpunctuated lines": "安全生产检查工作会议召开了\n",
    "unfinished paragraphs": "会议部署安全生产。检查工作，\n\n",
    "unfinished paragraphs and furniture": "会议部署。检查工作，\n\n首页\n\n",
    "reporters": "本报记者\n",
    "named reporters": "记者 张三\n\n",
    "trails": "安全 > 检查\n\n",
    "signed texts": "会议部署安全检查。（记者 张三）\n\n",
    "headings and signed texts": "安全检查会议\n\n会议部署安全检查。（记者 张三）\n\n",
    "headings": "# 安全检查\n\n",
    "link openings": "[a](",
    "link titles": '](a "',
    "image openings": "![](",
    "brackets": "[",
    "comment openings": "<!--",
    "comment lines": "<!-- 安>\n",
    "fence lines": "```安\n",
    "lone underscores": "_安",
    "bold openings": "**安",
    "backquotes": "`安",
    "tag openings": "<a",
    "end tag openings": "</",
    "attribute openings": "<a b='",
    "marked sections": "<![CDATA[",
    "unknown marked sections": "<![安>",
    "instructions": "<?xml",
    "divisions": "<div>",
    "paragraphs": "<p>",
    "open bold": "<b>安</i>",
    "heading tags": "<h1>安<br>",
    "blank references": "&nbsp;",
    "number references": "&#1",
    "brackets behind stops": "。（ ",
    "names behind stops": "。记者 张三 ",
}


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("unit", UNITS.values(), ids=UNITS.keys())
def test_repeated(unit: str, form: Format) -> None:
    assert_true_offsets(repeated(unit), form)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("blank", ["\n", " ", "　", "\u200b"])
def test_text_behind_many_blanks(blank: str, form: Format) -> None:
    reading = assert_true_offsets(blank * 20_000 + SENTENCE, form)
    assert [paragraph.text for paragraph in reading.paragraphs] == [SENTENCE]
    assert reading.paragraphs[0].spans[-1][1] == 20_000 + len(SENTENCE)


@pytest.mark.parametrize("form", FORMATS)
def test_blanks_behind_a_sentence(form: Format) -> None:
    source = SENTENCE + " " * 20_000 + "会议要求各乡镇排查安全隐患"
    (paragraph,) = assert_true_offsets(source, form).paragraphs
    assert squeezed(paragraph.text) == squeezed(source)


@pytest.mark.parametrize("form", FORMATS)
def test_one_line_of_200000_characters(form: Format) -> None:
    source = repeated(SENTENCE, 200_000)
    (paragraph,) = assert_true_offsets(source, form).paragraphs
    assert paragraph.spans == ((0, len(source)),)


def test_a_paragraph_cut_a_thousand_times_is_one() -> None:
    pieces = [f"会议部署第{i}项工作。检查安全，" for i in range(1000)]
    (paragraph,) = assert_true_offsets("\n\n首页\n\n".join(pieces), "text").paragraphs
    assert paragraph.text == "".join(pieces)
    assert len(paragraph.spans) == 1000


def test_a_thousand_articles() -> None:
    source = "".join(f"安全生产检查{i}号工作会议\n\n会议部署第{i}项安全检查。（记者 张三）\n\n" for i in range(1000))
    reading = assert_true_offsets(source, "text")
    assert len(reading.articles) == 1000
    assert reading.articles[999].headline == "安全生产检查999号工作会议"


def test_a_thousand_headings_before_two_bylines() -> None:
    texts = "".join(f"安全生产检查{i}号工作会议\n\n会议部署第{i}项安全检查。\n\n" for i in range(1000))
    reading = assert_true_offsets(texts + "（记者 张三）\n\n会议要求各乡镇排查隐患。（记者 李四）", "text")
    assert len(reading.paragraphs) == 2001


def test_marks_are_cut_from_each_markdown_block() -> None:
    source = "".join(f"会议**部署**第{i}项[安全](http://a.b/{i})检查。\n\n" for i in range(2000))
    texts = [block.text for block in markdown_blocks(source)]
    assert texts == [f"会议部署第{i}项安全检查。" for i in range(2000)]


def test_unclosed_markup_hides_no_text() -> None:
    source = "```python\n\n" + SENTENCE + "<!-- 未完。\n\n[记者]: 会议内容\n\n" + SENTENCE.replace("县", "市")
    texts = [paragraph.text for paragraph in assert_true_offsets(source, "markdown").paragraphs]
    assert texts == [SENTENCE + "<!-- 未完。", SENTENCE.replace("县", "市")]


@pytest.mark.parametrize("opening", ["<div>", "<p>", "<b>", "<ul><li>", "<p>&nbsp;"])
def test_text_below_many_open_tags(opening: str) -> None:
    # More tags than a news page has: all blocks outside the navigation count.
    source = opening * 16_000 + SENTENCE + "<nav>" + SENTENCE.replace("县", "市") + "</nav>"
    blocks = [(block.text, block.reason) for block in html_blocks(source)]
    assert blocks == [(SENTENCE, None), (SENTENCE.replace("县", "市"), "outside the article")]


@pytest.mark.parametrize("pitfall", ["<!--", "<![CDATA[", "<![安[", "&#安;", "&#" + "1" * 5000 + ";", "<a href='"])
def test_a_pitfall_behind_the_text_hides_none(pitfall: str) -> None:
    source = f"<div><p>{SENTENCE}</p></div>{pitfall}"
    assert html_blocks(source)[0].text == SENTENCE
    assert html_blocks(source)[0].spans == ((8, 8 + len(SENTENCE)),)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("记者" * 44 + "x", None),
        ("（" + "记者 张三李四 " * 10 + "x", None),
        ("目录 " * 28 + "x", None),
        ("返回首页" * 22 + "x", None),
        (">" * 80 + " x y", None),
        ("文图 " * 28 + "x", None),
        ("· " * 44 + "x", None),
        ("首页 " * 29, "navigation"),
        ("返回首页" * 22, "navigation"),
        (">" * 80, "navigation"),
        ("更多>>", "navigation"),
        ("首页>>新闻 > 正文", "navigation"),
        (">>>>点击进入专题", "navigation"),
        ("> 引用的话", None),
        ("记者 小记者", "byline"),
        ("记者 张三 通讯员 李四 全媒体记者 王五 文/图", "byline"),
        ("记者张三李四 人民日报记者王五", "byline"),
    ],
)
def test_lines_that_read_in_many_ways(line: str, reason: str | None) -> None:
    assert furniture.reason(line) == reason


@pytest.mark.parametrize("tail", ["记者 张三 " * 3000, "（" + " " * 3000, "记者" * 3000, " " * 3000, "）" * 3000])
def test_no_byline_behind_a_sentence(tail: str) -> None:
    text = SENTENCE + tail + "。"
    assert furniture.trailing_byline(text) == len(text)
