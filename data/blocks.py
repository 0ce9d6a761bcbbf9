"""Lines to blocks: find the printed units of a text before anyone asks what they mean.

Text copied out of a PDF ends a line wherever the column ended; text copied from a
page ends it where the paragraph ends. `text_blocks` tells the two apart and returns
blocks: runs of text that stand together on the page. Which blocks form one paragraph
is decided later, in `data.paragraphs`.
"""

import html
import re
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, replace
from itertools import pairwise

from data import characters, furniture

Span = tuple[int, int]

# A column of a Chinese newspaper or book holds 12 to 50 characters a line; longer
# lines are paragraphs that no column has broken.
MIN_COLUMN = 12.0
MAX_COLUMN = 50.0
# A full line may miss this many cells of the column: a closing bracket that could not
# hang over, a Latin word that did not fit.
FULL_LINE_SLACK = 3.0

_BREAK = re.compile(r"\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")
_BLANK = " \t\u3000\u00a0" + "\ufeff\u200b\u200c\u200d\u2060"
_BLANKS = re.compile(r"[ \t\u00a0\u3000]+")
_LIST_START = re.compile(
    r"[一二三四五六七八九十]{1,3}、|[（(][一二三四五六七八九十\d]{1,3}[）)]|\d{1,2}[.．、](?!\d)"
    r"|[①-⑳●■◆▲★○□◎▶•·]|[-*+]\s|第[一二三四五六七八九十]{1,3}[章节条]"
)
_DASH_START = re.compile(r"——|--|——")
_HEADING_MARK = re.compile(r"#{1,6}\s+")


@dataclass(frozen=True)
class Line:
    """One printed line: its place without outer blanks, and how it stood on the page."""

    start: int
    end: int
    text: str
    indent: float
    """Blank cells before the text, in ideographs."""
    gap: int
    """Empty lines directly above."""
    width: float
    """Printed width in ideographs, letter-spacing closed."""


@dataclass(frozen=True)
class Block:
    """Text that stands together, with its place in the source.

    `spans` are character offsets in the source; `text` is what they say, on one line.
    """

    spans: tuple[Span, ...]
    text: str
    gap: int = 0
    """Empty lines above the block."""
    level: int | None = None
    """Heading level 1 to 6 where the markup says so."""
    runs_on: bool = False
    """The last line fills its column, so the sentence may go on in another block."""
    reason: str | None = None
    """Why the block is page furniture; None for text."""


def lines_of(source: str) -> list[Line]:
    """Return the lines that hold anything, in order."""
    lines: list[Line] = []
    start = gap = 0
    for end, following in [*((m.start(), m.end()) for m in _BREAK.finditer(source)), (len(source), len(source))]:
        raw = source[start:end]
        text = raw.strip(_BLANK)
        if text:
            lead = len(raw) - len(raw.lstrip(_BLANK))
            closed = characters.close_letter_spacing(text)
            lines.append(
                Line(
                    start=start + lead,
                    end=start + lead + len(text),
                    text=text,
                    indent=characters.width(raw[:lead]),
                    gap=gap,
                    width=characters.width(closed),
                )
            )
            gap = 0
        else:
            gap += 1
        start = following
    return lines


def join_pieces(pieces: list[str]) -> str:
    """Join text that line breaks or foreign blocks had cut.

    Nothing goes between Chinese characters; a blank goes between two Latin words.
    """
    joined: list[str] = []
    for piece in filter(None, pieces):
        if joined and _is_latin(joined[-1][-1]) and _is_latin(piece[0]):
            joined.append(" ")
        joined.append(piece)
    return "".join(joined)


def _is_latin(char: str) -> bool:
    return char.isascii() and char.isalpha()


# Python refuses to read a number of thousands of digits; such a reference is no character.
_HUGE_REFERENCE = re.compile(r"&#[0-9]{100,};?")


