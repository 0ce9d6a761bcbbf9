"""What a summary counts of the records of one version: numbers only, however many records.

The training paragraphs are counted by the same code, so that both sides of a comparison
mean the same.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import get_args

from models.decisions import DECIMALS, Answer
from serving.summary.origins import month_of, source_of
from serving.summary.tagged import Tagged

SCORE_BINS = 20
"""Of equal width from 0 to 1; a bin includes its lower edge, the last one both."""
LENGTH_WIDTH = 25
"""Characters of one bin of lengths."""
LENGTH_BINS = 21
"""The last one holds all that is longer."""
MAX_SOURCES = 1000
OTHER_SOURCES = "(other sources)"
ANSWERS: tuple[Answer, ...] = get_args(Answer)
_UNITS: int = 10**DECIMALS


@dataclass
class Cell:
    """Counts of the paragraphs of one source and month, or of several."""

    paragraphs: int
    topics: list[int]
    """Paragraphs given each topic, best guesses of unsure ones included."""
    answers: dict[Answer, int] = field(default_factory=lambda: dict.fromkeys(ANSWERS, 0))

    def add(self, other: "Cell") -> None:
        """Add the counts of another cell of the same topics."""
        self.paragraphs += other.paragraphs
        self.topics = [mine + its for mine, its in zip(self.topics, other.topics, strict=True)]
        for answer in ANSWERS:
            self.answers[answer] += other.answers[answer]


class Counts:
    """Counts of the records of one version."""

    def __init__(self, topics: tuple[str, ...]) -> None:
        """Start at nothing; `topics` are the ids that every record has scores of."""
        self.topics = topics
        self.cells: dict[tuple[str, str], Cell] = {}
        """By source and month."""
        self.scores = [[0] * SCORE_BINS for _ in topics]
        """A histogram a topic."""
        self.lengths = [0] * LENGTH_BINS
        self._place = {topic: place for place, topic in enumerate(topics)}
        self._sources: set[str] = set()

    def add(self, tagged: Tagged) -> None:
        """Count a record.

        Raises:
            ValueError: its scores are of other topics; nothing is counted.
        """
        if tagged.scores.keys() != self._place.keys():
            raise ValueError(f"its scores are not those of the topics {', '.join(self.topics)}")
        cell = self._cell(source_of(tagged.article), month_of(tagged.id, tagged.article))
        cell.paragraphs += 1
        cell.answers[tagged.answer] += 1
        for topic in set(tagged.topics):
            cell.topics[self._place[topic]] += 1
        for topic, score in tagged.scores.items():
            self.scores[self._place[topic]][score_bin(score)] += 1
        self.lengths[min(tagged.characters // LENGTH_WIDTH, LENGTH_BINS - 1)] += 1

    def total(self) -> Cell:
        """Return the counts of everything."""
        total = self._empty()
        for cell in self.cells.values():
            total.add(cell)
        return total

    def by_source(self) -> dict[str, Cell]:
        """Return the counts of each source, that with the most paragraphs first."""
        found = self._sum(0)
        return dict(sorted(found.items(), key=lambda item: (-item[1].paragraphs, item[0])))

    def by_month(self) -> dict[str, Cell]:
        """Return the counts of each month in order; the unknown one stands last."""
        return dict(sorted(self._sum(1).items()))

    def _cell(self, source: str, month: str) -> Cell:
        if source not in self._sources:
            if len(self._sources) < MAX_SOURCES:
                self._sources.add(source)
            else:
                source = OTHER_SOURCES
        return self.cells.setdefault((source, month), self._empty())

    def _empty(self) -> Cell:
        return Cell(0, [0] * len(self.topics))

    def _sum(self, part: int) -> dict[str, Cell]:
        found: defaultdict[str, Cell] = defaultdict(self._empty)
        for key, cell in self.cells.items():
            found[key[part]].add(cell)
        return found


def score_bin(score: float) -> int:
    """Return the bin of a score, 0 to 1; scores have `DECIMALS` decimals, and edges are exact in them."""
    units = round(score * _UNITS)
    return min(units * SCORE_BINS // _UNITS, SCORE_BINS - 1)
