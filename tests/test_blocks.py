import pytest

from data import blocks
from data.blocks import join_pieces, lines_of, markdown_blocks, text_at, text_blocks, trim, without

COLUMN = """近日，我市召开安全生产工作会议，
对下一阶段工作作出安排。会议要求
各县区压实责任，排查隐患，确保全
市安全生产形势稳定。

会议强调，要加强督导检查，严格落
实各项制度。"""


def test_lines_of_gives_places_indent_and_gap() -> None:
    source = "　　党建\r\n\r\n \t\r\n电商 AI\u2028末行  "
    lines = lines_of(source)
    assert [(line.text, line.indent, line.gap, line.width) for line in lines] == [
        ("党建", 2.0, 0, 2.0),
        ("电商 AI", 0.0, 2, 3.5),
        ("末行", 0.0, 0, 2.0),
    ]
    assert [source[line.start : line.end] for line in lines] == ["党建", "电商 AI", "末行"]


@pytest.mark.parametrize(
    ("pieces", "joined"),
    [
        ([], ""),
        (["全", "市"], "全市"),
        (["hello", "world"], "hello world"),
        (["2024", "年"], "2024年"),
        (["20", "24"], "2024"),
        (["AI", "党建", "", "IT"], "AI党建IT"),
    ],
)
def test_join_pieces(pieces: list[str], joined: str) -> None:
    assert join_pieces(pieces) == joined


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("全\r\n市", "全市"),
        ("　　全市\n　　安全", "全市安全"),
        ("安\u200b全\ufeff", "安全"),
        ("教 育 基 地", "教育基地"),
        ("党建   引领\t振兴", "党建 引领 振兴"),
        ("A&amp;B", "A&amp;B"),
        ("", ""),
    ],
)
def test_text_at_of_plain_text(source: str, text: str) -> None:
    assert text_at(source, [(0, len(source))]) == text


def test_text_at_of_html_resolves_references() -> None:
    source = "A&amp;B&nbsp;公司&#12290;"
    assert text_at(source, [(0, len(source))], is_html=True) == "A&B 公司。"


def test_a_column_is_told_from_paragraphs() -> None:
    assert [block.text for block in text_blocks(COLUMN)] == [
        "近日，我市召开安全生产工作会议，对下一阶段工作作出安排。会议要求各县区压实责任，排查隐患，确保全市安全生产形势稳定。",
        "会议强调，要加强督导检查，严格落实各项制度。",
    ]


def test_without_a_column_each_line_is_a_block() -> None:
    source = "标题在此处占一行\n近日，会议召开。\n大家发言。"
    assert [block.text for block in text_blocks(source)] == ["标题在此处占一行", "近日，会议召开。", "大家发言。"]


def test_a_block_at_the_column_end_runs_on() -> None:
    broken = COLUMN.replace("全\n市安全生产形势稳定。\n\n", "全\n\n市安全生产形势稳定。\n\n")
    assert [block.runs_on for block in text_blocks(broken)] == [True, False, False]


def test_furniture_is_marked_with_its_reason() -> None:
    found = text_blocks("本报记者 王晓明\n\n近日，会议召开。")
    assert [block.reason for block in found] == ["byline", None]


def test_markdown_marks_stay_outside_the_spans() -> None:
    source = (
        "# 标题：乡村振兴\n\n近日，**石埠县**[农民](http://a.b/c)开了网店，*生意*很好。\n\n![图](a.png)\n\n"
        "- 第一条经验是抓产业。\n\n<!-- 注释 -->\n> 引用的话也是正文。\n"
    )
    found = markdown_blocks(source)
    assert [(block.text, block.level) for block in found] == [
        ("标题：乡村振兴", 1),
        ("近日，石埠县农民开了网店，生意很好。", None),
        ("第一条经验是抓产业。", None),
        ("引用的话也是正文。", None),
    ]
    assert [source[start:end] for start, end in found[1].spans] == [
        "近日，",
        "石埠县",
        "农民",
        "开了网店，",
        "生意",
        "很好。",
    ]


@pytest.mark.parametrize(
    ("text", "starts"),
    [
        ("一、加强领导", True),
        ("（二）落实责任", True),
        ("3.排查隐患", True),
        ("●简讯", True),
        ("- 项目", True),
        ("第三章 附则", True),
        ("3.5亿元", False),
        ("一家企业", False),
        ("", False),
    ],
)
def test_starts_list(text: str, starts: bool) -> None:
    assert blocks.starts_list(text) is starts


def test_without_cuts_and_trims() -> None:
    source = "开头一句。 （记者 甲） 结尾一句。"
    block = without(text_blocks(source)[0], source, [(6, 12)])
    assert block.spans == ((0, 5), (13, 18))
    assert block.text == "开头一句。结尾一句。"


@pytest.mark.parametrize(
    ("source", "span"), [(" 党 ", (1, 2)), ("\ufeff　党", (2, 3)), (" \n", None), ("", None), ("党", (0, 1))]
)
def test_trim(source: str, span: tuple[int, int] | None) -> None:
    assert trim(source, (0, len(source))) == span