def text_at(source: str, spans: tuple[Span, ...] | list[Span], is_html: bool = False) -> str:
    """Return the running text at these places: the inverse of reading a paragraph.

    Line breaks, invisible characters and letter-spacing go; in HTML, character
    references are resolved.
    """
    pieces = []
    for start, end in spans:
        raw = source[start:end]
        for line in _BREAK.split(raw):
            text = html.unescape(_HUGE_REFERENCE.sub("\ufffd", line)) if is_html else line.strip(_BLANK)
            text = characters.drop_invisible(text)
            pieces.append(_BLANKS.sub(" ", text.replace("\0", "")))
    return characters.close_letter_spacing(join_pieces(pieces)).strip()


def text_blocks(source: str) -> list[Block]:
    """Return the blocks of plain text or Markdown, page furniture marked with its reason."""
    groups: list[list[Line]] = []
    for line in lines_of(source):
        if line.gap or not groups:
            groups.append([])
        groups[-1].append(line)
    column = _column_width(groups)
    blocks: list[Block] = []
    for group in groups:
        parts = _split_group(group, column)
        for place, part in enumerate(parts):
            blocks.append(
                _make_block(source, part, column, after_text=place > 0 and _is_text_line(parts[place - 1][-1]))
            )
    return blocks


# What Markdown adds to the text of a line, and whole lines that are no text. Markup that is
# opened and never closed is searched only up to where the next of its kind opens.
_MARKUP = re.compile(
    r"^\A---\n.*?\n---$|^```(?:(?!^```).)*+^```\s*$|<!--(?:(?!<!--|-->).)*+-->"
    r"|!\[[^\[\]]*\]\((?:[^)\]]++|\](?!\())*+\)"
    r"|(?<=\])\((?:[^)\]\s]++|\](?!\())*+(?:\s+\"[^\"]*\")?\)"
    r"|\[(?=[^\[\]]+\]\()|(?<=[^\s\[])\](?=\()"
    r"|^\s{0,3}(?:>\s?)+|^[^\S\n]*[-*+]\s+(?=\S)|^[^\S\n]*(?:[-*_=]\s*){3,}$|^\[[^\]\n]+\]:[^\n]*$"
    r"|\\(?=[\\`*_{}\[\]()#+.!-])"
    r"|\*{1,3}|(?<![A-Za-z0-9])_{1,3}|_{1,3}(?![A-Za-z0-9])|`+|</?[A-Za-z][^<>]*>",
    re.MULTILINE | re.DOTALL,
)


def markdown_blocks(source: str) -> list[Block]:
    """Return the blocks of Markdown text, its markup outside their spans."""
    marks = [match.span() for match in _MARKUP.finditer(source)]
    masked = list(source)
    for start, end in marks:
        for place in range(start, end):
            if source[place] not in "\r\n":
                masked[place] = "\u200b"
    starts = [start for start, _ in marks]
    ends = [end for _, end in marks]
    blocks = []
    for block in text_blocks("".join(masked)):
        first = bisect_right(ends, block.spans[0][0])
        behind = bisect_left(starts, block.spans[-1][1])
        blocks.append(without(block, source, marks[first:behind]) if first < behind else block)
    return blocks


def starts_list(text: str) -> bool:
    """Whether the text opens with an enumerator or a bullet."""
    return bool(_LIST_START.match(text))


def _column_width(groups: list[list[Line]]) -> float | None:
    """Return the width in ideographs of the column that broke the lines; None if none did.

    Lines broken by a column mostly end in mid-sentence and are alike in width.
    """
    inner = [line for group in groups for line in group[:-1] if not furniture.reason(line.text)]
    broken = [line for line in inner if not characters.ends_sentence(line.text) and line.width <= MAX_COLUMN]
    if len(broken) < 3 or len(broken) < 0.6 * len(inner):
        return None
    widths = sorted(line.width for line in broken)
    column = widths[int(0.75 * (len(widths) - 1))]
    return column if column >= MIN_COLUMN else None


def _split_group(group: list[Line], column: float | None) -> list[list[Line]]:
    """Split lines that stand without a blank line between them into blocks."""
    local = _local_column(group) if column is not None else None
    if len(group) <= 3 and not any(_is_text_line(line) for line in group):
        # Neither punctuation nor furniture: one heading, printed over several lines.
        local = MAX_COLUMN
    indented = [line for line in group if line.indent >= 1.5]
    by_indent = bool(indented) and len(indented) < len(group)
    parts = [[group[0]]]
    for before, line in pairwise(group):
        if local is None or _starts_block(before, line, local, by_indent):
            parts.append([line])
        else:
            parts[-1].append(line)
    return parts


