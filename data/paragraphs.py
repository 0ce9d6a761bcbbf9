"""Articles to paragraphs: put together what the page cut apart, leave out what is not text.

    python -m data.paragraphs seeds --explain

prints the paragraphs of each article, and what was left out and why. From code:
`read_articles(text, "text")`.
"""

import argparse
import re
import sys
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

from data import articles, blocks, characters, furniture, web_pages
from data.blocks import Block, Span
from data.sources import FORMATS, Format, format_of, read_source

# A heading, caption or other unpunctuated block longer than this is running text.
MAX_HEADING_HAN = 45
# A block repeated word for word counts as printed twice from this length on.
MIN_REPEAT_HAN = 6
# Characters that two blocks must share, end to start, to be a line printed twice.
MIN_OVERLAP = 4
# How many characters of the source a line printed twice may take, letter-spacing included.
MAX_OVERLAP_SOURCE = 200
# How many foreign blocks (captions, headings) may stand inside a sentence, furniture aside.
MAX_FOREIGN = 3

# Words that no heading ends with, so a block that does goes on elsewhere.
_UNFINISHED = re.compile(r"(?:[，、,（(《“‘]|[了的和与及在把将对为是向被让由等以从并或而着就但使])$")
_CAPTION_START = re.compile(
    r"^(?:[▲△↑↓◀▶■□●]|图[为:：]|上图|下图|左图|右图|图\d|近日|日前|\d{1,2}月\d{1,2}日|\d{4}年\d{1,2}月)"
)
_PHOTO_CREDIT = re.compile(r"(?:摄|摄影|供图|图片|制图|图)\s*[）)】]?\s*$")


@dataclass(frozen=True)
class Paragraph:
    """One paragraph, headline, subheading or caption of at least ten Chinese characters."""

    index: int
    """Position in the source, from 0."""
    kind: articles.Kind
    text: str
    spans: tuple[Span, ...]
    """Character offsets in the source; several where something foreign cut the paragraph."""


@dataclass(frozen=True)
class Article:
    """One article of a source; a source may hold several."""

    number: int
    """Position in the source, from 1."""
    headline: str
    """Kicker, title and subtitle with a blank between them; empty if there is none."""
    paragraphs: tuple[Paragraph, ...]


@dataclass(frozen=True)
class LeftOut:
    """A piece of the source that is in no paragraph, and why."""

    span: Span
    text: str
    reason: str


@dataclass(frozen=True)
class Reading:
    """What a source holds: its articles, and what was left out."""

    articles: tuple[Article, ...]
    left_out: tuple[LeftOut, ...]

    @property
    def paragraphs(self) -> list[Paragraph]:
        """All paragraphs in the order of the source."""
        return [paragraph for article in self.articles for paragraph in article.paragraphs]


@dataclass
class _Draft:
    """The state of one reading while blocks become units."""

    source: str
    is_html: bool
    left_out: list[LeftOut] = field(default_factory=list)

    def leave_out(self, spans: Iterable[Span], reason: str) -> None:
        for span in spans:
            trimmed = blocks.trim(self.source, span)
            if trimmed:
                text = blocks.text_at(self.source, [trimmed], self.is_html)
                self.left_out.append(LeftOut(trimmed, text, reason))


def read_articles(source: str, form: Format = "text") -> Reading:
    """Cut a source into articles and paragraphs.

    Args:
        source: the text as it was; all offsets count its characters.
        form: "text" (also text broken by columns), "markdown" or "html".

    Returns:
        every paragraph once, in the order of the source, and all that was left out.
        A source without a paragraph gives no article.
    """
    draft = _Draft(source, form == "html")
    if form == "html":
        found = web_pages.html_blocks(source)
    elif form == "markdown":
        found = blocks.markdown_blocks(source)
    else:
        found = blocks.text_blocks(source)
    units = [_classify(unit) for block in found for unit in _strip_bylines(block, draft)]
    units = _drop_related(units, draft)
    units = _drop_repeats(_join_cut(_drop_repeated_tails(units, draft), draft), draft)
    return _assemble(articles.group(units, one_article=form == "html"), units, draft)


