import pytest

from data import characters


@pytest.mark.parametrize(
    ("text", "count"), [("", 0), ("abc，。1", 0), ("安全生产", 4), ("㐀龥豈", 3), ("༄བོད", 0), ("かな漢", 1), ("𠀀", 0)]
)
def test_count_han(text: str, count: int) -> None:
    assert characters.count_han(text) == count


@pytest.mark.parametrize(
    ("text", "width"),
    [("", 0), ("党建", 2), ("党建，", 3), ("“党”", 3), ("AI 党", 2.5), ("\ufeff党\u200b", 1), ("Ａ", 1)],
)
def test_width_counts_ideographs(text: str, width: float) -> None:
    assert characters.width(text) == width


@pytest.mark.parametrize(
    ("text", "ends"),
    [
        ("会议召开。", True),
        ("会议召开。” ", True),
        ("（会议召开！）", True),
        ("他说……", True),
        ("怎么办?", True),
        ("会议召开", False),
        ("会议召开，", False),
        ("会议：", False),
        ("", False),
    ],
)
def test_ends_sentence(text: str, ends: bool) -> None:
    assert characters.ends_sentence(text) is ends


@pytest.mark.parametrize(
    ("text", "inner"),
    [("一句。两句。", True), ("只有一句。", False), ("一句。”", False), ("怎么办？这样办", True), ("。", False)],
)
def test_has_inner_stop(text: str, inner: bool) -> None:
    assert characters.has_inner_stop(text) is inner


def test_count_commas_knows_all_kinds() -> None:
    assert characters.count_commas("一，二,三、四。") == 3


@pytest.mark.parametrize(
    ("text", "is_open"),
    [("“五大", True), ("“五大”", False), ("《条例", True), ("（一）", False), ("结束）", False), ("「", True)],
)
def test_has_open_bracket(text: str, is_open: bool) -> None:
    assert characters.has_open_bracket(text) is is_open


def test_drop_invisible() -> None:
    assert characters.drop_invisible("\ufeff安\u200b全\u202e生\u00ad产\u2069 a") == "安全生产 a"


@pytest.mark.parametrize(
    ("spaced", "closed"),
    [
        ("教 育 基 地 ，先 后", "教育基地，先后"),
        ("教 育 基 地", "教育基地"),
        ("学 思 想， 强 党 性", "学思想，强党性"),
        ("党建引领 乡村振兴", "党建引领 乡村振兴"),
        ("王 军", "王 军"),
        ("A I B M", "A I B M"),
        ("", ""),
    ],
)
def test_close_letter_spacing(spaced: str, closed: str) -> None:
    assert characters.close_letter_spacing(spaced) == closed