def _is_text_line(line: Line) -> bool:
    """Whether the line is more than a part of a heading."""
    return bool(
        characters.ends_sentence(line.text)
        or characters.has_inner_stop(line.text)
        or furniture.reason(line.text)
        or line.text[-1] in "，、,：:"
        or _LIST_START.match(line.text)
        or _HEADING_MARK.match(line.text)
        or line.width > 30
        or characters.count_commas(line.text) > 1
    )


def _local_column(group: list[Line]) -> float:
    """Return the column width that this group's own lines show."""
    widths = sorted(line.width for line in group)
    return widths[int(0.75 * (len(widths) - 1))] if len(group) > 2 else widths[-1]


def _starts_block(before: Line, line: Line, column: float, by_indent: bool) -> bool:
    """Whether `line`, directly below `before` in a column of this width, begins a new block."""
    if furniture.reason(before.text) or furniture.reason(line.text):
        return True
    if _HEADING_MARK.match(line.text) or _HEADING_MARK.match(before.text):
        return True
    if _DASH_START.match(line.text):
        return True
    closed = characters.ends_sentence(before.text)
    short = before.width < column - FULL_LINE_SLACK
    if by_indent:
        return line.indent >= 1.5 or (closed and short)
    if before.width > MAX_COLUMN:
        return True
    if column == MAX_COLUMN:
        return False
    heading = line.width < 0.75 * column and not _is_text_line(line)
    if closed and (short or heading or _LIST_START.match(line.text)):
        return True
    if short and not closed:
        # An unfinished short line is a heading, unless it stops inside a clause or the
        # next line only began with a bracket that the column could not hold.
        inside = characters.has_open_bracket(before.text) or before.text[-1] in "，、,"
        pushed = line.text[0] in "“‘《（(" and before.width >= 0.75 * column
        return not (inside or pushed)
    # A first line that lost its two-cell indent is two cells short, and only a first line is.
    lost_indent = column - 3.0 <= line.width <= column - 1.5
    return closed and lost_indent and not characters.ends_sentence(line.text)


def _make_block(source: str, lines: list[Line], column: float | None, after_text: bool) -> Block:
    start, end = lines[0].start, lines[-1].end
    mark = _HEADING_MARK.match(lines[0].text)
    if mark:
        start += mark.end()
    text = text_at(source, [(start, end)])
    last = lines[-1]
    prose = after_text or len(lines) > 2 or characters.has_inner_stop(text) or characters.count_commas(text) > 1
    width = column if column is None or len(lines) == 1 else _local_column(lines)
    full = width is not None and prose and last.width >= width - FULL_LINE_SLACK
    return Block(
        spans=((start, end),),
        text=text,
        gap=lines[0].gap,
        level=mark.group().count("#") if mark else None,
        runs_on=full and not characters.ends_sentence(last.text),
        reason=furniture.reason(text) if len(lines) <= 2 else None,
    )


def without(block: Block, source: str, cuts: list[Span], is_html: bool = False) -> Block:
    """Return the block less the source offsets in `cuts`, which are in order; outer blanks trimmed."""
    spans: list[Span] = []
    for start, end in block.spans:
        place = start
        for cut in [*cuts, (end, end)]:
            trimmed = trim(source, (place, min(end, cut[0])))
            if trimmed:
                spans.append(trimmed)
            place = max(place, cut[1])
    return replace(block, spans=tuple(spans), text=text_at(source, spans, is_html))


def trim(source: str, span: Span) -> Span | None:
    """Return the span without blanks at its ends; None if nothing is left."""
    start, end = span
    while start < end and (source[start].isspace() or source[start] in _BLANK):
        start += 1
    while end > start and (source[end - 1].isspace() or source[end - 1] in _BLANK):
        end -= 1
    return (start, end) if start < end else None
