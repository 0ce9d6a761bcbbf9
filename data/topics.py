"""The topics a tagger knows: their ids, Chinese names, definitions and example phrases."""

import re
import tomllib
from dataclasses import dataclass
from datetime import date
from pathlib import Path

DEFAULT_TOPICS = Path(__file__).with_name("topics.toml")

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_FIELDS = {"id", "name", "definition", "phrases", "keywords", "since"}


@dataclass(frozen=True)
class Topic:
    """One topic, as `topics.toml` describes it."""

    id: str
    name: str
    definition: str
    """What belongs, in a sentence or two; the name where the file gives none."""
    phrases: tuple[str, ...] = ()
    """Short texts that say what belongs; each is a training example."""
    keywords: tuple[str, ...] = ()
    """Words of the keyword baseline; no model reads them."""
    since: date | None = None
    """The day the topic came, if that was after annotations were made: those judged before say nothing of it
    unless they carry it."""


def load_topics(path: Path = DEFAULT_TOPICS) -> tuple[Topic, ...]:
    """Read topics in the order of the file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not TOML, or a topic is incomplete, misnamed or given twice.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: no such topics file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not a TOML file in UTF-8: {error}") from None
    entries = table.get("topic")
    if not isinstance(entries, list) or not entries:
        raise ValueError(f"{path}: no [[topic]] entry; give each topic an id and a name")
    topics = tuple(_read_topic(entry, f"{path}: topic {place}") for place, entry in enumerate(entries, start=1))
    for place, topic in enumerate(topics):
        if topic.id in {other.id for other in topics[:place]}:
            raise ValueError(f"{path}: topic {place + 1}: id '{topic.id}' is given twice; rename one")
    return topics


def _read_topic(entry: object, where: str) -> Topic:
    if not isinstance(entry, dict):
        raise ValueError(f"{where}: not a table; write [[topic]] and then id, name, definition, phrases")
    unknown = sorted(set(entry) - _FIELDS)
    if unknown:
        raise ValueError(f"{where}: unknown key '{unknown[0]}'; known are {', '.join(sorted(_FIELDS))}")
    for key in ("id", "name"):
        if not isinstance(entry.get(key), str) or not entry[key].strip():
            raise ValueError(f"{where}: '{key}' is missing or empty; give it as a text")
    definition = entry.get("definition", entry["name"])
    if not isinstance(definition, str) or not definition.strip():
        raise ValueError(f"{where}: 'definition' is empty; say in a sentence what belongs, or leave it out")
    if not _ID.fullmatch(entry["id"]):
        raise ValueError(f"{where}: id '{entry['id']}' is not letters, digits, hyphens and underscores")
    for key in ("phrases", "keywords"):
        items = entry.get(key, [])
        if not isinstance(items, list) or not all(isinstance(item, str) and item.strip() for item in items):
            raise ValueError(f"{where}: '{key}' must be a list of non-empty texts")
    since = entry.get("since")
    if since is not None and type(since) is not date:
        raise ValueError(f"{where}: 'since' is {since!r}; write the day without quotes, such as since = 2026-11-22")
    return Topic(
        id=entry["id"],
        name=entry["name"],
        definition=definition,
        phrases=tuple(entry.get("phrases", ())),
        keywords=tuple(entry.get("keywords", ())),
        since=since,
    )
