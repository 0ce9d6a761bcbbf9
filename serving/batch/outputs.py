"""The formats that batch tagging writes: JSON lines, CSV for spreadsheets, Parquet with typed columns.

All are written from the records one after the other, to a temporary name that becomes the
final one when the file is complete. JSON lines and CSV may be compressed.
"""

import csv
import gzip
import io
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, Any, cast

import pyarrow
from pyarrow import parquet

from serving.batch.run_files import replaced

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
GZIP = ".gz"


def write_jsonl(spool: Path, out: IO[bytes], topics: Sequence[str]) -> None:
    """Write records as they are, one JSON object a line."""
    with spool.open("rb") as file:
        shutil.copyfileobj(file, out)


def write_csv(spool: Path, out: IO[bytes], topics: Sequence[str]) -> None:
    """Write a table that spreadsheet programs open as it is: UTF-8 with its mark.

    `topics` are joined by semicolons, scores stand in one column a topic (`score_…`),
    `spans`, `evidence` and `truncated` are JSON.
    """
    file = io.TextIOWrapper(out, encoding="utf-8-sig", newline="")
    names = [name for field in FIELDS for name in _csv_columns(field, topics)]
    writer = csv.writer(file)
    writer.writerow(names)
    for record in read_records(spool):
        writer.writerow([cell for field in FIELDS for cell in _csv_cells(field, record[field], topics)])
    file.detach()


def _csv_columns(field: str, topics: Sequence[str]) -> list[str]:
    return [f"score_{topic}" for topic in topics] if field == "scores" else [field]


def _csv_cells(field: str, value: Any, topics: Sequence[str]) -> list[Any]:
    if field == "scores":
        return [value[topic] for topic in topics]
    if field == "topics":
        return [";".join(value)]
    return [value if isinstance(value, str) else json.dumps(value)]


def write_parquet(spool: Path, out: IO[bytes], topics: Sequence[str]) -> None:
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


Writer = Callable[[Path, IO[bytes], Sequence[str]], None]
WRITERS: dict[str, Writer] = {".jsonl": write_jsonl, ".csv": write_csv, ".parquet": write_parquet}
ENDINGS = (*WRITERS, f".jsonl{GZIP}", f".csv{GZIP}")


def ending_of_output(out: Path) -> str:
    """Return which of `ENDINGS` names the format of the output.

    Raises:
        ValueError: none of them does.
    """
    for ending in ENDINGS:
        if out.name.lower().endswith(ending):
            return ending
    raise ValueError(f"its ending must be one of {' '.join(ENDINGS)}")


def write_output(spool: Path, out: Path, ending: str, topics: Sequence[str]) -> None:
    """Write the records in `spool` to `out`, in the format that `ending` names.

    Args:
        spool: JSON lines of records.
        out: replaced in one step when the new file is complete.
        ending: one of `ENDINGS`.
        topics: the ids that `scores` has, in the order of the columns.
    """
    write = WRITERS[ending.removesuffix(GZIP)]
    with replaced(out) as temporary, _opened(temporary, packed=ending.endswith(GZIP)) as file:
        write(spool, file, topics)


@contextmanager
def _opened(path: Path, packed: bool) -> Iterator[IO[bytes]]:
    with path.open("wb") as file:
        if packed:
            # Without name and time, so that the same records give the same bytes.
            with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as content:
                yield cast(IO[bytes], content)
        else:
            yield file


def read_records(path: Path) -> Iterator[Record]:
    """Yield the records of a complete spool one by one."""
    with path.open("rb") as file:
        for line in file:
            yield json.loads(line)
