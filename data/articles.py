"""Blocks to articles: where one article ends, and which headline belongs to which text.

A file may hold several articles, each with its headline before it or, as text copied
from a PDF often has it, behind it. Bylines and datelines tell the articles apart, shared
words tell whose headline it is.
"""

import re
from bisect import bisect_left
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Literal

from data.blocks import Block
from data.characters import count_han

# From this many Chinese characters on, a heading above a byline or date line is the article's title.
MIN_TITLE_HAN = 10
# Where an article's end is not marked, this many of the last headings are weighed as its end.
MAX_WEIGHED = 20
# A heading below this many Chinese characters is the name of an author or a column.
MIN_NAME_HAN = 4
_SECTION = re.compile(r"[一二三四五六七八九十]{1,3}、|第[一二三四五六七八九十]{1,3}[章节部]")

Kind = Literal["headline", "subheading", "paragraph", "caption"]


@dataclass
class Unit:
    """A block with what its place on the page says about it."""

    kind: Literal["body", "heading", "caption", "furniture"]
    block: Block
    dateline: bool = False
    """It opened with 本报讯 or the like, so an article begins here."""
    signed: bool = False
    """It closed with a byline, so an article ends here."""
    photo: bool = False
    """The byline it closed with is a photographer's."""
    finished: bool = True
    """It ends where a sentence ends."""

    @property
    def is_byline(self) -> bool:
        """Whether the unit is a reporter's line of its own."""
        return self.kind == "furniture" and self.block.reason == "byline"


@dataclass
class Group:
    """The units of one article, its headings told apart."""

    members: list[Unit] = field(default_factory=list)
    headings: list[Unit] = field(default_factory=list)
    """The headings that title the article, before or behind it."""

    @property
    def headline(self) -> str:
        return " ".join(unit.block.text for unit in self.headings)

    def kinds(self) -> list[Kind]:
        """Return the kind of each member."""
        titles = {id(unit) for unit in self.headings}
        return ["headline" if id(unit) in titles else _kind_below(unit) for unit in self.members]


def _kind_below(unit: Unit) -> Kind:
    """Return the kind of a unit that is no headline."""
    if unit.kind == "heading":
        return "subheading"
    return "caption" if unit.kind == "caption" or unit.photo else "paragraph"


@dataclass
class _Run:
    """The units since an article began, and what decides where it ends."""

    units: list[Unit] = field(default_factory=list)
    last: Unit | None = None
    """The last unit that is no furniture."""
    last_body: int = -1
    """The place of the last running text; -1 before the first."""
    subheadings: list[int] = field(default_factory=list)
    """The places of headings behind running text, the first of each row of headings."""

    @property
    def has_body(self) -> bool:
        return self.last_body >= 0

    def add(self, unit: Unit) -> None:
        first = self.has_body and self.units[-1].kind != "heading"
        if unit.kind == "body":
            self.last_body = len(self.units)
        elif first and unit.kind == "heading" and (unit.block.level or 0) < 3:
            self.subheadings.append(len(self.units))
        if unit.kind != "furniture":
            self.last = unit
        self.units.append(unit)


def group(units: list[Unit], one_article: bool) -> list[Group]:
    """Group the units into articles, in the order of the source."""
    runs = [list(units)] if one_article else _split(units)
    groups = []
    loose: list[list[Unit]] = []
    for run in runs:
        loose.append(_title(run))
        groups.append(Group(members=[unit for unit in run if unit.kind != "furniture"]))
    if not one_article and _headlines_stand_behind(groups, loose):
        _hand_back(groups, loose)
    else:
        for article, headings in zip(groups, loose, strict=True):
            article.headings = headings
    return [article for article in groups if article.members]


def _title(run: list[Unit]) -> list[Unit]:
    """Return the headings before the run's text that title it; the rest are subheadings.

    A numbered section is no title, nor is what stands below the title's byline or date
    line; one to three characters alone are an author's or a column's name.
    """
    headings: list[Unit] = []
    titled = False
    for unit in run:
        if unit.kind == "furniture":
            if titled and unit.block.reason in ("byline", "date line"):
                break
        elif unit.kind != "heading" or _SECTION.match(unit.block.text):
            break
        elif count_han(unit.block.text) >= MIN_NAME_HAN:
            headings.append(unit)
            titled = titled or count_han(unit.block.text) >= MIN_TITLE_HAN
    return headings


