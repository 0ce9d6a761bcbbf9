"""The annotation set: paragraphs with the topics that annotators gave them.

    python -m data.annotations

checks the annotation files against the topics and the source files, and prints the
counts and the annotators' agreement (Cohen's kappa). Files are JSON lines in UTF-8.
"""

import argparse
import difflib
import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data.blocks import Span, text_at
from data.sources import format_of, read_source
from data.topics import DEFAULT_TOPICS, Topic, load_topics

DEFAULT_ANNOTATIONS = Path(__file__).with_name("annotations.jsonl")
DEFAULT_WRITTEN = Path(__file__).with_name("written.jsonl")
DEFAULT_FILES = [DEFAULT_ANNOTATIONS, DEFAULT_WRITTEN]
DEFAULT_TEST = Path(__file__).with_name("test_written.jsonl")
ROOT = DEFAULT_ANNOTATIONS.parent.parent

_TYPES: dict[str, type | tuple[type, ...]] = {
    "id": str,
    "source": str,
    "article": str,
    "index": int,
    "text": str,
    "topics": list,
    "annotators": int,
    "agreed": bool,
    "origin": str,
}
# More wrong lines than these are not reported at once.
MAX_PROBLEMS = 20
_OPTIONAL = {"spans", "votes", "history"}
_ORIGINS = ("seed", "written")


@dataclass(frozen=True)
class Said:
    """What the annotation said from some time on, and who said so."""

    topics: tuple[str, ...]
    by: str
    when: str = ""
    """The day, ISO 8601; empty where it is not known."""
    note: str = ""


@dataclass(frozen=True)
class Annotation:
    """One labelled paragraph."""

    id: str
    source: str
    """The article file, relative to the repository; for written paragraphs, the writer."""
    article: str
    """What stays whole in a split: one article of the source."""
    index: int
    """Position in the source, from 0."""
    text: str
    topics: tuple[str, ...]
    """The settled topic ids, in the order of the topics file; empty means none applies."""
    annotators: int
    """How many people labelled it."""
    agreed: bool
    """Whether the first two labelled it alike; if not, a third look settled it."""
    origin: str
    spans: tuple[Span, ...] = ()
    """Character offsets in the source; empty where the text stands in no file."""
    votes: tuple[tuple[str, ...], ...] = ()
    """What each of the blind annotators said."""
    history: tuple[Said, ...] = ()
    """What was said of it one after the other, oldest first, once somebody has looked at it after
    the annotators; `topics` is the last of it."""


