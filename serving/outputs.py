"""The files batch tagging writes: JSON lines, CSV for spreadsheets, Parquet with typed columns.

All are written from the records one after the other, to a temporary name that becomes the
final one when the file is complete.
"""

import csv
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow
from pyarrow import parquet

from serving.spool import beside, read_records, sync

Record = dict[str, Any]
# Fields of a record, in the order of the columns.
FIELDS = (
    "id",
    "article",
    "headline",
    "index",
    "spans",
    "text",
    "answer",
    "topics",
    "scores",
    "evidence",
    "truncated",
    "model",
)
# Records of one Parquet row group; so many are in memory at once.
ROW_GROUP = 4096


def write_jsonl(spool: Path, out: Path, topics: Sequence[str]) -> None:
    """Write records as they are, one JSON object a line."""
    shutil.copyfile(spool, out)


def write_csv(spool: Path, out: Path, topics: Sequence[str]) -> None:
    """Write a table that spreadsheet programs open as it is: UTF-8 with its mark.

    `topics` are joined by semicolons, scores stand in one column a topic (`score_…`),
    `spans`, `evidence` and `truncated` are JSON.
    """
    with out.open("w", encoding="utf-8-sig", newline="") as file:
        names = [name for field in FIELDS for name in _csv_columns(field, topics)]
        writer = csv.writer(file)
        writer.writerow(names)
        for record in read_records(spool):
            writer.writerow([cell for field in FIELDS for cell in _csv_cells(field, record[field], topics)])


def _csv_columns(field: str, topics: Sequence[str]) -> list[str]:
    return [f"score_{topic}" for topic in topics] if field == "scores" else [field]


def _csv_cells(field: str, value: Any, topics: Sequence[str]) -> list[Any]:
    if field == "scores":
        return [value[topic] for topic in topics]
    if field == "topics":
        return [";".join(value)]
    return [value if isinstance(value, str) else json.dumps(value)]


def write_parquet(spool: Path, out: Path, topics: Sequence[str]) -> None:
    """Write typed columns; `scores` is a struct with one number a topic.

    `evidence` is a struct with one list of spans a topic, null for topics that are not given:
    the record again, once the nulls are left out.
    """
    schema = _parquet_schema(topics)
    records = read_records(spool)
    with parquet.ParquetWriter(out, schema) as writer:
        while rows := list(islice(records, ROW_GROUP)):
            writer.write_table(pyarrow.Table.from_pylist(rows, schema=schema))


def _parquet_schema(topics: Sequence[str]) -> pyarrow.Schema:
    text = pyarrow.string()
    spans = pyarrow.list_(pyarrow.list_(pyarrow.int64()))
    types = {
        "index": pyarrow.int64(),
        "spans": spans,
        "topics": pyarrow.list_(text),
        "scores": pyarrow.struct([(topic, pyarrow.float64()) for topic in topics]),
        "evidence": pyarrow.struct([(topic, spans) for topic in topics]),
        "truncated": pyarrow.bool_(),
    }
    return pyarrow.schema([(field, types.get(field, text)) for field in FIELDS])


WRITERS: dict[str, Callable[[Path, Path, Sequence[str]], None]] = {
    ".jsonl": write_jsonl,
    ".csv": write_csv,
    ".parquet": write_parquet,
}


def write_output(spool: Path, out: Path, topics: Sequence[str]) -> None:
    """Write the records in `spool` to `out`, in the format that its ending names.

    Args:
        spool: JSON lines of records.
        out: replaced in one step when the new file is complete.
        topics: the ids that `scores` has, in the order of the columns.
    """
    write = WRITERS[out.suffix.lower()]
    with _replaced(out) as temporary:
        write(spool, temporary, topics)


def write_problems(spool: Path, out: Path) -> None:
    """Write the problems in `spool` to `out`; if there is none, there is no file."""
    if spool.stat().st_size:
        with _replaced(out) as temporary:
            write_jsonl(spool, temporary, ())
    else:
        out.unlink(missing_ok=True)


@contextmanager
def _replaced(out: Path) -> Iterator[Path]:
    """Give a temporary name that becomes `out` when all went well and is deleted otherwise."""
    temporary = beside(out, ".tmp")
    try:
        yield temporary
        with temporary.open("r+b") as file:
            sync(file)
        temporary.replace(out)
    finally:
        temporary.unlink(missing_ok=True)
