"""The paragraph record: what REST and batch tagging answer for one paragraph, the same in both."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from data.blocks import Span
from data.paragraphs import Reading, read_articles
from data.sources import Format
from models.tagger import Tagger, Tags


@dataclass(frozen=True)
class Unlabelled:
    """A paragraph before tagging, with its place in its source."""

    id: str
    article: str
    """Source path or name."""
    headline: str
    """Headline of its article; empty if there is none."""
    index: int
    """Position in the source, from 0."""
    spans: tuple[Span, ...]
    """Character offsets in the source as it was."""
    text: str


def paragraphs_of(source: str, form: Format, name: str) -> list[Unlabelled]:
    """Cut a source called `name` into paragraphs."""
    return list_paragraphs(read_articles(source, form), name)


def list_paragraphs(reading: Reading, name: str) -> list[Unlabelled]:
    """List the paragraphs of a reading of the source called `name`, in its order."""
    found = [
        Unlabelled(f"{name}#{piece.index}", name, article.headline, piece.index, piece.spans, piece.text)
        for article in reading.articles
        for piece in article.paragraphs
    ]
    return sorted(found, key=lambda paragraph: paragraph.index)


def taken_as_is(paragraph_id: str, text: str, index: int, name: str) -> Unlabelled:
    """Make a paragraph of a text that is not to be cut again."""
    return Unlabelled(paragraph_id, name, "", index, ((0, len(text)),), text)


def make_records(paragraphs: Sequence[Unlabelled], tags: Sequence[Tags], version: str) -> list[dict[str, Any]]:
    """Join paragraphs and their tags into records ready for JSON."""
    return [
        {
            **asdict(paragraph),
            "spans": [list(span) for span in paragraph.spans],
            "answer": tag.answer,
            "topics": list(tag.topics),
            "scores": tag.scores,
            "evidence": {topic: [list(span) for span in spans] for topic, spans in tag.evidence.items()},
            "truncated": tag.truncated,
            "model": version,
        }
        for paragraph, tag in zip(paragraphs, tags, strict=True)
    ]


def tag_paragraphs(tagger: Tagger, paragraphs: Sequence[Unlabelled]) -> list[dict[str, Any]]:
    """Tag paragraphs and return their records."""
    tags = tagger.tag([paragraph.text for paragraph in paragraphs])
    return make_records(paragraphs, tags, tagger.artifact.version)
