"""What batch tagging reads: article files, and JSON lines of paragraphs taken as they are.

`list_sources` finds the files, `read_units` yields their paragraphs in bounded units, so
that memory does not grow with the input. What cannot be read becomes a `Problem` and does
not stop the rest.
"""

import hashlib
import json
import reprlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from data.paragraphs import source_files
from data.sources import FORMATS, format_of, read_source
from serving.records import Unlabelled, paragraphs_of, taken_as_is

LINES = ".jsonl"
# A unit of JSON lines ends after so many lines, or sooner at so many bytes.
UNIT_LINES = 256
UNIT_BYTES = 2**20
# A longer line is no paragraph, a larger file no article; neither may fill the memory.
MAX_LINE_BYTES = 2**20
MAX_ARTICLE_BYTES = 16 * 2**20


@dataclass(frozen=True)
class Source:
    """One input file."""

    path: Path
    size: int
    """Bytes."""
    mtime_ns: int
    same_as: Path | None = None
    """An earlier source that is this very file under another name."""


@dataclass(frozen=True)
class Position:
    """How far the sources have been read."""

    sources: int = 0
    """Sources read to their end."""
    byte: int = 0
    """Bytes read of the next one; whole lines."""
    line: int = 0
    """Lines read of the next one."""


@dataclass(frozen=True)
class Problem:
    """Something that could not be read, and why."""

    source: str
    line: int | None
    """From 1; None where it is the whole file."""
    reason: str


@dataclass(frozen=True)
class Unit:
    """Paragraphs that are tagged and saved together: an article file, or some JSON lines."""

    paragraphs: tuple[Unlabelled, ...]
    problems: tuple[Problem, ...]
    end: Position
    size: int
    """Bytes read for it."""
    is_article: bool


def list_sources(place: Path) -> list[Source]:
    """List the files to read: `place` itself, or all article files below it.

    Raises:
        FileNotFoundError: there is nothing at `place`.
        ValueError: it is no file to read, or a folder without one.
    """
    endings = " ".join(FORMATS)
    readable = place.is_file() and place.suffix.lower() in (*FORMATS, LINES)
    if place.exists() and not place.is_dir() and not readable:
        raise ValueError(f"{printable(place)}: cannot be tagged; expected a file of {endings} {LINES}, or a folder")
    paths = source_files(place)
    if not paths:
        raise ValueError(f"{printable(place)}: no article file in this folder; expected files of {endings}")
    first: dict[tuple[int, int], Path] = {}
    sources = []
    for path in paths:
        stat = path.stat()
        earlier = first.setdefault((stat.st_dev, stat.st_ino), path)
        sources.append(Source(path, stat.st_size, stat.st_mtime_ns, None if earlier == path else earlier))
    return sources


def fingerprint(sources: Sequence[Source]) -> str:
    """Return a SHA-256 that changes when a source is added, removed, renamed or written to."""
    digest = hashlib.sha256()
    for source in sources:
        digest.update(repr((str(source.path), source.size, source.mtime_ns)).encode())
    return digest.hexdigest()


def read_units(sources: Sequence[Source], start: Position) -> Iterator[Unit]:
    """Read the sources from `start`, which is the end of an earlier unit or the beginning.

    Raises:
        OSError: a file of JSON lines cannot be read.
    """
    for place in range(start.sources, len(sources)):
        source = sources[place]
        if source.path.suffix.lower() == LINES:
            yield from _read_lines(source.path, start)
        else:
            yield _read_article(source, Position(place + 1))


def _read_article(source: Source, end: Position) -> Unit:
    paragraphs: list[Unlabelled] = []
    problems = []
    try:
        paragraphs = _paragraphs_in(source)
    except Exception as error:
        # Whatever one file out of thousands does to the reader, the others are still tagged.
        reason = str(error) if isinstance(error, (OSError, ValueError)) else f"cannot be read: {error!r}"
        problems = [Problem(printable(source.path), None, printable(reason))]
    return Unit(tuple(paragraphs), tuple(problems), end, source.size, is_article=True)


def _paragraphs_in(source: Source) -> list[Unlabelled]:
    if source.same_as:
        raise ValueError(
            f"the same file as {printable(source.same_as)}, which is tagged already; remove one of the two"
        )
    if source.size > MAX_ARTICLE_BYTES:
        raise ValueError(f"{source.size} bytes, an article has at most {MAX_ARTICLE_BYTES}; split the file")
    name = source.path.as_posix()
    if _has_surrogate(name):
        raise ValueError("the file's name is not UTF-8; rename it")
    return paragraphs_of(read_source(source.path), format_of(source.path), name)


def _read_lines(path: Path, start: Position) -> Iterator[Unit]:
    """Yield units of JSON lines; the last one is empty and ends the source."""
    name = printable(path)
    number = start.line
    with path.open("rb") as file:
        file.seek(start.byte)
        while True:
            begin, first = file.tell(), number
            paragraphs: list[Unlabelled] = []
            problems: list[Problem] = []
            while number - first < UNIT_LINES and file.tell() - begin < UNIT_BYTES and (line := _next_line(file)):
                try:
                    paragraphs += _parse(line, number, path.as_posix())
                except ValueError as error:
                    problems.append(Problem(name, number + 1, str(error)))
                number += 1
            is_last = number == first
            end = Position(start.sources + 1) if is_last else Position(start.sources, file.tell(), number)
            yield Unit(tuple(paragraphs), tuple(problems), end, file.tell() - begin, is_article=False)
            if is_last:
                return


def _next_line(file: BinaryIO) -> bytes:
    """Read a line; of an overlong one return the beginning, which is longer than `MAX_LINE_BYTES`."""
    line = part = file.readline(MAX_LINE_BYTES + 1)
    while len(line) > MAX_LINE_BYTES and part and not part.endswith(b"\n"):
        part = file.readline(MAX_LINE_BYTES)
    return line


def _parse(line: bytes, index: int, name: str) -> list[Unlabelled]:
    """Return the paragraph of a line, or none if the line is empty.

    Raises:
        ValueError: it is not a paragraph; the message says what to do.
    """
    if len(line) > MAX_LINE_BYTES:
        raise ValueError(f"longer than {MAX_LINE_BYTES} bytes; write one paragraph a line")
    try:
        text = line.decode("utf-8-sig" if index == 0 else "utf-8")
        entry = json.loads(text) if text.strip() else None
    except UnicodeDecodeError:
        raise ValueError("not UTF-8; save the file as UTF-8 text") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON ({error}); write one object a line") from None
    if not text.strip():
        return []
    if not isinstance(entry, dict):
        raise ValueError('not a JSON object; write {"id": …, "text": …}')
    for key in ("id", "text"):
        _check_text(entry, key)
    return [taken_as_is(entry["id"], entry["text"], index, name)]


def _check_text(entry: dict[str, object], key: str) -> None:
    if key not in entry:
        raise ValueError(f"'{key}' is missing; every paragraph has an id and a text")
    value = entry[key]
    if not isinstance(value, str):
        raise ValueError(f"'{key}' is {reprlib.repr(value)}; write it as a JSON string")
    if not value.strip():
        raise ValueError(f"'{key}' is blank; fill it in or remove the line")
    if _has_surrogate(value):
        raise ValueError(f"'{key}' holds half a surrogate pair, which is no character; remove it")


def _has_surrogate(text: str) -> bool:
    return printable(text) != text


def printable(text: str | Path) -> str:
    """Return the text with what UTF-8 cannot express written as escapes."""
    return str(text).encode("utf-8", "backslashreplace").decode("utf-8")