def _strip_bylines(block: Block, draft: _Draft) -> list[articles.Unit]:
    """Take bylines at the block's start and end out of it; they tell articles apart later."""
    if block.reason:
        draft.leave_out(block.spans, block.reason)
        return [articles.Unit("furniture", block)]
    source, unit = draft.source, articles.Unit("body", block)
    first, last = block.spans[0], block.spans[-1]
    tail = last[0] + furniture.trailing_byline(source[last[0] : last[1]])
    if tail < last[1]:
        unit.signed = True
        unit.photo = bool(_PHOTO_CREDIT.search(source[tail : last[1]]))
        draft.leave_out([(tail, last[1])], "byline")
        unit.block = blocks.without(unit.block, source, [(tail, last[1])], draft.is_html)
    lead = first[0] + furniture.lead_byline(source[first[0] : first[1]])
    if lead > first[0]:
        unit.dateline = not source[first[0] : lead].lstrip("（(【▲△ ").startswith(("上接", "紧接", "接"))
        draft.leave_out([(first[0], lead)], "byline")
        unit.block = blocks.without(unit.block, source, [(first[0], lead)], draft.is_html)
    if not unit.block.text:
        return [articles.Unit("furniture", replace(block, reason="byline"))]
    return [unit]


def _classify(unit: articles.Unit) -> articles.Unit:
    """Tell headings from running text; running text may still be cut off at its end."""
    block = unit.block
    if unit.kind == "furniture":
        return unit
    unit.finished = characters.ends_sentence(block.text) or block.text[-1] in ":："
    plain = not characters.has_inner_stop(block.text) and characters.count_han(block.text) <= _longest_heading(block)
    if block.level is not None and plain:
        unit.kind, unit.finished = "heading", True
    elif not unit.finished and not unit.dateline and plain and not _goes_on(block):
        unit.kind = "heading"
    return unit


def _longest_heading(block: Block) -> int:
    """Return how many Chinese characters a heading like this may have: commas are for prose."""
    return MAX_HEADING_HAN if characters.count_commas(block.text) < 2 else MAX_HEADING_HAN * 2 // 3


def _goes_on(block: Block) -> bool:
    """Whether an unpunctuated block stops in mid-sentence rather than being a heading."""
    return block.runs_on or bool(_UNFINISHED.search(block.text)) or characters.has_open_bracket(block.text)


def _drop_related(units: list[articles.Unit], draft: _Draft) -> list[articles.Unit]:
    """Leave out the headlines of other articles that a page lists under a heading of its own."""
    listed = False
    for unit in units:
        if unit.kind == "furniture":
            listed = listed or unit.block.reason == "related links"
        elif unit.kind == "heading" and listed:
            draft.leave_out(unit.block.spans, "related links")
            unit.kind, unit.block = "furniture", replace(unit.block, reason="related links")
        else:
            listed = False
    return units


def _drop_repeated_tails(units: list[articles.Unit], draft: _Draft) -> list[articles.Unit]:
    """Leave out text that only repeats how the block before it ended."""
    kept: list[articles.Unit] = []
    before: articles.Unit | None = None
    for unit in units:
        if before is not None and unit.kind != "furniture":
            same = _shared(before.block.text, unit.block.text)
            if same and same == len(unit.block.text):
                draft.leave_out(unit.block.spans, "repeats the end of the block before it")
                continue
            # A page repeats a line where a column was copied twice, which HTML does not know.
            cut = None if before.finished or draft.is_html else _leading(draft.source, unit.block, same)
            if cut:
                draft.leave_out([cut], "repeats the end of the block before it")
                unit.block = blocks.without(unit.block, draft.source, [cut], draft.is_html)
        if unit.kind != "furniture":
            before = unit
        kept.append(unit)
    return kept


def _shared(before: str, after: str) -> int:
    """Return how many characters (at least MIN_OVERLAP) end `before` and also begin `after`."""
    longest = min(len(before), len(after), 40)
    return next((n for n in range(longest, MIN_OVERLAP - 1, -1) if before.endswith(after[:n])), 0)