def _split(units: list[Unit]) -> list[list[Unit]]:
    """Cut the units into runs, each from the headings before an article to its end."""
    opens = _opens_article(units)
    done: list[list[Unit]] = []
    run = _Run()
    bylined = False
    for place, unit in enumerate(units):
        if run.has_body and _begins_article(unit, opens[place], run):
            done.append(run.units)
            run, bylined = _Run(), False
        has_body = run.has_body
        if unit.dateline or (unit.is_byline and not has_body):
            bylined = True
        ends = (unit.signed and not unit.photo) or (unit.is_byline and has_body)
        run.add(unit)
        if ends and bylined:
            cut = _late_cut(run)
            if cut is not None:
                done.append(run.units[:cut])
                run = _run_of(run.units[cut:])
        bylined = bylined or ends
    return [*done, run.units]


def _run_of(units: list[Unit]) -> _Run:
    run = _Run()
    for unit in units:
        run.add(unit)
    return run


def _opens_article(units: list[Unit]) -> list[bool]:
    """Return for each place whether a byline, dateline or subtitle follows before any other text."""
    opens = [False] * (len(units) + 1)
    for place in range(len(units) - 1, -1, -1):
        unit = units[place]
        if unit.dateline or unit.is_byline or (unit.kind == "heading" and unit.block.text.startswith(("——", "--"))):
            opens[place] = True
        else:
            opens[place] = unit.kind in ("heading", "furniture") and opens[place + 1]
    return opens


def _begins_article(unit: Unit, opens: bool, run: _Run) -> bool:
    """Whether an article begins with this unit; `run`, which has text, is the article before it."""
    if unit.kind == "body":
        return unit.dateline
    if unit.kind != "heading" or (unit.block.level or 0) >= 3 or run.units[-1].kind == "heading":
        return False
    return _signed_off(run) or opens


def _signed_off(run: _Run) -> bool:
    """Whether the run, which has text, has come to its end: a byline closed it."""
    signed = run.last is not None and run.last.signed and not run.last.photo
    return signed or run.units[-1].is_byline


def _late_cut(run: _Run) -> int | None:
    """Return the heading that best parts a run with bylines for two articles; None if it has none."""
    inner = bisect_left(run.subheadings, run.last_body)
    starts = run.subheadings[max(0, inner - MAX_WEIGHED) : inner]
    if not starts:
        return None
    first, last = _places_of_pairs(run.units)
    # Pairs in use before each place, and those of them that come again behind it.
    begun, shared = [0] * (len(run.units) + 1), [0] * (len(run.units) + 1)
    for pair, place in first.items():
        begun[place + 1] += 1
        shared[place + 1] += 1
        shared[last[pair] + 1] -= 1
    begun, shared = list(accumulate(begun)), list(accumulate(shared))
    return min(starts, key=lambda place: shared[place] / begun[place] if begun[place] else 0.0)


def _places_of_pairs(units: list[Unit]) -> tuple[dict[str, int], dict[str, int]]:
    """Return in which unit each pair of Chinese characters stands first, and in which last."""
    first: dict[str, int] = {}
    last: dict[str, int] = {}
    for place, unit in enumerate(units):
        for pair in _pairs([unit]):
            first.setdefault(pair, place)
            last[pair] = place
    return first, last


def _headlines_stand_behind(groups: list[Group], loose: list[list[Unit]]) -> bool:
    """Whether this source prints headlines after their articles.

    Only a source that opens with running text can; then the words decide.
    """
    if loose[0] or len(groups) == 0:
        return False
    before = after = 0.0
    for place, headings in enumerate(loose[1:], start=1):
        after += _likeness(headings, _bodies(groups[place - 1]))
        before += _likeness(headings, _bodies(groups[place]))
    return after >= before


def _hand_back(groups: list[Group], loose: list[list[Unit]]) -> None:
    """Give each run's leading headings to the run before it; the last run keeps its trailing ones."""
    for place, headings in enumerate(loose[1:], start=1):
        groups[place - 1].headings = headings
        groups[place - 1].members += headings
        taken = {id(unit) for unit in headings}
        groups[place].members = [unit for unit in groups[place].members if id(unit) not in taken]
    last = groups[-1]
    bodies = [place for place, unit in enumerate(last.members) if unit.kind != "heading"]
    last.headings = last.members[bodies[-1] + 1 :] if bodies else last.members


def _bodies(article: Group) -> list[Unit]:
    return [unit for unit in article.members if unit.kind == "body"]


def _likeness(some: list[Unit], others: list[Unit]) -> float:
    """Return the share of the first text's pairs of Chinese characters that the second holds too."""
    left, right = _pairs(some), _pairs(others)
    return len(left & right) / len(left) if left else 0.0


def _pairs(units: list[Unit]) -> set[str]:
    pairs = set()
    for unit in units:
        text = unit.block.text
        pairs |= {text[i : i + 2] for i in range(len(text) - 1) if "\u4e00" <= text[i] <= "\u9fff"}
    return pairs
