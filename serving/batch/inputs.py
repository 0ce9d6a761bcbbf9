"""Which files batch tagging reads: articles and tables of paragraphs, by name, folder or pattern."""

import glob
import hashlib
import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from data.sources import COMPRESSIONS, FORMATS, ending_of
from models.artifact import file_hash
from serving.batch.run_files import MANIFEST, files_of_run, is_of_run
from serving.batch.tables import TABLES, printable

STANDARD_INPUT = "-"


@dataclass(frozen=True, slots=True)
class Source:
    """One input file."""

    path: Path
    name: str
    """As it stands in records and messages; "-" is standard input."""
    size: int
    """Bytes."""
    stamp: str
    """Changes when the file is written to."""
    same_as: str | None = None
    """The name of an earlier source that is this very file under another name."""

    @property
    def is_table(self) -> bool:
        """Whether it holds paragraphs, one a row, rather than an article."""
        return self.name == STANDARD_INPUT or ending_of(self.path) in TABLES


def list_sources(places: str, out: Path, standard_input: Path) -> list[Source]:
    """List the files to read, each once, in the order given; those of a folder by name.

    Args:
        places: a file, a folder (with all below it), a pattern such as `news/**/*.csv`, or "-" for
            standard input; or several of them with blanks between, as a shell would take them.
        out: the output; what runs have written is not read from a folder or by a pattern.
        standard_input: the file into which standard input was copied.

    Raises:
        FileNotFoundError: there is nothing at one of the places.
        ValueError: one of them is no file to read, or there is nothing to read, or it is `out`.
    """
    names: dict[str, None] = {}
    for word in split_places(places):
        found = [STANDARD_INPUT] if word == STANDARD_INPUT else _files_at(word, out)
        names.update(dict.fromkeys(found))
    sources = [_source(name, standard_input if name == STANDARD_INPUT else Path(name)) for name in names]
    return list(_marked(sources))


def split_places(places: str) -> list[str]:
    """Return the places one by one; what exists under the whole name is one place, blanks or not."""
    if Path(places).exists():
        return [places]
    try:
        return shlex.split(places)
    except ValueError as error:
        raise ValueError(f"IN is {printable(places)}: {error}; put names with blanks in quotes") from None


def _files_at(place: str, out: Path) -> list[str]:
    path = Path(place)
    if path.is_file():
        return [_named(path, out)]
    if path.is_dir():
        found = _below(path)
    elif not path.exists() and glob.has_magic(place):
        matches = sorted(Path(path.anchor).glob(str(path.relative_to(path.anchor))))
        found = [file for match in matches for file in (_below(match) if match.is_dir() else [match])]
    else:
        raise FileNotFoundError(f"{printable(place)}: no such file or folder")
    files = [path.as_posix() for path in _without_output(found, out) if _is_readable(path)]
    if not files:
        raise ValueError(f"{printable(place)}: no file to tag there; expected files of {_endings()}")
    return files


def _named(path: Path, out: Path) -> str:
    if not _is_readable(path):
        raise ValueError(f"{printable(path)}: cannot be tagged; expected a file of {_endings()}, or a folder")
    if is_of_run(path.resolve(), out.resolve()):
        raise ValueError(f"IN is {printable(path)}, which this run would overwrite; give OUT another name")
    return path.as_posix()


def _endings() -> str:
    return f"{' '.join([*FORMATS, *TABLES])} (also with {' '.join(COMPRESSIONS)})"


def _below(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*"))


def _is_readable(path: Path) -> bool:
    ending = ending_of(path)
    return (ending in FORMATS or ending in TABLES) and path.is_file()


def _without_output(paths: Iterable[Path], out: Path) -> Iterator[Path]:
    """Leave out what runs of batch tagging have written, that it is not tagged again."""
    written: dict[Path, set[str]] = {}
    for path in paths:
        if path.parent not in written:
            written[path.parent] = {name for file in path.parent.glob(f"*{MANIFEST}") for name in files_of_run(file)}
        if path.name not in written[path.parent] and not is_of_run(path.absolute(), out.absolute()):
            yield path


def _source(name: str, path: Path) -> Source:
    stat = path.stat()
    stamp = file_hash(path) if name == STANDARD_INPUT else str(stat.st_mtime_ns)
    return Source(path, name, stat.st_size, stamp)


def is_changed(source: Source) -> bool:
    """Whether the file, which is not standard input, was written to since it was listed.

    Raises:
        OSError: it is not there any more.
    """
    stat = source.path.stat()
    return (stat.st_size, str(stat.st_mtime_ns)) != (source.size, source.stamp)


def _marked(sources: Sequence[Source]) -> Iterator[Source]:
    """Mark the sources that are an earlier one under another name."""
    files = [_file(source.path) for source in sources]
    several = {file for file, count in Counter(files).items() if count > 1}
    first: dict[tuple[int, int], str] = {}
    for source, file in zip(sources, files, strict=True):
        if file in several and first.setdefault(file, source.name) != source.name:
            yield Source(source.path, source.name, source.size, source.stamp, first[file])
        else:
            yield source


def _file(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_dev, stat.st_ino


def fingerprint(sources: Iterable[Source]) -> str:
    """Return a SHA-256 that changes when a source is added, removed, renamed or written to."""
    digest = hashlib.sha256()
    for source in sources:
        digest.update(repr((source.name, source.size, source.stamp)).encode())
    return digest.hexdigest()
