"""What a review file asks and what a person answered, whatever the file's format.

Topics stand in such files by their Chinese names, `无` where none applies; an empty place
means that nobody has judged yet.
"""

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from data.topics import Topic

NO_TOPIC = "无"
SEPARATOR = "、"

_SEPARATORS = "、，,；;｜|/\n\t "
# Programs that save in GBK write one or two of these for what they cannot write.
_LOST = re.compile(r"\?+")
# A spreadsheet takes a cell that begins so for a formula.
_FORMULA = ("=", "+", "-", "@", "'", "\t", "\r")


@dataclass(frozen=True)
class ReviewItem:
    """A paragraph to look at."""

    id: str
    text: str
    why: str
    """Why it was chosen."""
    annotated: tuple[str, ...] | None
    """Topics that the annotation set gives it; None if it is not annotated."""
    suggested: tuple[str, ...]
    """Topics that the model gives it."""
    scores: dict[str, float]
    """The model's probability of each topic that it knows, 0 to 1."""


@dataclass(frozen=True)
class Judgement:
    """What a person answered on one paragraph."""

    where: str
    """Place in the file, for messages: "row 7"."""
    id: str
    text: str
    """The paragraph as the file has it."""
    annotated: tuple[str, ...] | None
    """What the annotation set said when the file was written; None if nothing."""
    topics: tuple[str, ...] | None
    """The answer; None if it was left empty."""
    note: str = ""


@dataclass(frozen=True)
class ReviewFile:
    """A review file as it came back."""

    judgements: tuple[Judgement, ...]
    problems: tuple[str, ...]
    """What is wrong, a message for each place; these places are in no judgement."""


class TopicNames:
    """Topics as people write them, and back."""

    def __init__(self, topics: Sequence[Topic]) -> None:
        self.ids = [topic.id for topic in topics]
        self.names = {topic.id: topic.name for topic in topics}
        known = {topic.name.strip(): topic.id for topic in topics} | {topic.id: topic.id for topic in topics}
        # A name that begins with another one is looked for first.
        self._known = dict(sorted(known.items(), key=lambda pair: -len(pair[0])))

    def write(self, topics: Sequence[str] | None) -> str:
        """Return the topics' names as one text; `无` for no topic, empty for None."""
        if topics is None:
            return ""
        return SEPARATOR.join(self.listed(topics))

    def listed(self, topics: Sequence[str]) -> list[str]:
        """Return the topics' names; `无` alone for no topic."""
        return [self.names[topic] for topic in topics] or [NO_TOPIC]

    def read(self, cell: str) -> tuple[str, ...] | None:
        """Return the topics that a cell names, in the order of the topics file; None if it is blank.

        Raises:
            ValueError: a name is unknown, or stands beside `无`.
        """
        rest = cell.strip(_SEPARATORS)
        found = []
        while rest:
            word = self._first(rest)
            found.append(word)
            rest = rest[len(word) :].lstrip(_SEPARATORS)
        return self.read_list(found) if found else None

    def read_list(self, words: Sequence[str]) -> tuple[str, ...]:
        """Return the topics of a list of names; raises as `read` does."""
        if NO_TOPIC in words and len(set(words)) > 1:
            raise ValueError(f"'{NO_TOPIC}' (no topic) stands beside a topic; keep one of the two")
        for word in words:
            if word != NO_TOPIC and word not in self._known:
                near = difflib.get_close_matches(word, self._known, n=1, cutoff=0.3)
                hint = f"did you mean '{near[0]}'? " if near else ""
                raise ValueError(
                    f"unknown topic '{word}'; {hint}known are {SEPARATOR.join(self.names.values())}, and {NO_TOPIC} for no topic"
                )
        given = {self._known[word] for word in words if word != NO_TOPIC}
        return tuple(topic for topic in self.ids if topic in given)

    def _first(self, text: str) -> str:
        """Return the known name that the text begins with, or else its first word."""
        for word in (*self._known, NO_TOPIC):
            if text.startswith(word) and (len(text) == len(word) or text[len(word)] in _SEPARATORS):
                return word
        return re.split(f"[{re.escape(_SEPARATORS)}]", text, maxsplit=1)[0]


def to_cell(text: str) -> str:
    """Return a text so that no spreadsheet takes it for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def is_same_text(cell: str, text: str) -> bool:
    """Whether a cell still holds the text, but for white space and characters that GBK does not have."""
    return _bare(cell) in (_bare(text), _bare(to_cell(text)))


def _bare(text: str) -> str:
    return _LOST.sub("?", "".join(text.split()).encode("gbk", "replace").decode("gbk"))
