"""HTML to blocks: trafilatura finds the article on the page, this module finds it in the source.

Extraction libraries return clean text without its place. Here every printed line of
the page is read with the source offsets of its characters, and the lines that
trafilatura calls the article are kept as blocks.
"""

import re
from collections import Counter
from html.parser import HTMLParser

from data import furniture
from data.blocks import Block, Span, text_at

_BLOCK_TAGS = frozenset(
    "address article aside blockquote body br caption center dd details div dl dt fieldset figcaption figure footer form"
    " h1 h2 h3 h4 h5 h6 head header hr html li main nav ol option p pre section select summary table tbody td tfoot th"
    " thead title tr ul".split()
)
_HIDDEN_TAGS = frozenset("script style noscript template head textarea select svg button iframe object".split())
_PAGE_TAGS = frozenset("nav footer aside header form".split())
_HEADING_TAGS = frozenset("h1 h2 h3 h4 h5 h6".split())
_EMPTY_TAGS = frozenset("br hr img meta link input wbr area base col embed source".split())
_BLANK = re.compile(
    r"(?:\s|\u3000|\u00a0|\u200b|\ufeff|&(?:nbsp|emsp|ensp|thinsp|#160|#12288|#xa0|#x3000);?)+", re.IGNORECASE
)
# A page with more tags than this is no news page; looking for an article on it takes too long.
MAX_TAGS = 15_000
_MIN_WINDOW = 8


class _PrintedLines(HTMLParser):
    """Collects the page's printed lines as lists of source spans."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=False)
        self.lines: list[tuple[list[Span], int | None, bool]] = []
        """Spans, heading level, inside navigation."""
        self.tags = 0
        """How many tags were opened."""
        self._spans: list[Span] = []
        self._open: list[str] = []
        self._counts: Counter[str] = Counter()
        """How often each tag is open."""
        self._levels: list[int] = []
        """The levels of the open headings."""
        self._hidden = self._outside = 0
        """How many tags of these kinds are open."""
        self._starts = [0]
        for match in re.finditer("\n", source):
            self._starts.append(match.end())
        self._source = source
        self.feed(_without_pitfalls(source))
        self.close()
        self._end_line()

    def _offset(self) -> int:
        line, column = self.getpos()
        return self._starts[line - 1] + column

    def _add(self, start: int, end: int) -> None:
        if self._hidden:
            return
        if self._spans and self._spans[-1][1] == start:
            self._spans[-1] = (self._spans[-1][0], end)
        else:
            self._spans.append((start, end))

    def _end_line(self) -> None:
        level = self._levels[0] if self._levels else None
        if self._spans and text_at(self._source, self._spans, is_html=True):
            self.lines.append((_without_outer_blanks(self._source, self._spans), level, self._outside > 0))
        self._spans = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        # A heading broken by <br> is still one heading.
        if tag in _BLOCK_TAGS and not (tag == "br" and self._levels):
            self._end_line()
        self.tags += 1
        if tag not in _EMPTY_TAGS:
            self._open.append(tag)
            self._count(tag, 1)
            if tag in _HEADING_TAGS:
                self._levels.append(int(tag[1]))

    def handle_endtag(self, tag: str) -> None:
        if tag in _BLOCK_TAGS:
            self._end_line()
        while self._counts[tag]:
            closed = self._open.pop()
            self._count(closed, -1)
            if closed in _HEADING_TAGS:
                self._levels.pop()
            if closed == tag:
                break

    def _count(self, tag: str, change: int) -> None:
        self._counts[tag] += change
        self._hidden += change * (tag in _HIDDEN_TAGS)
        self._outside += change * (tag in _PAGE_TAGS)

    def handle_data(self, data: str) -> None:
        start = self._offset()
        self._add(start, start + len(data))


def _without_pitfalls(source: str) -> str:
    """Return the source, equally long, without what makes the parser slow, stop or raise.

    The parser reports places only, so what stands there may change: references, comments and
    tags that are never closed, for whose end it would search the whole page again and again,
    and marked sections, which HTML reads as comments.
    """
    closed = max((match.start() for match in re.finditer(r"--\s*>", source)), default=0)
    ended = source.rfind(">") + 1
    text = source.replace("&", " ").replace("<![", "<!x")
    text = text[:closed] + text[closed:].replace("<!--", "    ")
    return text[:ended] + text[ended:].replace("<", " ")


def _without_outer_blanks(source: str, spans: list[Span]) -> list[Span]:
    """Drop blanks, written out or as references, at the ends of the line."""
    first = 0
    while first < len(spans):
        start, end = spans[first]
        match = _BLANK.match(source, start, end)
        if match is None or match.end() < end:
            break
        first += 1
    spans = spans[first:]
    if spans and match:
        spans[0] = (match.end(), spans[0][1])
    while spans:
        start, end = spans[-1]
        tails = [m for m in _BLANK.finditer(source, start, end) if m.end() == end]
        if tails:
            end = tails[0].start()
        spans[-1] = (start, end)
        if start < end:
            break
        spans.pop()
    return [span for span in spans if span[0] < span[1]]


def html_blocks(source: str) -> list[Block]:
    """Return the page's blocks; those outside the article are furniture with the reason."""
    # Not at the top: a quarter of a second at every start, also where no page comes.
    from trafilatura import bare_extraction
    from trafilatura.settings import Document

    printed = _PrintedLines(source)
    page = None
    if printed.tags <= MAX_TAGS:
        page = bare_extraction(source, include_comments=False, include_tables=True, with_metadata=True)
    found = page.as_dict() if isinstance(page, Document) else {}
    article = _squeeze(found.get("text") or "")
    title = _squeeze(found.get("title") or "")
    blocks = []
    for spans, level, outside in printed.lines:
        text = text_at(source, spans, is_html=True)
        reason = furniture.reason(text)
        key = _squeeze(text)
        is_title = level == 1 or (level is not None and key in title)
        inside = _holds(article, key) if len(article) >= 40 else not outside
        if reason is None and not inside and not is_title:
            reason = "outside the article"
        blocks.append(Block(tuple(spans), text, gap=1, level=level, reason=reason))
    return blocks


def _squeeze(text: str) -> str:
    return re.sub(r"\s+", "", text)


def _holds(article: str, line: str) -> bool:
    """Whether the article holds this line; a long line also counts by its beginning or end."""
    if line in article:
        return True
    return len(line) > 2 * _MIN_WINDOW and (line[: len(line) // 2] in article or line[len(line) // 2 :] in article)
