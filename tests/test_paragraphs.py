"""Cutting sources into paragraphs: the hand-checked seeds, layouts never tuned on, and any text at all."""

import itertools
import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from conftest import FIXTURES, SEEDS
from hypothesis import given, settings
from hypothesis import strategies as st

from data.blocks import Span, text_at
from data.characters import count_han
from data.paragraphs import Article, Reading, main, read_articles, source_files
from data.sources import Format, format_of, read_source

LAYOUTS = sorted(path for path in (FIXTURES / "layouts").iterdir() if path.suffix != ".jsonl")
Row = dict[str, Any]


def rows_of(path: Path) -> list[Row]:
    rows: list[Row] = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return rows


SEED_ROWS = rows_of(FIXTURES / "seed_segmentation.jsonl")


def read(path: Path) -> tuple[str, Reading]:
    source = read_source(path)
    return source, read_articles(source, format_of(path))


def owners(reading: Reading) -> dict[int, int]:
    """Map every character offset that is in a paragraph to the paragraph's index."""
    owner: dict[int, int] = {}
    for paragraph in reading.paragraphs:
        for start, end in paragraph.spans:
            for place in range(start, end):
                assert place not in owner, f"offset {place} is in paragraphs {owner[place]} and {paragraph.index}"
                owner[place] = paragraph.index
    return owner


def is_text(row: Row) -> bool:
    return row["kind"] not in ("furniture", "duplicate")


@dataclass
class Score:
    """How far a reading follows the gold rows."""

    right: Counter[str] = field(default_factory=Counter)
    wrong: list[tuple[str, str]] = field(default_factory=list)
    """What is wrong, and the text where."""

    def check(self, what: str, ok: bool, source: str, *spans: list[int]) -> None:
        if ok:
            self.right[what] += 1
        else:
            self.wrong.append((what, " | ".join(repr(source[start:end][:40]) for start, end in spans)))

    def n_wrong(self, what: str) -> int:
        return sum(kind == what for kind, _ in self.wrong)


def compare(source: str, reading: Reading, rows: list[Row]) -> Score:
    """Count joins, separations, furniture left out, and text rows covered once."""
    score, owner = Score(), owners(reading)

    def owners_of(row: Row) -> Counter[int | None]:
        places = [place for span in row["spans"] for place in range(*span)]
        return Counter(owner.get(place) for place in places if count_han(source[place]))

    def n_han(span: list[int]) -> int:
        return count_han(source[span[0] : span[1]])

    text = sorted((row for row in rows if is_text(row)), key=lambda row: row["spans"][0])
    for row in text:
        for before, after in itertools.pairwise(row["spans"]):
            i, j = owner.get(before[1] - 1), owner.get(after[0])
            score.check("join", i is not None and i == j, source, before, after)
        found = owners_of(row)
        if found.total() >= 10:
            score.check("covered once", len(found) == 1 and None not in found, source, row["spans"][0])
    for row, following in itertools.pairwise(text):
        last, first = row["spans"][-1], following["spans"][0]
        if n_han(last) >= 10 and n_han(first) >= 10:
            i, j = owner.get(last[1] - 1), owner.get(first[0])
            score.check("separation", i is None or i != j, source, last, first)
    for row in rows:
        if not is_text(row):
            for span in row["spans"]:
                inside = {owner.get(place) for place in range(*span) if not source[place].isspace()}
                score.check("left out", inside <= {None}, source, span)
    return score


def test_seeds_are_cut_as_by_hand() -> None:
    total: Counter[str] = Counter()
    wrong = []
    for path in SEEDS:
        source, reading = read(path)
        name = f"seeds/{path.name}"
        score = compare(source, reading, [row for row in SEED_ROWS if row["source"] == name])
        total += score.right
        wrong += [(name, *found) for found in score.wrong]
    assert wrong == []
    assert total == {"join": 32, "separation": 173, "left out": 38, "covered once": 187}


@pytest.mark.parametrize("path", SEEDS, ids=lambda path: path.name[:3])
def test_every_seed_article_has_its_headline(path: Path) -> None:
    source, reading = read(path)
    gold: dict[int, list[str]] = {}
    for row in SEED_ROWS:
        if row["source"] == f"seeds/{path.name}" and row["kind"] == "headline":
            spans = [(start, end) for start, end in row["spans"]]
            gold.setdefault(row["article"], []).append(text_at(source, spans).lstrip("# "))
    assert [article.headline for article in reading.articles if article.headline] == [
        " ".join(parts) for _, parts in sorted(gold.items())
    ]


@pytest.mark.parametrize("path", SEEDS, ids=lambda path: path.name[:3])
def test_headlines_and_subheadings_of_seeds_are_told_apart(path: Path) -> None:
    _, reading = read(path)
    kinds = {place: p.kind for p in reading.paragraphs for span in p.spans for place in range(*span)}
    rows = [row for row in SEED_ROWS if row["source"] == f"seeds/{path.name}" and is_text(row)]
    for row in rows:
        found = kinds.get(row["spans"][0][1] - 1)
        # A caption that is a full statement of its own may count as a paragraph.
        assert found in (None, row["kind"]) or row["kind"] == "caption", row