def load_annotations(path: Path, topics: Sequence[Topic], root: Path = ROOT) -> list[Annotation]:
    """Read and check an annotation file.

    Args:
        path: JSON lines, one annotation each.
        topics: the known topics; a label outside them is refused.
        root: the folder that `source` paths are relative to.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a line is wrong; the message says file, line and what to do. The first
            twenty wrong lines are reported together.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: no such annotation file") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not UTF-8 text: {error}") from None
    found: list[Annotation] = []
    problems: list[str] = []
    checker = _Checker([topic.id for topic in topics], root)
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            found.append(checker.read(line, number))
        except ValueError as error:
            problems.append(f"{path}:{number}: {error}")
    if not found and not problems:
        problems.append(f"{path}: no annotation in it; write one JSON object a line")
    if problems:
        raise ValueError("\n".join(problems[:MAX_PROBLEMS]))
    return found


def load_annotation_files(paths: Sequence[Path], topics: Sequence[Topic]) -> list[Annotation]:
    """Read and check several annotation files and put them together.

    Raises:
        FileNotFoundError, ValueError: see `load_annotations`; also if an id is given in two
            files, or one text has different topics.
    """
    annotations = [annotation for path in paths for annotation in load_annotations(path, topics)]
    by_id: dict[str, Annotation] = {}
    by_text: dict[str, Annotation] = {}
    problems = []
    for annotation in annotations:
        if by_id.setdefault(annotation.id, annotation) is not annotation:
            problems.append(f"id '{annotation.id}' is given in two of {_names(paths)}; give one of them another id")
        earlier = by_text.setdefault(annotation.text, annotation)
        if earlier.topics != annotation.topics:
            problems.append(
                f"'{earlier.id}' and '{annotation.id}' have the same text but topics {list(earlier.topics)} "
                f"and {list(annotation.topics)}; settle which are right"
            )
    if problems:
        raise ValueError("\n".join(problems[:MAX_PROBLEMS]))
    return annotations


def _names(paths: Sequence[Path]) -> str:
    return ", ".join(path.name for path in paths)


class _Checker:
    """Checks one line after the other and remembers what must not come twice."""

    def __init__(self, topic_ids: list[str], root: Path) -> None:
        self._topic_ids = topic_ids
        self._root = root
        self._lines: dict[str, int] = {}
        self._sources: dict[str, str] = {}

    def read(self, line: str, number: int) -> Annotation:
        try:
            entry = json.loads(line)
        except json.JSONDecodeError as error:
            raise ValueError(f"not JSON ({error}); write one object a line") from None
        self._check_shape(entry)
        if entry["id"] in self._lines:
            raise ValueError(
                f"id '{entry['id']}' stands already on line {self._lines[entry['id']]}; give it another id"
            )
        topics = self._check_topics(entry["topics"])
        spans = tuple((int(start), int(end)) for start, end in entry.get("spans", ()))
        annotation = Annotation(
            **{key: entry[key] for key in _TYPES if key != "topics"},
            topics=topics,
            spans=spans,
            votes=tuple(self._check_topics(vote) for vote in entry.get("votes", ())),
            history=tuple(self._check_said(said) for said in entry.get("history", ())),
        )
        if annotation.spans:
            self._check_place(annotation)
        self._lines[annotation.id] = number
        return annotation

    def _check_shape(self, entry: Any) -> None:
        if not isinstance(entry, dict):
            raise ValueError('not a JSON object; write {"id": …, "text": …, "topics": […]}')
        for key, kind in _TYPES.items():
            if key not in entry:
                raise ValueError(f"'{key}' is missing; every annotation has {', '.join(_TYPES)}")
            if not isinstance(entry[key], kind) or (kind is int and isinstance(entry[key], bool)):
                raise ValueError(f"'{key}' is {entry[key]!r}; expected {getattr(kind, '__name__', kind)}")
        unknown = sorted(set(entry) - set(_TYPES) - _OPTIONAL)
        if unknown:
            raise ValueError(f"unknown key '{unknown[0]}'; remove it")
        if not entry["text"].strip():
            raise ValueError("'text' is blank; remove the line or give the paragraph")
        if entry["origin"] not in _ORIGINS:
            raise ValueError(f"origin '{entry['origin']}' is unknown; use one of {', '.join(_ORIGINS)}")
        if not isinstance(entry.get("history", []), list):
            raise ValueError("'history' must be a list of what was said, oldest first")
        spans = entry.get("spans", [])
        if not isinstance(spans, list) or not all(
            isinstance(span, list) and len(span) == 2 and all(type(edge) is int for edge in span) for span in spans
        ):
            raise ValueError("'spans' must be a list of [start, end] character offsets")

    def _check_topics(self, given: object) -> tuple[str, ...]:
        if not isinstance(given, list) or not all(isinstance(topic, str) for topic in given):
            raise ValueError(f"topics are {given!r}; expected a list of topic ids")
        for topic in given:
            if topic not in self._topic_ids:
                near = difflib.get_close_matches(topic, self._topic_ids, n=1)
                hint = f"did you mean '{near[0]}'?" if near else f"known are {', '.join(self._topic_ids)}"
                raise ValueError(f"unknown topic '{topic}'; {hint}")
        if len(set(given)) < len(given):
            raise ValueError(f"a topic is given twice in {given}; remove one")
        return tuple(topic for topic in self._topic_ids if topic in given)

    def _check_said(self, said: object) -> Said:
        if not isinstance(said, dict) or not {"topics", "by"} <= said.keys() <= {"topics", "by", "when", "note"}:
            raise ValueError(f"'history' holds {said!r}; expected {{'topics', 'by'}} and perhaps 'when' and 'note'")
        texts = {key: value for key, value in said.items() if key != "topics"}
        if not all(isinstance(value, str) for value in texts.values()):
            raise ValueError(f"'history' holds {said!r}; 'by', 'when' and 'note' are texts")
        return Said(self._check_topics(said["topics"]), **texts)

    def _check_place(self, annotation: Annotation) -> None:
        """Check that the source says at the spans what the annotation says."""
        path = self._root / annotation.source
        if annotation.source not in self._sources:
            try:
                self._sources[annotation.source] = read_source(path)
            except OSError:
                raise ValueError(
                    f"source '{annotation.source}' cannot be read; restore the file or correct the path"
                ) from None
        source = self._sources[annotation.source]
        for start, end in annotation.spans:
            if not 0 <= start < end <= len(source):
                raise ValueError(
                    f"span [{start}, {end}] lies outside '{annotation.source}' of {len(source)} characters"
                )
        says = text_at(source, annotation.spans, format_of(path) == "html")
        if says != annotation.text:
            raise ValueError(
                f"'{annotation.source}' says {says[:20]!r}… at the spans, not {annotation.text[:20]!r}…; correct 'spans' or 'text'"
            )


@dataclass(frozen=True)
class Agreement:
    """How far two annotators agree on one topic."""

    topic: str
    both: int
    """Paragraphs that both gave the topic."""
    one: int
    """Paragraphs that only one of the two gave the topic."""
    kappa: float
    """Cohen's kappa (Cohen 1960), 1 for perfect and 0 for chance agreement."""


