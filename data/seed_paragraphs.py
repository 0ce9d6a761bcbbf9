"""The paragraphs of all articles in `seeds/`, with the ids and places that annotations have."""

from dataclasses import dataclass
from pathlib import Path

from data.annotations import ROOT
from data.blocks import Span
from data.paragraphs import read_articles, source_files
from data.sources import format_of, read_source

SEEDS = ROOT / "seeds"


@dataclass(frozen=True)
class SeedParagraph:
    """One paragraph of an article; fields as in `data.annotations.Annotation`."""

    id: str
    source: str
    article: str
    index: int
    text: str
    spans: tuple[Span, ...]


def read_seeds(seeds: Path = SEEDS) -> tuple[list[SeedParagraph], list[str]]:
    """Return the paragraphs of all articles below the folder, and what is wrong with those that cannot be read.

    Raises:
        FileNotFoundError: there is no such folder.
    """
    found: list[SeedParagraph] = []
    problems = []
    for path in source_files(seeds):
        try:
            found += _paragraphs_of(path)
        except (OSError, ValueError) as error:
            problems.append(str(error))
    return found, problems


def name_of(path: Path) -> str:
    """Return what annotations call a source: its path in the repository, or from the root if it lies elsewhere."""
    path = path.resolve()
    return (path.relative_to(ROOT) if path.is_relative_to(ROOT) else path).as_posix()


def _paragraphs_of(path: Path) -> list[SeedParagraph]:
    source = name_of(path)
    reading = read_articles(read_source(path), format_of(path))
    return [
        SeedParagraph(
            f"{source}#{paragraph.index}",
            source,
            f"{source}#{article.number}",
            paragraph.index,
            paragraph.text,
            paragraph.spans,
        )
        for article in reading.articles
        for paragraph in article.paragraphs
    ]
