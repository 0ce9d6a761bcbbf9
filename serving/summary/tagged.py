"""A record of `make tag` read back: checked, and cut down to what a summary counts."""

from dataclasses import dataclass
from typing import Any, get_args

from models.decisions import Answer
from serving.batch.tables import printable

FIELDS = ("id", "article", "text", "answer", "topics", "scores", "model")
TEXTS = ("id", "article", "text", "model")


@dataclass(frozen=True, slots=True)
class Tagged:
    """Of a record, what is counted."""

    id: str
    article: str
    characters: int
    """Of its text."""
    answer: Answer
    topics: tuple[str, ...]
    scores: dict[str, float]
    """Calibrated probability, 0 to 1, of every topic."""
    model: str
    """The version that tagged it."""


def as_tagged(entry: Any) -> Tagged:
    """Check a record and keep what is counted.

    Raises:
        ValueError: it is not a record; the message says what is wrong.
    """
    if not isinstance(entry, dict):
        raise ValueError("not a record of 'make tag'")
    for field in FIELDS:
        if field not in entry:
            raise ValueError(f"'{field}' is missing")
    for field in TEXTS:
        if not isinstance(entry[field], str) or printable(entry[field]) != entry[field]:
            raise ValueError(f"'{field}' is no text in UTF-8")
    if entry["answer"] not in get_args(Answer):
        raise ValueError(f"'answer' is none of {', '.join(get_args(Answer))}")
    scores, topics = entry["scores"], entry["topics"]
    if not isinstance(scores, dict) or not scores:
        raise ValueError("'scores' has no topic")
    for topic, score in scores.items():
        if type(score) not in (int, float) or not 0 <= score <= 1:
            raise ValueError(f"the score of {printable(topic)} is no number from 0 to 1")
    if not isinstance(topics, list) or not all(isinstance(topic, str) and topic in scores for topic in topics):
        raise ValueError("'topics' names a topic that has no score")
    return Tagged(
        entry["id"], entry["article"], len(entry["text"]), entry["answer"], tuple(topics), scores, entry["model"]
    )