def test_unseen_layouts_are_cut_well() -> None:
    right: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    for path in LAYOUTS:
        source, reading = read(path)
        score = compare(source, reading, rows_of(path.with_name(path.stem + ".gold.jsonl")))
        right += score.right
        wrong.update(what for what, _ in score.wrong)
        for what, where in score.wrong:
            print(f"{path.name}: {what} wrong: {where}")
    cuts = right["join"] + right["separation"]
    n_cuts = cuts + wrong["join"] + wrong["separation"]
    n_furniture = right["left out"] + wrong["left out"]
    assert (n_cuts, n_furniture) == (177, 119)
    assert cuts / n_cuts >= 0.95
    assert right["left out"] / n_furniture >= 0.90


def check_places(source: str, reading: Reading, form: Format) -> None:
    """Check what holds of every reading: true offsets, no character twice, numbers in order."""
    owners(reading)
    for paragraph in reading.paragraphs:
        assert text_at(source, paragraph.spans, form == "html") == paragraph.text
        assert list(paragraph.spans) == sorted(paragraph.spans)
        assert all(0 <= start < end <= len(source) for start, end in paragraph.spans)
        assert count_han(paragraph.text) >= 10
    for piece in reading.left_out:
        assert text_at(source, [piece.span], form == "html") == piece.text
    indexes = sorted(paragraph.index for paragraph in reading.paragraphs)
    assert indexes == list(range(len(indexes)))
    assert [article.number for article in reading.articles] == list(range(1, len(reading.articles) + 1))
    assert all(article.paragraphs for article in reading.articles)


@pytest.mark.parametrize("path", [*SEEDS, *LAYOUTS], ids=lambda path: path.name[:16])
def test_offsets_of_all_fixtures_are_true(path: Path) -> None:
    source, reading = read(path)
    assert reading.paragraphs
    check_places(source, reading, format_of(path))


@pytest.mark.parametrize("path", SEEDS, ids=lambda path: path.name[:3])
def test_line_ends_do_not_change_the_paragraphs(path: Path) -> None:
    source, reading = read(path)
    for ending in ("\r\n", "\r", "\u2029"):
        other = read_articles(source.replace("\n", ending))
        assert [p.text for p in other.paragraphs] == [p.text for p in reading.paragraphs]


SENTENCES = (
    "近日，全市安全生产工作会议召开，要求各县区压实责任、排查隐患。",
    "党员干部走进田间地头，",
    "直播间里卖出土特产三百万元",
    "乡村振兴工作推进会",
    "一、强化理论武装",
    "（一）",
    "——某镇工作纪实",
    "本报讯（记者 王晓明）",
    "本报记者 王晓明 摄",
    "（下转第二版）",
    "责任编辑：张三",
    "2025年1月20日 星期一",
    "教 育 基 地 ，先 后 接 待",
    "图为工作人员在检查消防设施。",
    "村民们说：“日子越过越",
    "AI BM CN 智能",
    "相关阅读",
)
ODD = (
    " ",
    "　",
    "\u200b",
    "\u202e",
    "\u2066",
    "\ufeff",
    "🔥",
    "👨‍👩‍👧",
    "བོད་སྐད།",
    "𠀀",
    "\0",
    "\ud800",
    "\x1b",
    "#",
    "* ",
    "<b>",
    "&amp;",
)
BREAKS = ("\n", "\n\n", "\r\n", "\r", "\u2028", "\x85", "\f", "\n　　")
MIXTURES = st.lists(
    st.one_of(
        st.sampled_from(SENTENCES),
        st.sampled_from(BREAKS),
        st.sampled_from(ODD),
        st.text("安全生产党建电商，。！“”（）、：ab1 ", max_size=25),
        st.characters(),
    ),
    max_size=30,
).map("".join)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(MIXTURES)
def test_any_text_keeps_every_chinese_character_in_one_place(source: str) -> None:
    reading = read_articles(source)
    check_places(source, reading, "text")
    inside = owners(reading)
    outside = {place for piece in reading.left_out for place in range(*piece.span)}
    assert not outside & set(inside)
    assert [char for place, char in enumerate(source) if count_han(char) and place not in {*inside, *outside}] == []


@settings(max_examples=200, deadline=None, derandomize=True)
@given(MIXTURES)
def test_any_markdown_is_read_with_true_offsets(source: str) -> None:
    check_places(source, read_articles(source, "markdown"), "markdown")


TAGS = st.sampled_from(
    ("<p>", "</p>", "<div>", "</div>", "<b>", "<br>", "<h2>", "</h2>", "<!--", "-->", "<", "&nbsp;", "<td")
)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(st.one_of(MIXTURES, TAGS), max_size=8).map("".join))
def test_any_html_is_read_with_true_offsets(source: str) -> None:
    check_places(source, read_articles(source, "html"), "html")


def texts(source: str, form: Format = "text") -> list[str]:
    return [paragraph.text for paragraph in read_articles(source, form).paragraphs]


def reasons(source: str) -> dict[str, str]:
    return {piece.text: piece.reason for piece in read_articles(source).left_out}


