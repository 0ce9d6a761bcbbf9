"""Blocks to articles: where one article ends, and which headline belongs to which text.

A file may hold several articles, each with its headline before it or, as text copied
from a PDF often has it, behind it. Bylines and datelines tell the articles apart, shared
words tell whose headline it is.
"""

import re
from dataclasses import dataclass, field
from typing import Literal

from data.blocks import Block
from data.characters import count_han

# From this many Chinese characters on, a heading above a byline or date line is the article's title.
MIN_TITLE_HAN = 10
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

    def kind_of(self, unit: Unit) -> Kind:
        if any(unit is heading for heading in self.headings):
            return "headline"
        if unit.kind == "heading":
            return "subheading"
        return "caption" if unit.kind == "caption" or unit.photo else "paragraph"


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
    for unit in run:
        if unit.kind == "furniture":
            below = unit.block.reason in ("byline", "date line")
            if below and any(count_han(heading.block.text) >= MIN_TITLE_HAN for heading in headings):
                break
        elif unit.kind != "heading" or _SECTION.match(unit.block.text):
            break
        elif count_han(unit.block.text) >= MIN_NAME_HAN:
            headings.append(unit)
    return headings


def _split(units: list[Unit]) -> list[list[Unit]]:
    """Cut the units into runs, each from the headings before an article to its end."""
    runs: list[list[Unit]] = [[]]
    bylined = False
    for place, unit in enumerate(units):
        run = runs[-1]
        has_body = any(member.kind == "body" for member in run)
        if has_body and _begins_article(units, place, run):
            runs.append(run := [])
            bylined = has_body = False
        if unit.dateline or (unit.is_byline and not has_body):
            bylined = True
        ends = (unit.signed and not unit.photo) or (unit.is_byline and has_body)
        run.append(unit)
        if ends and bylined:
            _split_late(runs)
        bylined = bylined or ends
    return runs


def _begins_article(units: list[Unit], place: int, run: list[Unit]) -> bool:
    """Whether an article begins with the unit at this place; `run` is the article before it."""
    unit = units[place]
    if unit.kind == "body":
        before = next((u for u in reversed(run) if u.kind != "furniture"), None)
        return unit.dateline and not (before is not None and before.kind == "heading" and _is_fresh(run))
    if unit.kind != "heading" or (unit.block.level or 0) >= 3:
        return False
    if run and run[-1].kind == "heading":
        return False
    if _signed_off(run):
        return True
    for other in units[place:]:
        if other.dateline or other.is_byline:
            return True
        if other.kind == "heading":
            if other.block.text.startswith(("——", "--")):
                return True
        elif other.kind != "furniture":
            return False
    return False


def _is_fresh(run: list[Unit]) -> bool:
    """Whether the run has headings only, so that the body that follows is its first."""
    return all(unit.kind in ("heading", "furniture") for unit in run)


def _signed_off(run: list[Unit]) -> bool:
    """Whether the run has come to its end: a byline closed it."""
    last = next((unit for unit in reversed(run) if unit.kind != "furniture"), None)
    if last is not None and last.signed and not last.photo:
        return True
    return bool(run) and run[-1].is_byline and any(unit.kind == "body" for unit in run)


def _split_late(runs: list[list[Unit]]) -> None:
    """Split the last run, which has bylines for two articles, at the heading that parts it best."""
    run = runs[-1]
    starts = [
        place
        for place, unit in enumerate(run)
        if unit.kind == "heading"
        and (unit.block.level or 0) < 3
        and run[place - 1].kind != "heading"
        and any(before.kind == "body" for before in run[:place])
        and any(behind.kind == "body" for behind in run[place:])
    ]
    if starts:
        cut = min(starts, key=lambda place: _likeness(run[:place], run[place:]))
        runs[-1:] = [run[:cut], run[cut:]]


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
