"""Review files for spreadsheet programs: CSV in UTF-8 with its mark.

Columns are found by the first word of their headings, in any order; others are ignored.
What Excel makes of such a file is read too: GB18030 or UTF-16, semicolons or tabs.
"""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from data.review.judgements import Judgement, ReviewFile, ReviewItem, TopicNames, to_cell
from data.sources import decode
from data.topics import Topic

# The first word is what the file is read by, the rest is for the editor.
HEADINGS = {
    "id": "id 编号",
    "why": "why 选出的原因",
    "text": "text 原文（请勿改动）",
    "annotated": "annotated 现有标注（请勿改动）",
    "suggested": "suggested 模型建议",
    "topics": "topics 主题（请填写：用中文名，几个之间用顿号；没有主题填“无”；不判断就留空）",
    "note": "note 备注",
}
REQUIRED = ("id", "text", "annotated", "topics")
DELIMITERS = ",;\t"


def write_csv(items: Sequence[ReviewItem], topics: Sequence[Topic], path: Path) -> None:
    """Write the items, one a row; each topic's probability stands in a column of its own."""
    names = TopicNames(topics)
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*HEADINGS.values(), *(f"{topic.name} 概率" for topic in topics)])
        for item in items:
            said = [item.id, item.why, item.text, names.write(item.annotated), names.write(item.suggested), "", ""]
            scores = [f"{item.scores[topic.id]:.2f}" if topic.id in item.scores else "" for topic in topics]
            writer.writerow([*(to_cell(cell) for cell in said), *scores])


def read_csv(path: Path, topics: Sequence[Topic]) -> ReviewFile:
    """Read a table that was written by `write_csv` and filled in.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no such table; what is wrong with single rows is in the result.
    """
    raw = path.read_bytes()
    if raw.startswith(b"PK"):
        raise ValueError(f"{path}: an Excel workbook; save it as 'CSV UTF-8' and give that file")
    rows = _read_rows(decode(raw, str(path)).removeprefix("\ufeff"), path)
    columns = _find_columns(rows[0], path)
    names = TopicNames(topics)
    judgements, problems = [], []
    for number, row in enumerate(rows[1:], start=2):
        if not any(cell.strip() for cell in row):
            continue
        cells = {name: row[place] if place < len(row) else "" for name, place in columns.items()}
        try:
            judgements.append(_read_row(cells, f"row {number}", names))
        except ValueError as error:
            problems.append(f"{path.name}, row {number}, {error}")
    return ReviewFile(tuple(judgements), tuple(problems))


def _read_rows(text: str, path: Path) -> list[list[str]]:
    """Return all rows by the delimiter that makes most columns of the headings."""
    found: list[list[str]] = []
    try:
        for delimiter in DELIMITERS:
            head = next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), [])
            if not found or len(head) > len(found[0]):
                found = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise ValueError(f"{path}: not a table in CSV ({error}); save it as 'CSV UTF-8' again") from None
    if not found:
        raise ValueError(f"{path}: empty; give a file that 'make review' wrote")
    return found


def _find_columns(head: Sequence[str], path: Path) -> dict[str, int]:
    words = [(cell.split() or [""])[0].lower() for cell in head]
    for name in REQUIRED:
        if words.count(name) != 1:
            many = "is missing" if name not in words else "stands there twice"
            raise ValueError(f"{path}, row 1: column '{name}' {many}; keep the headings that 'make review' wrote")
    return {name: words.index(name) for name in (*REQUIRED, "note") if name in words}


def _read_row(cells: dict[str, str], where: str, names: TopicNames) -> Judgement:
    if not cells["id"].strip():
        raise ValueError("column 'id': it is empty; put back what stood there, or delete the row")
    said = {}
    for name in ("annotated", "topics"):
        try:
            said[name] = names.read(cells[name])
        except ValueError as error:
            raise ValueError(f"column '{name}': {error}") from None
    identity = cells["id"].strip()
    return Judgement(where, identity, cells["text"], said["annotated"], said["topics"], cells.get("note", "").strip())