def _leading(source: str, block: Block, count: int) -> Span | None:
    """Return the place of the block's first `count` characters; None if there is none."""
    start, end = block.spans[0]
    end = min(end, start + MAX_OVERLAP_SOURCE)
    place = start + count
    while count and place <= end:
        text = blocks.text_at(source, [(start, place)])
        if len(text) >= count:
            return (start, place) if text == block.text[:count] else None
        # A further character of the source adds itself and a blank before it at most.
        place += max(1, (count - len(text)) // 2)
    return None


def _join_cut(units: list[articles.Unit], draft: _Draft) -> list[articles.Unit]:
    """Join each cut block with the block where its sentence goes on."""
    waiting = deque(unit for unit in units if unit.kind != "furniture")
    taken: set[int] = set()
    while waiting:
        unit = waiting.popleft()
        spans = list(unit.block.spans)
        while unit.kind == "body" and not unit.finished:
            place = _continuation(unit, waiting)
            if place is None:
                break
            rest = waiting[place]
            del waiting[place]
            for foreign in islice(waiting, place):
                if foreign.kind == "heading" and _CAPTION_START.match(foreign.block.text):
                    foreign.kind = "caption"
            spans += rest.block.spans
            taken.add(id(rest))
            unit.block = replace(unit.block, runs_on=rest.block.runs_on)
            unit.finished = rest.finished and rest.kind != "heading"
            unit.signed = rest.signed
        if len(spans) > len(unit.block.spans):
            text = blocks.text_at(draft.source, spans, draft.is_html)
            unit.block = replace(unit.block, spans=tuple(spans), text=text)
    return [unit for unit in units if id(unit) not in taken]


def _continuation(unit: articles.Unit, following: Iterable[articles.Unit]) -> int | None:
    """Return which of the following units, furniture aside, goes on with this one; None if none does."""
    for place, other in enumerate(following):
        if place == MAX_FOREIGN:
            return None
        text = other.block.text
        if other.dateline or (other.block.level is not None):
            return None
        caption = other.photo or bool(_CAPTION_START.match(text))
        if other.kind == "body" and not caption and not blocks.starts_list(text):
            return place
        if other.kind == "heading" and place == 0 and unit.block.runs_on and text[0] in "“‘《（(":
            # A line that begins with an opening bracket hangs out of its column in the PDF.
            return place
        if other.kind == "body" and not other.photo and characters.has_inner_stop(text):
            return None
    return None


def _drop_repeats(units: list[articles.Unit], draft: _Draft) -> list[articles.Unit]:
    """Leave out whole blocks that were printed before, word for word."""
    seen: set[str] = set()
    kept = []
    for unit in units:
        key = re.sub(r"\W", "", unit.block.text)
        repeated = key in seen and characters.count_han(key) >= MIN_REPEAT_HAN
        if unit.kind != "furniture" and repeated:
            draft.leave_out(unit.block.spans, "printed twice")
            continue
        seen.add(key)
        kept.append(unit)
    return kept


def _assemble(groups: list[articles.Group], units: list[articles.Unit], draft: _Draft) -> Reading:
    """Number the paragraphs in the order of the source and list fragments as left out."""
    order = {id(unit): place for place, unit in enumerate(units)}
    kept: dict[int, int] = {}
    for unit in units:
        if unit.kind == "furniture":
            continue
        if furniture.is_fragment(unit.block.text):
            draft.leave_out(unit.block.spans, "fewer than ten Chinese characters")
        else:
            kept[order[id(unit)]] = len(kept)
    found: list[Article] = []
    for group in groups:
        members = sorted(zip(group.members, group.kinds(), strict=True), key=lambda member: order[id(member[0])])
        paragraphs = tuple(
            Paragraph(kept[order[id(unit)]], kind, unit.block.text, unit.block.spans)
            for unit, kind in members
            if order[id(unit)] in kept
        )
        if paragraphs:
            found.append(Article(len(found) + 1, group.headline, paragraphs))
    return Reading(tuple(found), tuple(sorted(draft.left_out, key=lambda piece: piece.span)))


def source_files(place: Path) -> list[Path]:
    """Return the article files at this place: the file itself, or all below the folder.

    Raises:
        FileNotFoundError: there is no such file or folder.
    """
    if place.is_dir():
        return sorted(p for p in place.rglob("*") if p.suffix.lower() in FORMATS and p.is_file())
    if not place.exists():
        raise FileNotFoundError(f"{place}: no such file or folder")
    return [place]


def main(arguments: list[str] | None = None) -> int:
    """Print articles and paragraphs, and with --explain what was left out and why."""
    parser = argparse.ArgumentParser(prog="python -m data.paragraphs", description=__doc__.split("\n")[0])
    parser.add_argument("place", type=Path, help="an article file (.txt .md .html) or a folder of them")
    parser.add_argument("--explain", action="store_true", help="also list what was left out, with the reason")
    options = parser.parse_args(arguments)
    try:
        for path in source_files(options.place):
            _print_reading(path, options.explain)
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _print_reading(path: Path, explain: bool) -> None:
    reading = read_articles(read_source(path), format_of(path))
    for article in reading.articles:
        print(f"\n{path} · {article.number} · {article.headline or '(no headline)'}")
        for paragraph in article.paragraphs:
            print(f"  {paragraph.index:4d} {paragraph.kind:10s} {paragraph.text}")
    if explain:
        for piece in reading.left_out:
            print(f"  left out {piece.span[0]}-{piece.span[1]}: {piece.reason}: {piece.text}")


if __name__ == "__main__":
    sys.exit(main())