def measure_agreement(annotations: Sequence[Annotation], topics: Sequence[Topic]) -> list[Agreement]:
    """Compare the first two blind votes, topic by topic, over the paragraphs that have them."""
    voted = [annotation.votes for annotation in annotations if len(annotation.votes) >= 2]
    agreements = []
    for topic in topics:
        first = [topic.id in votes[0] for votes in voted]
        second = [topic.id in votes[1] for votes in voted]
        both = sum(a and b for a, b in zip(first, second, strict=True))
        one = sum(a != b for a, b in zip(first, second, strict=True))
        agreements.append(Agreement(topic.id, both, one, cohen_kappa(first, second)))
    return agreements


def cohen_kappa(first: Sequence[bool], second: Sequence[bool]) -> float:
    """Return Cohen's kappa of two raters' yes/no answers; 1.0 if both always say the same one thing."""
    n = len(first)
    if n == 0:
        return 1.0
    observed = sum(a == b for a, b in zip(first, second, strict=True)) / n
    yes = (sum(first) / n) * (sum(second) / n)
    no = (1 - sum(first) / n) * (1 - sum(second) / n)
    return 1.0 if yes + no == 1 else (observed - yes - no) / (1 - yes - no)


def main(arguments: list[str] | None = None) -> int:
    """Check the annotation file; print counts and agreement. Exit status 1 if it is wrong."""
    parser = argparse.ArgumentParser(prog="python -m data.annotations", description="Check an annotation file.")
    parser.add_argument("--annotations", type=Path, nargs="+", default=DEFAULT_FILES)
    parser.add_argument("--topics", type=Path, default=DEFAULT_TOPICS)
    options = parser.parse_args(arguments)
    try:
        topics = load_topics(options.topics)
        load_annotation_files(options.annotations, topics)
        for path in options.annotations:
            _print_summary(path, load_annotations(path, topics), topics)
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _print_summary(path: Path, annotations: Sequence[Annotation], topics: Sequence[Topic]) -> None:
    counts = Counter(topic for annotation in annotations for topic in annotation.topics)
    print(
        f"{path}: {len(annotations)} paragraphs of {len({entry.article for entry in annotations})} articles, all valid"
    )
    settled = sum(not entry.agreed for entry in annotations)
    print(f"no topic: {sum(not entry.topics for entry in annotations)}; settled by a third look: {settled}")
    print("| topic | paragraphs | both annotators | one of them | Cohen's kappa |\n| --- | --- | --- | --- | --- |")
    for row in measure_agreement(annotations, topics):
        print(f"| `{row.topic}` | {counts[row.topic]} | {row.both} | {row.one} | {row.kappa:.3f} |")


if __name__ == "__main__":
    sys.exit(main())
