"""Pictures show what was counted; Chinese names stand in them only where a font has them."""

import warnings
from collections.abc import Iterator
from pathlib import Path

import matplotlib
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib import font_manager
from PIL import Image

from serving.summary.counts import Counts
from serving.summary.pictures import draw_months, draw_scores, draw_sources, find_font, legends
from serving.summary.tagged import Tagged

NAMES = {"party_building": "党建", "e_commerce": "电商"}
IDS = {topic: topic for topic in NAMES}


@pytest.fixture
def bundled(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Only the fonts that come with matplotlib, as on a bare machine; gives their folder."""
    folder = Path(matplotlib.get_data_path()) / "fonts"
    kept = [entry for entry in font_manager.fontManager.ttflist if Path(entry.fname).is_relative_to(folder)]
    monkeypatch.setattr(font_manager.fontManager, "ttflist", kept)
    find_font.cache_clear()
    yield folder
    find_font.cache_clear()


def make_font(path: Path, text: str) -> None:
    """Make a font in which each of these characters is a square."""
    names = {ord(char): f"g{number}" for number, char in enumerate(text)}
    builder = FontBuilder(1000)
    builder.setupGlyphOrder([".notdef", *names.values()])
    builder.setupCharacterMap(names)
    pen = TTGlyphPen(None)
    pen.moveTo((100, 0))
    for corner in ((100, 800), (900, 800), (900, 0)):
        pen.lineTo(corner)
    pen.closePath()
    square = pen.glyph()
    builder.setupGlyf(dict.fromkeys([".notdef", *names.values()], square))
    builder.setupHorizontalMetrics(dict.fromkeys([".notdef", *names.values()], (1000, 100)))
    builder.setupHorizontalHeader(ascent=880, descent=-120)
    builder.setupNameTable({"familyName": "Squares", "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(path)


@pytest.fixture
def counts() -> Counts:
    found = Counts(tuple(NAMES))
    for number in range(40):
        article = f"{'县报' if number % 2 else '$a_b$ news'}/2024-{number % 12 + 1:02d}-01.txt"
        given = ("e_commerce",) if number % 4 == 0 else ()
        scores = {"party_building": 0.01, "e_commerce": 0.99 if given else 0.02}
        found.add(Tagged(f"{article}#1", article, 80, "topics" if given else "none", given, scores, "v1"))
    return found


def test_without_a_chinese_font_ids_stand_in_the_pictures(bundled: Path) -> None:
    # matplotlib has a font that claims every character, and shows boxes.
    claims = [one for one in bundled.rglob("*.ttf") if ord("党") in font_manager.get_font(one).get_charmap()]
    assert all("LastResort" in one.name for one in claims)
    assert find_font("党建") is None and find_font("abc") is not None
    assert legends(NAMES) == IDS


def test_with_a_chinese_font_names_do(bundled: Path, tmp_path: Path) -> None:
    make_font(tmp_path / "some.ttf", "党建电")
    font_manager.fontManager.addfont(tmp_path / "some.ttf")
    assert legends(NAMES) == IDS
    make_font(tmp_path / "all.ttf", "党建电商县报")
    font_manager.fontManager.addfont(tmp_path / "all.ttf")
    find_font.cache_clear()
    assert legends(NAMES) == NAMES
    # Of a topic whose model is not known there is no name.
    assert legends({"a": ""}) == {"a": "a"}


def test_a_font_removed_since_it_was_listed_is_not_used(bundled: Path, tmp_path: Path) -> None:
    make_font(tmp_path / "all.ttf", "党建电商")
    font_manager.fontManager.addfont(tmp_path / "all.ttf")
    (tmp_path / "all.ttf").unlink()
    assert find_font("党建") is None


@pytest.mark.parametrize("has_font", [False, True])
def test_every_character_drawn_has_a_glyph(has_font: bool, bundled: Path, counts: Counts, tmp_path: Path) -> None:
    if has_font:
        make_font(tmp_path / "all.ttf", "党建电商县报")
        font_manager.fontManager.addfont(tmp_path / "all.ttf")
    names = legends(NAMES)
    assert names == (NAMES if has_font else IDS)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        draw_months(tmp_path / "months.png", counts.by_month(), names)
        draw_sources(tmp_path / "sources.png", counts.by_source(), names)
        draw_scores(tmp_path / "scores.png", counts, counts, names)
    for name in ("months", "sources", "scores"):
        with Image.open(tmp_path / f"{name}.png") as picture:
            picture.load()
            assert picture.format == "PNG" and min(picture.size) > 200
    assert not list(tmp_path.glob("*.tmp"))


def test_a_picture_follows_what_was_counted(bundled: Path, counts: Counts, tmp_path: Path) -> None:
    one, same, other = (tmp_path / name for name in ("one.png", "same.png", "other.png"))
    draw_scores(one, counts, None, IDS)
    draw_scores(same, counts, None, IDS)
    counts.add(Tagged("a#1", "a", 80, "none", (), {"party_building": 0.5, "e_commerce": 0.5}, "v1"))
    draw_scores(other, counts, None, IDS)
    assert one.read_bytes() == same.read_bytes() != other.read_bytes()
