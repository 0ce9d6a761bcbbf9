"""Add articles to `seeds/`: checked, never twice, never over another one.

    python -m data.new_articles FILE|FOLDER …

Files are copied byte by byte. What is there already is left out; what cannot be used is
refused, and the exit status is then 1. Other files that a folder holds are left out.
"""

import argparse
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from data.paragraphs import read_articles, source_files
from data.seed_paragraphs import SEEDS
from data.sources import FORMATS, format_of, read_source

# An article of which this part stands in one that is there already brings nothing new. A
# wrongly refused article is lost, a repeated paragraph is found later: hence not lower.
MAX_KNOWN = 0.8
# Two texts share a sequence of so many characters hardly ever by chance.
SEQUENCE_LENGTH = 6


@dataclass(frozen=True)
class Added:
    """What became of the files."""

    added: tuple[Path, ...]
    """Where the new articles stand now."""
    left_out: tuple[str, ...]
    """A message for each article that is there already, and each file in a folder that is no article."""
    refused: tuple[str, ...]
    """A message for each file that cannot be used."""


@dataclass(frozen=True)
class _Article:
    """A file that can be read."""

    path: Path
    raw: bytes
    sequences: frozenset[str]


def add_articles(places: Sequence[Path], seeds: Path = SEEDS) -> Added:
    """Copy the articles at these places (files, or folders with all below them) into the folder.

    Raises:
        FileNotFoundError: a place or the folder is missing; nothing is added then.
        OSError: a file cannot be written; what was added before stays.
    """
    paths = [path for place in places for path in _files(place)]
    others = {path for path in paths if path.suffix.lower() not in FORMATS} - set(places)
    if not seeds.is_dir():
        raise FileNotFoundError(f"{seeds}: no such folder; make it, or run where it is")
    new: list[_Article] = []
    refused = []
    for path in paths:
        if path in others:
            continue
        try:
            new.append(_read(path))
        except (OSError, ValueError) as error:
            refused.append(str(error))
    # One pass over what is there, however much is new.
    twins: dict[Path, str] = {}
    for there in _readable(source_files(seeds)):
        for article in new:
            twins[article.path] = twins.get(article.path) or _twin(article, there)
    added: list[Path] = []
    taken: list[_Article] = []
    left_out = [f"{path}: not an article; expected one of {' '.join(FORMATS)}" for path in sorted(others)]
    for article in new:
        twin = twins.get(article.path) or next(filter(None, (_twin(article, other) for other in taken)), "")
        target = seeds / article.path.name
        if twin:
            left_out.append(f"{article.path}: {twin}")
        elif target.exists():
            refused.append(
                f"{article.path}: {target} is another article of that name; rename the file and add it again"
            )
        else:
            _copy(article.path, target)
            added.append(target)
            taken.append(article)
    return Added(tuple(added), tuple(left_out), tuple(refused))


def _files(place: Path) -> list[Path]:
    """Return the file, or all visible files below the folder, whatever they are."""
    if not place.is_dir():
        return source_files(place)
    below = (path.relative_to(place) for path in place.rglob("*") if path.is_file())
    return sorted(place / path for path in below if not any(part.startswith(".") for part in path.parts))


def _read(path: Path) -> _Article:
    """Read a file as an article.

    Raises:
        ValueError: it is none; the message says why and what to do.
    """
    form = format_of(path)
    if not path.name.isprintable():
        raise ValueError(f"{str(path)!r}: its name has characters that cannot be printed; rename it")
    reading = read_articles(read_source(path), form)
    if not reading.paragraphs:
        raise ValueError(f"{path}: no paragraph in it (of ten Chinese characters or more); 'make split' says why")
    sequences = {sequence for paragraph in reading.paragraphs for sequence in _cut(paragraph.text)}
    return _Article(path, path.read_bytes(), frozenset(sequences))


def _readable(paths: Sequence[Path]) -> Iterator[_Article]:
    for path in paths:
        try:
            yield _read(path)
        except (OSError, ValueError):
            # What nobody can read is like nothing.
            continue


def _cut(text: str) -> Iterator[str]:
    text = "".join(text.split())
    for start in range(max(len(text) - SEQUENCE_LENGTH, 0) + 1):
        yield text[start : start + SEQUENCE_LENGTH]


def _twin(article: _Article, other: _Article) -> str:
    """Say how the other one holds the article already; empty if it does not."""
    if article.raw == other.raw:
        return f"the same file as {other.path}"
    share = len(article.sequences & other.sequences) / len(article.sequences)
    if share < MAX_KNOWN:
        return ""
    return f"{share:.0%} of its text stands in {other.path}; copy it there by hand if you want both"


def _copy(path: Path, target: Path) -> None:
    """Copy under a temporary name, then rename; a copy that was stopped is no article."""
    unfinished = target.with_name(target.name + ".partial")
    shutil.copyfile(path, unfinished)
    unfinished.rename(target)


def main(arguments: list[str] | None = None) -> int:
    """Add articles and say what became of each. Exit status 1 if one was refused."""
    parser = argparse.ArgumentParser(prog="python -m data.new_articles", description="Add articles to seeds/.")
    parser.add_argument("places", type=Path, nargs="+", help=f"articles ({' '.join(FORMATS)}) or folders of them")
    parser.add_argument("--seeds", type=Path, default=SEEDS, help="the folder that they are added to")
    options = parser.parse_args(arguments)
    try:
        result = add_articles(options.places, options.seeds)
    except OSError as error:
        print(error, file=sys.stderr)
        return 1
    for path in result.added:
        print(f"added: {path}")
    for message in result.left_out:
        print(f"left out: {message}")
    for message in result.refused:
        print(f"refused: {message}", file=sys.stderr)
    print(f"{len(result.added)} added, {len(result.left_out)} left out, {len(result.refused)} refused")
    return 1 if result.refused else 0


if __name__ == "__main__":
    sys.exit(main())
