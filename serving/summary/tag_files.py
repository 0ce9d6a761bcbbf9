"""Tag files read record by record: what `make tag` wrote, as one file, as shards, or compressed.

A file of ten million records is read in the memory of one; of a record only what is
counted is kept. What is damaged comes out with the reason and does not stop the rest.
"""

import csv
import glob
import gzip
import json
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow
from pyarrow import parquet

from serving.batch.tables import printable
from serving.summary.tagged import FIELDS, Tagged, as_tagged

ENDINGS = (".jsonl", ".csv", ".parquet", ".jsonl.gz", ".csv.gz")
# Lists of what could not be tagged, which stand beside the tags.
PROBLEMS_ENDINGS = (".errors.jsonl", ".errors.jsonl.gz")
SCORE = "score_"
# A longer line or cell is no record; it may not fill the memory.
MAX_RECORD = 16 * 2**20
# Rows of Parquet that become records at once.
BATCH = 256


def find_tag_files(place: str) -> list[Path]:
    """List the tag files at a place: a file, a folder with all below it, or a glob.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is no tag file, or there are several forms, which may be the same tags twice.
    """
    path = Path(place)
    if path.is_file() and not _is_tag_file(path):
        raise ValueError(f"{printable(place)}: no tag file; expected one of {' '.join(ENDINGS)}")
    if path.is_dir():
        found = [file for file in path.rglob("*") if file.is_file() and _is_tag_file(file)]
    else:
        names = [place] if path.is_file() else glob.glob(place, recursive=True)  # noqa: PTH207 - Path.glob takes no absolute pattern
        found = [file for file in map(Path, names) if file.is_file() and _is_tag_file(file)]
    if not found:
        raise FileNotFoundError(f"{printable(place)}: no tag file here; expected files of {' '.join(ENDINGS)}")
    forms = sorted({_form(file) for file in found})
    if len(forms) > 1:
        raise ValueError(
            f"{printable(place)}: holds files of {' and '.join(forms)}, which may be the same tags twice; "
            f"name one form, such as '{printable(path / '*') if path.is_dir() else '*'}{forms[0]}'"
        )
    return sorted(found)


def read_tags(path: Path) -> Iterator[tuple[int, Tagged | str]]:
    """Yield the line and the record, or why it is damaged, in order.

    Lines count from 1: in CSV that on which the record begins, in Parquet the row. Where the
    rest of a file cannot be read, that is the last of what comes.
    """
    units, parse = _READERS[_form(path)]
    line = 0
    try:
        for line, unit in units(path):
            try:
                found: Tagged | str = as_tagged(parse(unit))
            except (ValueError, RecursionError) as error:
                found = str(error)
            yield line, found
    except (OSError, EOFError, ValueError, zlib.error, csv.Error, pyarrow.ArrowException) as error:
        yield line + 1, f"cannot be read from here on ({error}); restore the file or tag again"


def _is_tag_file(path: Path) -> bool:
    name = path.name.lower()
    return name.endswith(ENDINGS) and not name.endswith(PROBLEMS_ENDINGS)


def _form(path: Path) -> str:
    return Path(path.name.lower().removesuffix(".gz")).suffix


def _open(path: Path) -> BinaryIO:
    return gzip.open(path, "rb") if path.name.lower().endswith(".gz") else path.open("rb")  # type: ignore[return-value]


def _json_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    with _open(path) as file:
        line = 0
        while begin := file.readline(MAX_RECORD + 1):
            line += 1
            part = begin
            while len(begin) > MAX_RECORD and part and not part.endswith(b"\n"):
                part = file.readline(MAX_RECORD)
            if begin.strip():
                yield line, begin


def _parse_json(line: bytes) -> Any:
    if len(line) > MAX_RECORD:
        raise ValueError(f"longer than {MAX_RECORD} bytes, which is no record")
    try:
        return json.loads(line.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise ValueError("not UTF-8") from None
    except ValueError as error:
        raise ValueError(f"not JSON ({error})") from None


def _csv_rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    csv.field_size_limit(MAX_RECORD)
    with _open(path) as file:
        rows = csv.reader(_text_lines(file))
        heads = next(rows, [])
        missing = [field for field in FIELDS if field != "scores" and field not in heads]
        if missing:
            raise ValueError(f"the column '{missing[0]}' is missing")
        before = rows.line_num
        for row in rows:
            line, before = before + 1, rows.line_num
            if row:
                yield line, dict(zip(heads, row, strict=False)) if len(row) == len(heads) else {"cells": str(len(row))}


def _text_lines(file: BinaryIO) -> Iterator[str]:
    """Yield lines; what is not UTF-8 comes out as surrogates, which make its record damaged, not the file."""
    encoding = "utf-8-sig"
    while line := file.readline(MAX_RECORD + 1):
        if len(line) > MAX_RECORD:
            raise ValueError(f"a line is longer than {MAX_RECORD} bytes")
        yield line.decode(encoding, "surrogateescape")
        encoding = "utf-8"


def _parse_csv(row: Mapping[str, str]) -> dict[str, Any]:
    if "cells" in row:
        raise ValueError(f"has {row['cells']} cells, not as many as the first line")
    scores = {head.removeprefix(SCORE): _number(cell) for head, cell in row.items() if head.startswith(SCORE)}
    return {**row, "topics": [topic for topic in row["topics"].split(";") if topic], "scores": scores}


def _number(cell: str) -> float | str:
    try:
        return float(cell)
    except ValueError:
        return cell


def _parquet_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    # A buffer for all row groups at once would hold the whole file.
    with parquet.ParquetFile(path, pre_buffer=False) as file:
        missing = [field for field in FIELDS if field not in file.schema_arrow.names]
        if missing:
            raise ValueError(f"the column '{missing[0]}' is missing")
        row = 0
        for batch in file.iter_batches(batch_size=BATCH, columns=list(FIELDS)):
            for entry in batch.to_pylist():
                row += 1
                yield row, entry


def _as_it_is(entry: Any) -> Any:
    return entry


_READERS: dict[str, tuple[Callable[[Path], Iterator[tuple[int, Any]]], Callable[[Any], Any]]] = {
    ".jsonl": (_json_lines, _parse_json),
    ".csv": (_csv_rows, _parse_csv),
    ".parquet": (_parquet_rows, _as_it_is),
}
