"""Tables of paragraphs, one a row: JSON lines, CSV and Parquet, read row by row.

No table is ever in memory as a whole. A row that is no paragraph becomes a `Problem` and
does not stop the rest; what is wrong with the table as a whole raises ValueError.
"""

import codecs
import csv
import io
import json
import reprlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow
from pyarrow import parquet

from data.encodings import NAMES, guess_encoding_of_lines
from data.sources import COMPRESSIONS, ending_of, unpacked
from serving.records import Unlabelled, taken_as_is

# A longer line, row or cell is no paragraph; none may fill the memory.
MAX_LINE = 2**20
# From so many bytes the encoding of a table is guessed.
SAMPLE = 2**20
# Rows of a Parquet file that are in memory at once.
BATCH = 256
# Bytes that are no character become half a surrogate pair, so that only the paragraph they stand in is refused.
codecs.register_error("duanbiao.undecoded", lambda error: ("\udc80", error.end))  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Columns:
    """Which columns (of JSON lines: keys) hold the paragraphs."""

    text: str = "text"
    id: str | None = None
    """None: "id" if there is one, else ids are made of the file's name and the row's number."""


@dataclass(frozen=True)
class Problem:
    """Something that could not be read, and why."""

    source: str
    line: int | None
    """Line of the file, of Parquet row, from 1; None where it is the whole file."""
    reason: str


Entry = Unlabelled | Problem | None
"""What a row holds; None if it is blank."""
Rows = Iterator[tuple[Entry, int]]
"""Rows in order, each with how many bytes of the file have been read."""


@dataclass(frozen=True)
class Table:
    """A file of paragraphs, and how to name it in records and messages."""

    path: Path
    name: str
    columns: Columns

    def entry(self, fields: dict[str, Any], index: int, line: int) -> Entry:
        """Return what the row number `index` (from 0) holds, which begins at line `line`."""
        try:
            text = _text_in(fields, self.columns.text)
            key = self.columns.id or "id"
            made = self.columns.id is None and fields.get(key) is None
            paragraph_id = f"{self.name}#{index}" if made else _text_in(fields, key)
        except ValueError as error:
            return Problem(self.name, line, str(error))
        return taken_as_is(paragraph_id, text, index, self.name)


def _text_in(fields: dict[str, Any], key: str) -> str:
    if key not in fields:
        raise ValueError(f"'{key}' is missing; every paragraph has one")
    value = fields[key]
    if type(value) is int:
        value = str(value)
    if not isinstance(value, str):
        raise ValueError(f"'{key}' is {reprlib.repr(value)}; write it as text")
    if not value.strip():
        raise ValueError(f"'{key}' is blank; fill it in or remove the row")
    if len(value) > MAX_LINE:
        raise ValueError(f"'{key}' is longer than {MAX_LINE} characters; write one paragraph a row")
    if printable(value) != value:
        raise ValueError(
            f"'{key}' holds half a surrogate pair, or bytes of another encoding; save the file as UTF-8 text"
        )
    return value


def printable(text: str | Path) -> str:
    """Return the text with what UTF-8 cannot express written as escapes."""
    return str(text).encode("utf-8", "backslashreplace").decode("utf-8")


def read_table(table: Table) -> Rows:
    """Read a table.

    Raises:
        ValueError: it is no such table; the message says where and what to do.
        OSError, or one of `data.sources.DAMAGED`: it cannot be read, or not to its end.
    """
    with table.path.open("rb") as file:
        yield from TABLES.get(ending_of(table.path), _read_lines)(table, file)


class _Lines:
    """The lines of a text file; of an overlong one only the beginning."""

    def __init__(self, table: Table, file: BinaryIO, newline: str) -> None:
        with table.path.open("rb") as begun, unpacked(begun, table.path) as sample:
            begin = sample.read(SAMPLE)
        encoding = guess_encoding_of_lines(begin, whole=len(begin) < SAMPLE)
        if encoding is None:
            raise ValueError(f"not text in {NAMES}; save it as UTF-8 text")
        encoding = "utf-8-sig" if encoding == "utf-8" else encoding
        self._text = io.TextIOWrapper(unpacked(file, table.path), encoding, "duanbiao.undecoded", newline=newline)
        self.number = 0
        """Lines read."""
        self.room = MAX_LINE
        """Characters until what is being read is too long; to be set anew before each row."""

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = part = self._text.readline(MAX_LINE + 1)
        if not line:
            raise StopIteration
        self.number += 1
        while len(part) > MAX_LINE and not part.endswith(("\n", "\r")):
            part = self._text.readline(MAX_LINE + 1)
        self.room -= len(line)
        if self.room < 0:
            raise ValueError(f"longer than {MAX_LINE} characters; write one paragraph a row")
        return line


