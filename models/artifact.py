"""The artifact: one folder that holds all a tagger needs, and checks itself when opened.

model.onnx       the network, one byte a weight
tokenizer.json   the tokenizer
lexicon.safetensors   weights of words and phrases, see `models.lexicon`
tagger.json      topics, thresholds, calibration, limits, and where all of it came from
"""

import hashlib
import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

FORMAT = 2
MODEL_FILE = "model.onnx"
TOKENIZER_FILE = "tokenizer.json"
LEXICON_FILE = "lexicon.safetensors"
TAGGER_FILE = "tagger.json"


@dataclass(frozen=True)
class TopicDecision:
    """A topic and how its logit becomes a decision."""

    id: str
    name: str
    definition: str
    scale: float
    """Platt scaling (Platt 1999): probability = sigmoid(scale * logit + offset)."""
    offset: float
    threshold: float
    """The topic is given at this probability and above."""
    band: tuple[float, float]
    """Between these two probabilities (low included, high not) the topic is uncertain."""


@dataclass(frozen=True)
class Artifact:
    """What `tagger.json` says. The artifact's own topics decide at inference."""

    version: str
    topics: tuple[TopicDecision, ...]
    base: str
    """The base encoder that was fine-tuned."""
    max_length: int
    """Tokens of one window, the two special ones included."""
    created: str
    """UTC, ISO 8601."""
    exclusive: bool = False
    """Each text has exactly one topic."""
    data: dict[str, str] = field(default_factory=dict)
    """SHA-256 of each file the model was trained from."""
    metrics: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    libraries: dict[str, str] = field(default_factory=dict)


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file as hexadecimal text."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_tagger_file(artifact: Artifact, folder: Path) -> None:
    """Write `tagger.json` into a folder that holds the other files already."""
    hashes = {name: file_hash(folder / name) for name in (MODEL_FILE, TOKENIZER_FILE, LEXICON_FILE)}
    content = {"format": FORMAT, **asdict(artifact), "files": hashes}
    text = json.dumps(content, ensure_ascii=False, indent=1)
    (folder / TAGGER_FILE).write_text(text + "\n", encoding="utf-8")


def read_artifact(folder: Path) -> Artifact:
    """Read and check an artifact folder.

    Raises:
        FileNotFoundError: the folder or one of its files is missing.
        ValueError: a file is damaged or says what cannot be; the message names it.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"no model at {folder}; run 'make train', or check models/current")
    for name in (TAGGER_FILE, MODEL_FILE, TOKENIZER_FILE, LEXICON_FILE):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{folder}: {name} is missing; restore the folder or train again")
    path = folder / TAGGER_FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        artifact = _parse(content)
        hashes = dict(content["files"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: damaged ({_describe(error)}); restore the folder or train again") from error
    for name in (MODEL_FILE, TOKENIZER_FILE, LEXICON_FILE):
        if file_hash(folder / name) != hashes.get(name):
            raise ValueError(
                f"{folder / name}: not the file that {TAGGER_FILE} was written for; restore the folder or train again"
            )
    return artifact


def _describe(error: Exception) -> str:
    return f"'{error.args[0]}' is missing" if isinstance(error, KeyError) else str(error)


def _parse(content: Any) -> Artifact:
    if content["format"] != FORMAT:
        raise ValueError(f"format {content['format']}, this program reads {FORMAT}")
    topics = tuple(_parse_topic(entry) for entry in content["topics"])
    if not topics:
        raise ValueError("no topics")
    if len({topic.id for topic in topics}) < len(topics):
        raise ValueError("a topic stands twice")
    if not isinstance(content["max_length"], int) or content["max_length"] < 8:
        raise ValueError(f"max_length is {content['max_length']!r}, expected 8 or more")
    return Artifact(
        version=str(content["version"]),
        topics=topics,
        base=str(content["base"]),
        max_length=content["max_length"],
        created=str(content["created"]),
        exclusive=content["exclusive"] is True,
        **{key: dict(content[key]) for key in ("data", "metrics", "settings", "libraries")},
    )


def _parse_topic(entry: dict[str, Any]) -> TopicDecision:
    numbers = {key: float(entry[key]) for key in ("scale", "offset", "threshold")}
    low, high = (float(edge) for edge in entry["band"])
    if not all(math.isfinite(number) for number in (*numbers.values(), low, high)):
        raise ValueError(f"topic {entry['id']}: a number is not finite")
    if not 0 < numbers["threshold"] < 1 or not 0 <= low <= high <= 1:
        raise ValueError(f"topic {entry['id']}: threshold or band lies outside 0 to 1")
    return TopicDecision(
        id=str(entry["id"]), name=str(entry["name"]), definition=str(entry["definition"]), band=(low, high), **numbers
    )
