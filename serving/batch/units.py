"""Sources to units: paragraphs that are tagged and saved together, few enough for any memory."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from data.sources import DAMAGED, format_of, read_source
from models.artifact import file_hash
from serving.batch.inputs import STANDARD_INPUT, Source, is_changed
from serving.batch.tables import Columns, Entry, Problem, Table, printable, read_table
from serving.records import Unlabelled, paragraphs_of

# A unit ends after so many paragraphs or other rows, or sooner at so many characters.
UNIT_ROWS = 256
UNIT_CHARACTERS = 2**20


@dataclass(frozen=True)
class Position:
    """How far the sources have been read."""

    sources: int = 0
    """Sources read to their end."""
    rows: int = 0
    """Rows read of the next one, which is a table."""


@dataclass(frozen=True)
class Finished:
    """A source that was read to its end, or given up."""

    path: str
    bytes: int
    sha256: str | None
    """None if it cannot be read."""


@dataclass
class Unit:
    """Paragraphs that are tagged and saved together, of one source or of several."""

    end: Position
    paragraphs: list[Unlabelled] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    finished: list[Finished] = field(default_factory=list)
    without_paragraph: int = 0
    """Articles in which no paragraph was found; not an error."""
    size: int = 0
    """Bytes read for it."""
    rows: int = 0
    """Paragraphs and other rows."""
    characters: int = 0
    """In its paragraphs."""

    @property
    def is_full(self) -> bool:
        """Whether it is time for the next unit."""
        return self.rows >= UNIT_ROWS or self.characters >= UNIT_CHARACTERS

    def add(self, step: "_Step") -> None:
        """Take what was read next."""
        for entry in step.entries:
            if isinstance(entry, Unlabelled):
                self.paragraphs.append(entry)
                self.characters += len(entry.text)
            elif entry:
                self.problems.append(entry)
        self.rows += max(1, len(step.entries))
        self.without_paragraph += step.is_article and not step.entries
        self.finished += step.finished
        self.end = step.end
        self.size += step.size


@dataclass(frozen=True, slots=True)
class _Step:
    """The least that is read at once: a row, an article, or the end of a table."""

    entries: Sequence[Entry]
    end: Position
    size: int
    finished: tuple[Finished, ...] = ()
    is_article: bool = False


def read_units(sources: Sequence[Source], start: Position, columns: Columns) -> Iterator[Unit]:
    """Read the sources from `start`, which is the end of an earlier unit or the beginning.

    What cannot be read becomes a problem of its unit and does not stop the rest.
    """
    unit = Unit(start)
    for step in _steps(sources, start, columns):
        unit.add(step)
        if unit.is_full:
            yield unit
            unit = Unit(unit.end)
    if unit.rows:
        yield unit


def _steps(sources: Sequence[Source], start: Position, columns: Columns) -> Iterator[_Step]:
    for place in range(start.sources, len(sources)):
        source = sources[place]
        if source.is_table:
            yield from _read_table(source, place, start.rows if place == start.sources else 0, columns)
        else:
            yield _read_article(source, Position(place + 1))


def _read_article(source: Source, end: Position) -> _Step:
    entries: list[Entry]
    try:
        _check(source)
        entries = [*paragraphs_of(read_source(source.path), format_of(source.path), source.name)]
    except Exception as error:
        # Whatever one file out of thousands does to the reader, the others are still tagged.
        entries = [_problem(source, error)]
    return _Step(entries, end, source.size, _finish(source, entries), is_article=True)


def _read_table(source: Source, place: int, skip: int, columns: Columns) -> Iterator[_Step]:
    """Yield the rows behind the first `skip`, then the end of the table."""
    rows = done = 0
    entries: list[Entry] = []
    try:
        _check(source)
        for entry, read in read_table(Table(source.path, source.name, columns)):
            rows += 1
            if rows > skip:
                yield _Step((entry,), Position(place, rows), read - done)
            done = read
    except Exception as error:
        entries = [_problem(source, error)]
    yield _Step(entries, Position(place + 1), source.size - done, _finish(source, entries))


def _check(source: Source) -> None:
    if source.same_as:
        raise ValueError(
            f"the same file as {printable(source.same_as)}, which is tagged already; remove one of the two"
        )
    if printable(source.name) != source.name:
        raise ValueError("the file's name is not UTF-8; rename it")


def _problem(source: Source, error: Exception) -> Problem:
    known = isinstance(error, (OSError, ValueError))
    reason = str(error) if known else f"cannot be read: {error!r}"
    if isinstance(error, DAMAGED):
        reason = f"damaged, it cannot be unpacked to its end ({error}); compress it anew"
    return Problem(printable(source.name), None, printable(reason))


def _finish(source: Source, entries: list[Entry]) -> tuple[Finished, ...]:
    """Return the source with its hash; add a problem if it is no longer what was listed."""
    digest = None
    try:
        digest = file_hash(source.path)
        if source.name != STANDARD_INPUT and is_changed(source):
            entries.append(Problem(printable(source.name), None, "written to while it was read; tag it again"))
    except OSError as error:
        if not entries:
            entries.append(_problem(source, error))
    return (Finished(printable(source.name), source.size, digest),)
