"""Change an annotation file line by line: what is not changed keeps its bytes."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from data.annotations import Annotation, Said


def changed_text(text: str, changed: Mapping[str, Annotation], added: Sequence[Annotation]) -> str:
    """Return the file's text with some annotations changed and others added at its end.

    Args:
        text: of a valid annotation file.
        changed: by id; ids that do not stand in the file are passed over.
        added: new annotations.
    """
    lines = text.split("\n")
    for place, line in enumerate(lines):
        entry = json.loads(line) if line.strip() else {}
        annotation = changed.get(entry.get("id", ""))
        if annotation is not None:
            ending = "\r" if line.endswith("\r") else ""
            lines[place] = json.dumps(_updated(entry, annotation), ensure_ascii=False) + ending
    whole = "\n".join(lines)
    if added and whole and not whole.endswith("\n"):
        whole += "\n"
    return whole + "".join(json.dumps(_entry(one), ensure_ascii=False) + "\n" for one in added)


def _updated(entry: dict[str, Any], annotation: Annotation) -> dict[str, Any]:
    return {
        **entry,
        "topics": list(annotation.topics),
        "annotators": annotation.annotators,
        "history": [_said(said) for said in annotation.history],
    }


def _entry(annotation: Annotation) -> dict[str, Any]:
    return {
        "id": annotation.id,
        "source": annotation.source,
        "article": annotation.article,
        "index": annotation.index,
        "text": annotation.text,
        "spans": [list(span) for span in annotation.spans],
        "topics": list(annotation.topics),
        "annotators": annotation.annotators,
        "agreed": annotation.agreed,
        "origin": annotation.origin,
        "history": [_said(said) for said in annotation.history],
    }


def _said(said: Said) -> dict[str, Any]:
    told = {"by": said.by, "when": said.when, "note": said.note}
    return {"topics": list(said.topics)} | {key: text for key, text in told.items() if text}