@pytest.mark.parametrize(
    "source", ["", " \n\t\r\n", "\ufeff", "短", "本报记者 王晓明", "hello world\n\nno Chinese here."]
)
def test_no_paragraph_gives_no_article(source: str) -> None:
    assert read_articles(source).articles == ()


def test_a_sentence_cut_by_a_page_break_is_joined() -> None:
    first = "近日，全市安全生产工作会议召开。会议要求，全市上下要把安全生产摆在突出位置，以更严的作"
    second = "风抓好各项工作的落实，守住安全底线。"
    assert texts(f"{first}\n\n{second}") == [first + second]
    (paragraph,) = read_articles(f"{first}\n\n{second}").paragraphs
    assert paragraph.spans == ((0, len(first)), (len(first) + 2, len(first) + 2 + len(second)))


def test_a_caption_inside_a_sentence_is_its_own_paragraph() -> None:
    source = (
        "全市上下要把安全生产摆在突出位置，以更高的站位、更严的\n\n"
        "图为工作人员在企业检查消防设施。\n\n作风抓好各项工作的落实，守住安全底线。"
    )
    joined, caption = sorted(texts(source), key=len, reverse=True)
    assert joined == "全市上下要把安全生产摆在突出位置，以更高的站位、更严的作风抓好各项工作的落实，守住安全底线。"
    assert caption == "图为工作人员在企业检查消防设施。"


def test_bylines_leave_the_paragraph_and_are_listed() -> None:
    source = "本报讯（记者 王晓明）近日，全市安全生产工作会议召开，部署工作。（李军）"
    assert texts(source) == ["近日，全市安全生产工作会议召开，部署工作。"]
    assert reasons(source) == {"本报讯（记者 王晓明）": "byline", "（李军）": "byline"}


def test_a_paragraph_printed_twice_counts_once() -> None:
    line = "近日，全市安全生产工作会议召开，部署下一阶段工作。"
    assert texts(f"{line}\n\n大家表示，要把会议精神落实到行动上来。\n\n{line}") == [
        line,
        "大家表示，要把会议精神落实到行动上来。",
    ]
    assert reasons(f"{line}\n\n{line}") == {line: "repeats the end of the block before it"}
    assert "printed twice" in reasons(f"{line}\n\n大家表示，要把精神落实到行动上来。\n\n{line}").values()


def test_a_tail_printed_again_is_cut_off_and_no_more() -> None:
    first = "会议开了一天。大家说，要落实各项工作举措，做好 AI BM CN 智能 推广，全面推进 乡村振"
    source = f"{first}\n\nCN 智能 推广，全面推进 乡村振兴，带动农民增收致富。"
    assert texts(source) == [first + "兴，带动农民增收致富。"]
    assert reasons(source) == {"CN 智能 推广，全面推进 乡村振": "repeats the end of the block before it"}


def test_a_repeated_tail_with_blanks_at_the_very_end_of_a_source() -> None:
    source = "全市开展安全生产大检查，排查各类风险隐患，落实 AI BM CN 智能\n\nAI BM CN 智能网"
    assert texts(source) == ["全市开展安全生产大检查，排查各类风险隐患，落实 AI BM CN 智能"]


def test_related_links_are_left_out() -> None:
    source = "近日，全市安全生产工作会议召开，部署下一阶段工作。\n\n相关阅读\n\n首届农民丰收节在马集镇举办"
    assert texts(source) == ["近日，全市安全生产工作会议召开，部署下一阶段工作。"]
    assert reasons(source)["首届农民丰收节在马集镇举办"] == "related links"


def test_paragraphs_lists_those_of_all_articles() -> None:
    reading = read(SEEDS[0])[1]
    first: Article = reading.articles[0]
    assert reading.paragraphs[: len(first.paragraphs)] == list(first.paragraphs)
    span: Span = first.paragraphs[0].spans[0]
    assert span == (7, 27)


def test_source_files_of_a_folder_and_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "sub.txt").mkdir()
    for name in ("b.txt", "a.MD", "c.doc", "sub.txt/d.html"):
        (tmp_path / name).write_text("文", encoding="utf-8")
    assert [path.name for path in source_files(tmp_path)] == ["a.MD", "b.txt", "d.html"]
    assert source_files(tmp_path / "c.doc") == [tmp_path / "c.doc"]
    with pytest.raises(FileNotFoundError, match=r"none: no such file or folder"):
        source_files(tmp_path / "none")


def test_command_prints_paragraphs_and_what_was_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(SEEDS[0]), "--explain"]) == 0
    printed = capsys.readouterr().out
    assert f"{SEEDS[0]} · 1 · 菏泽：狠抓工作落实" in printed
    assert "left out 50-57: byline: " in printed


def test_command_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "none.txt")]) == 1
    assert capsys.readouterr().err == f"{tmp_path / 'none.txt'}: no such file or folder\n"
    (tmp_path / "a.doc").write_bytes(b"DOC")
    assert main([str(tmp_path / "a.doc")]) == 1
    assert "a.doc: not an article file" in capsys.readouterr().err