def _read_lines(table: Table, file: BinaryIO) -> Rows:
    lines = _Lines(table, file, newline="\n")
    index = 0
    while True:
        lines.room = MAX_LINE
        try:
            line = next(lines)
        except StopIteration:
            return
        except ValueError as error:
            yield Problem(table.name, lines.number, str(error)), file.tell()
        else:
            yield _parse(table, line, index), file.tell()
        index += 1


def _parse(table: Table, line: str, index: int) -> Entry:
    if not line.strip():
        return None
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError) as error:
        return Problem(table.name, index + 1, f"not JSON ({error}); write one object a line")
    if not isinstance(fields, dict):
        return Problem(table.name, index + 1, 'not a JSON object; write {"id": …, "text": …}')
    return table.entry(fields, index, index + 1)


def _read_csv(table: Table, file: BinaryIO) -> Rows:
    lines = _Lines(table, file, newline="")
    csv.field_size_limit(MAX_LINE)
    rows = csv.reader(lines, strict=True)
    header = next(rows, [])
    wanted = _places(header, table.columns)
    index = 0
    while True:
        line, lines.room = lines.number + 1, MAX_LINE
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            yield Problem(table.name, line, f"no row of CSV ({error}); check its quotation marks"), file.tell()
        except ValueError as error:
            if lines.number > line:
                # Where it ends nobody can tell, and what comes after it might be the inside of a cell.
                raise ValueError(
                    f"no row after line {line - 1} is read: a quotation mark is not closed there"
                ) from None
            yield Problem(table.name, line, str(error)), file.tell()
        else:
            fields = {key: row[place] for key, place in wanted.items() if place < len(row)}
            yield table.entry(fields, index, line) if any(map(str.strip, row)) else None, file.tell()
        index += 1


def _places(header: Iterable[str], columns: Columns) -> dict[str, int]:
    """Return where the columns to read stand.

    Raises:
        ValueError: one is missing, or there twice.
    """
    names = list(header)
    wanted = [columns.text, columns.id or "id"]
    for name in wanted[: 2 if columns.id else 1]:
        if name not in names:
            found = reprlib.repr(", ".join(names))
            raise ValueError(f"no column '{name}'; it has {found}: name the right one with TEXT= or ID=")
    for name in wanted:
        if names.count(name) > 1:
            raise ValueError(f"more than one column '{name}'; rename the others")
    return {name: names.index(name) for name in wanted if name in names}


def _read_parquet(table: Table, file: BinaryIO) -> Rows:
    if table.path.suffix.lower() in COMPRESSIONS:
        raise ValueError("Parquet is compressed inside, and cannot be read from a compressed file; unpack it")
    try:
        # Buffered, so that a row group is read piece by piece.
        content = parquet.ParquetFile(file, pre_buffer=False, buffer_size=2**20)
        wanted = list(_places(content.schema_arrow.names, table.columns))
        _check_types(content.schema_arrow, wanted)
        index, size = 0, table.path.stat().st_size
        for batch in content.iter_batches(BATCH, columns=wanted, use_threads=False):
            values = batch.to_pydict()
            for place in range(batch.num_rows):
                done = size * (index + 1) // content.metadata.num_rows
                yield table.entry({name: values[name][place] for name in wanted}, index, index + 1), done
                index += 1
    except pyarrow.ArrowException as error:
        raise ValueError(f"a damaged Parquet file ({error}); write it anew") from None


def _check_types(schema: pyarrow.Schema, names: Iterable[str]) -> None:
    for name in names:
        kind = schema.field(name).type
        inner = kind.value_type if pyarrow.types.is_dictionary(kind) else kind
        texts = (pyarrow.types.is_string, pyarrow.types.is_large_string, pyarrow.types.is_string_view)
        if not any(is_text(inner) for is_text in (*texts, pyarrow.types.is_integer)):
            raise ValueError(f"column '{name}' holds {kind}, not text; name the right one with TEXT= or ID=")


LINES = ".jsonl"
TABLES: dict[str, Callable[[Table, BinaryIO], Rows]] = {
    LINES: _read_lines,
    ".csv": _read_csv,
    ".parquet": _read_parquet,
}
