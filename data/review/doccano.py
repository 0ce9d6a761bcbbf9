"""Review files for doccano (text classification): JSON lines out, its JSONL export back.

`label` goes out empty, as doccano takes labels of the file for labels of a person; what the
annotation set and the model say stands beside it. Keys that doccano does not know come back as they were.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from data.review.judgements import Judgement, ReviewFile, ReviewItem, TopicNames
from data.topics import Topic


def write_lines(items: Sequence[ReviewItem], topics: Sequence[Topic], path: Path) -> None:
    """Write the items, one JSON object a line."""
    names = TopicNames(topics)
    with path.open("w", encoding="utf-8") as file:
        for item in items:
            entry = {
                "id": item.id,
                "text": item.text,
                "label": [],
                "why": item.why,
                "annotated": names.write(item.annotated),
                "suggested": names.write(item.suggested),
            }
            file.write(json.dumps(entry, ensure_ascii=False) + "\n")


def read_lines(path: Path, topics: Sequence[Topic]) -> ReviewFile:
    """Read an export in JSONL; a line without labels is not judged.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not UTF-8 text; what is wrong with single lines is in the result.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not UTF-8 text ({error}); export the project as JSONL again") from None
    names = TopicNames(topics)
    judgements, problems = [], []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            judgements.append(_read_line(json.loads(line), f"line {number}", names))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            told = isinstance(error, ValueError) and not isinstance(error, json.JSONDecodeError)
            reason = error if told else f"no line of 'make review' ({error!r}); export it as JSONL again"
            problems.append(f"{path.name}, line {number}: {reason}")
    return ReviewFile(tuple(judgements), tuple(problems))


def _read_line(entry: dict[str, Any], where: str, names: TopicNames) -> Judgement:
    # Older versions put what they do not know under `meta`, and have an `id` of their own.
    kept = entry.get("meta") or entry
    labels = entry["label"]
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise ValueError(f"'label' is {labels!r}; export a project of text classification")
    return Judgement(
        where,
        str(kept["id"]),
        str(entry["text"]),
        names.read(str(kept["annotated"])),
        names.read_list(labels) if labels else None,
        " ".join(str(comment) for comment in entry.get("Comments", [])),
    )
